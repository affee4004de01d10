"""Where an address that strangers name may lead: the public internet, and what the operator opened.

Who may name one (a webhook's) could name this machine's own services, its neighbours or the cloud's metadata. So a name
is looked up first, every address found is judged here, and the connection goes to those that were judged
(`connections`). The list of networks is ours: Python 3.11's `is_global` takes 6to4, NAT64 and multicast for public.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import yarl

# IANA's special-purpose registry for IPv4 (RFC 6890), but for what it calls globally reachable, and multicast.
IPV4 = (
    "0.0.0.0/8",  # this host: Linux takes it for loopback
    "10.0.0.0/8",
    "100.64.0.0/10",  # behind a provider's NAT
    "127.0.0.0/8",
    "169.254.0.0/16",  # link-local, and the metadata of most clouds
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",  # relays of 6to4
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",  # multicast, reserved, broadcast
)
# The internet is 2000::/3 (RFC 4291); everything else is loopback, mapped, link-local, private, multicast or nobody's.
IPV6 = (
    *("::/3", "4000::/2", "8000::/1"),
    "2001::/23",  # protocols: Teredo, ORCHID, benchmarks
    "2001:db8::/32",
    "2002::/16",  # 6to4
    "3fff::/20",  # documentation
)
# Whoever runs a machine in a cloud asks here for its credentials: AWS, Azure, Google and others; AWS for containers;
# Alibaba, Oracle; Azure's agents (it looks public); AWS, Google and Scaleway in IPv6.
CLOUDS = (
    *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192"),
    *("168.63.129.16", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42"),
)
# What a name that the operator opened may lead to beside the internet.
LOCAL = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
)
CLOSED, METADATA, PRIVATE = (
    [ip_network(text) for text in texts] for texts in ((*IPV4, *IPV6), CLOUDS, LOCAL)
)
# IPv4 seen from a network without it (RFC 6052): how every older host is reached from there.
NAT64 = ip_network("64:ff9b::/96")

# Other protocols' (WHATWG Fetch, "bad port"): what is posted there could be taken for words of theirs.
BAD_PORTS = {0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102}
BAD_PORTS |= {103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465}
BAD_PORTS |= {512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993}
BAD_PORTS |= {995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679}
BAD_PORTS |= {6697, 10080}

# RFC 1123, and the underscore that names in private networks have.
NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_][a-z0-9_-]{0,62}(\.[a-z0-9_-]{1,63})*")
# A host that ends so is read as an IPv4 address: 127.1, 0x7f000001 (WHATWG URL, "ends in a number").
NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")

NO_URL = "it is no http or https address with a host"
WITH_USER = "it names a user or a password: give a header for that"
NOT_HTTPS = "it has to begin with https://"
BAD_HOST = "its host is neither a name nor an IP address in its usual form"
NOT_PUBLIC = "it does not lead to the public internet"

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Denied(OSError):
    """No connection is made there. The text is for people and names no address."""

    def __init__(self, sentence: str) -> None:
        super().__init__(None, sentence)


class Egress:
    """What may be reached. The same for as long as a client is open.

    `allowed` is what may be reached although it is closed to others: networks (`10.1.0.0/16`), addresses, and exact
    names of hosts (`receiver.lan`), which then may lead to private addresses. A cloud's metadata is reached only where
    its address itself is named.

    :raises ValueError: an entry of `allowed` is none of these
    """

    def __init__(self, allowed: Sequence[str] = (), *, plain_http: bool = False) -> None:
        # With brackets an address stands in CLARION_ALLOWED_HOSTS.
        entries = [entry.strip().strip("[]").lower().removesuffix(".") for entry in allowed]
        self._names = frozenset(entry for entry in entries if _is_name(entry))
        self._networks = [_network(entry) for entry in entries if entry not in self._names]
        self._plain_http = plain_http

    def objection(self, url: str) -> str | None:
        """Return what can be said against a URL before its host is looked up; None: nothing."""
        try:
            parts = yarl.URL(url)
            host, port = (parts.raw_host or "").lower().removesuffix("."), parts.port
        except ValueError:
            return NO_URL
        if not host or parts.scheme not in ("http", "https") or not url.isprintable():
            return NO_URL
        if "@" in re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]:
            return WITH_USER
        is_literal, is_home = _is_literal(host), host.rpartition(".")[2] == "localhost"
        if said := self._objection_to_host(host, is_literal=is_literal, is_home=is_home):
            return said
        is_open = is_home or host in self._names or (is_literal and _is_in(_read(host), self._networks))
        if parts.scheme != "https" and not (self._plain_http or is_open):
            return NOT_HTTPS
        return f"port {port} is not one for HTTP" if port in BAD_PORTS else None

    def refusal(self, address: str, *, host: str = "") -> str | None:
        """Return why nothing may connect to an address that getaddrinfo gave for this host; None: it may."""
        try:
            found = _read(address)
        except ValueError:
            return NOT_PUBLIC  # not from getaddrinfo
        if _is_in(found, METADATA):
            is_open = ip_network(found) in self._networks
        else:
            is_private_name = host.lower().removesuffix(".") in self._names and _is_in(found, PRIVATE)
            is_open = is_private_name or _is_in(found, self._networks) or not _is_in(found, CLOSED)
        return None if is_open else NOT_PUBLIC

    def admit(self, host: str, addresses: Iterable[str]) -> None:
        """Let every one of a host's addresses pass.

        :raises Denied: for one that may not be reached; whoever offers it beside others tries something
        """
        for address in addresses:
            if refusal := self.refusal(address, host=host):
                raise Denied(refusal)

    def dangers(self) -> Iterator[str]:
        """Name what only strangers gain from, and the operator opened all the same."""
        if not all(map(self.refusal, CLOUDS)):
            yield "a cloud's metadata"
        if not (self.refusal("127.0.0.1", host="localhost") and self.refusal("::1", host="localhost")):
            yield "this machine itself"

    def _objection_to_host(self, host: str, *, is_literal: bool, is_home: bool) -> str | None:
        if is_literal:
            try:
                _read(host)
            except ValueError:
                return BAD_HOST
            return self.refusal(host)
        if not NAME.fullmatch(host):
            return BAD_HOST
        # RFC 6761: it is loopback whatever a server says.
        return self.refusal("127.0.0.1", host=host) if is_home else None


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"{text[:100]!r} is neither a network, an address nor a host's name") from None


def _is_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None and not _is_literal(text)


def _is_literal(host: str) -> bool:
    return ":" in host or NUMBER.fullmatch(host) is not None


def _read(text: str) -> Address:
    """Return the address that is meant, in IPv4 where it stands for one.

    :raises ValueError: not one in its usual form, or one that only a certain interface of this machine reaches
    """
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None:
        raise ValueError("with a zone")
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address


def _is_in(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
