"""The HTTP client over TLS: nothing leaves before the other side has proved who it is."""

import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clarion.lib.http import HttpClient
from clarion.lib.sending import NotSent
from tests.sandbox.scripted import Caller, answer, answering, scripted

SOON = 0.5  # seconds: a handshake on loopback takes hundredths


def self_signed(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1 that nobody vouches for, and its key, into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.com")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = folder / "self-signed.pem"
    path.write_bytes(
        key.private_bytes(pem, pkcs8, serialization.NoEncryption()) + certificate.public_bytes(pem)
    )
    return path


def test_a_certificate_nobody_vouches_for_is_not_accepted(tmp_path):
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(self_signed(tmp_path))

    async def run():
        async with scripted(answering(answer(200)), ssl=tls) as server, HttpClient(timeout=SOON) as http:
            with pytest.raises(NotSent, match="self-signed certificate") as caught:
                await http.post_json(f"https://127.0.0.1:{server.port}/", body={})

        assert caught.value.code == "tls"
        assert server.requests == []

    asyncio.run(run())


async def saying_nothing(caller: Caller) -> None:
    await caller.silence()


async def speaking_plain_http(caller: Caller) -> None:
    await caller.reader.read(1)
    await caller.say(answer(200))


@pytest.mark.parametrize(("script", "code"), [(saying_nothing, "timeout"), (speaking_plain_http, "tls")])
def test_a_server_without_tls_gets_nothing_over_https(script, code):
    async def run():
        async with scripted(script) as server, HttpClient(timeout=5, connect_timeout=SOON) as http:
            with pytest.raises(NotSent) as caught:
                await http.post_json(f"https://127.0.0.1:{server.port}/", body={})

        assert caught.value.code == code

    asyncio.run(run())
