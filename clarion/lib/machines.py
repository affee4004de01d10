"""Programs that open mails and follow links before, or instead of, a person: known by how they name themselves.

The lists are short on purpose: a person who is taken for a machine is lost to a report, and a machine that hides is
found by its haste. They hold what others saw in their logs:

- Barracuda, Proofpoint, Mimecast, Cisco (IronPort), Fortinet, Sophos, and five seconds as the limit of haste:
  live-direct-marketing.online, "Bot clicks from security scanners: a field guide".
- Microsoft, which follows the links of mails to Outlook.com as BingPreview: phpList/phplist3#415; as an Edge 12 that
  says Mozilla twice: jdavidbakr/mail-tracker#255.
- Gmail's content sampling, which follows links: mssola/user_agent#71. GoogleImageProxy is none: it fetches a picture
  when somebody looks at the mail (mailgun.com, "Privacy, automatic engagements, and Mailgun's bot detection").
- Apple Mail Privacy Protection, which fetches every picture beforehand and says nothing but `Mozilla/5.0` (the same).
- Tools for scripts: suped.com, "How can I identify bot user agents in my email click data?".
- Barracuda's addresses: campus.barracuda.com, "IP Analysis - Inbound". Microsoft's are not here: its image proxy
  fetches pictures for people who look (warmbly/warmbly#412).
"""

from ipaddress import ip_address, ip_network

# Parts of a name, in lower case.
_NAMES = (
    *("barracuda", "proofpoint", "mimecast", "ironport", "ciscosecureemail", "fortimail", "sophos"),
    *("bingpreview", "safelinks", "edge/12.246 mozilla/5.0", "gmail-content-sampling"),
    *("headlesschrome", "python-requests", "python-urllib", "aiohttp", "curl/", "wget/", "go-http-client"),
    *("apache-httpclient", "java/", "jetty/", "lua-resty-http"),
)
# Names that are nothing else.
_WHOLE_NAMES = frozenset({"mozilla/5.0"})
_NETWORKS = (ip_network("209.222.80.0/21"),)
# Longer is no name of a program any more, and not looked through.
_LONGEST_NAME = 1_000


def is_machine(user_agent: object, address: object) -> bool:
    """Whether this is how a known scanner or prefetcher names itself, or where it comes from.

    Both as somebody told them: what is no text, or no address, says nothing.
    """
    return _is_known_name(user_agent) or _is_known_address(address)


def _is_known_name(user_agent: object) -> bool:
    if not isinstance(user_agent, str):
        return False
    name = user_agent[:_LONGEST_NAME].strip().lower()
    return name in _WHOLE_NAMES or any(each in name for each in _NAMES)


def _is_known_address(address: object) -> bool:
    if not isinstance(address, str):
        return False
    try:
        found = ip_address(address.strip())
    except ValueError:
        return False
    return any(found in network for network in _NETWORKS)
