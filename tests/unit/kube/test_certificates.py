"""The reader of certificates: k3s' own, those of others, and what is no certificate."""

from __future__ import annotations

import base64
import datetime
import pathlib
import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from provision.kube import certificates
from provision.provider.k3s import certificates as k3s_certificates
from provision.provider.k3s import client_ca
from tests.support import k3snode

KEY = ec.generate_private_key(ec.SECP256R1())


def made(issuer: str, subject: str, ends: datetime.datetime) -> x509.Certificate:
    def name(text: str) -> x509.Name:
        organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "an organization")
        return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, text)])

    begins = datetime.datetime(1990, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name(issuer), name(subject), KEY.public_key(), 2**120)
    return builder.not_valid_before(begins).not_valid_after(ends).sign(KEY, hashes.SHA256())


def test_an_authority_of_k3s_with_the_serial_number_0_is_read_without_a_warning() -> None:
    (one,) = certificates.parse(k3snode.AUTHORITY_OF_K3S)
    assert one.common_name == "k3s-client-ca@1785542400"
    assert one.not_after == datetime.datetime(2036, 11, 27, 12, 19, 48, tzinfo=datetime.UTC)
    assert one.signs_itself
    assert one.pem == k3snode.AUTHORITY_OF_K3S


def test_what_is_done_with_the_authority_needs_no_loader_that_refuses_it() -> None:
    old = k3snode.AUTHORITY_OF_K3S
    assert client_ca.problem(old) == ""
    both = k3s_certificates.make()[0] + old
    assert client_ca.under_way(both)
    assert k3s_certificates.first(both) + old == both
    assert not k3s_certificates.is_ours(old)


@given(
    subject=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)
    .map(lambda text: text[:64])
    .filter(lambda text: len(text.encode()) <= 64),
    ends=st.datetimes(
        datetime.datetime(1995, 1, 1),
        datetime.datetime(2400, 1, 1),
        timezones=st.just(datetime.UTC),
    ).map(lambda time: time.replace(microsecond=0)),
)
def test_it_reads_what_other_libraries_read(subject: str, ends: datetime.datetime) -> None:
    other = made("the issuer", subject, ends)
    (one,) = certificates.parse(other.public_bytes(serialization.Encoding.PEM).decode())
    assert one.common_name == subject
    assert one.not_after == ends
    assert one.signs_itself is (subject == "the issuer")
    assert one.pem == other.public_bytes(serialization.Encoding.PEM).decode()


def test_text_around_certificates_is_ignored_and_their_order_kept() -> None:
    own = k3s_certificates.make()[0]
    text = f"a heading\r\n{own}\nbetween\n{k3snode.AUTHORITY_OF_K3S}the end"
    names = [one.common_name for one in certificates.parse(text)]
    assert names[0].startswith(k3s_certificates.NAME)
    assert names[1] == "k3s-client-ca@1785542400"
    assert certificates.parse("") == certificates.parse("no certificate") == ()


def pem(der: bytes) -> str:
    body = base64.b64encode(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


WHOLE = base64.b64decode("".join(k3snode.AUTHORITY_OF_K3S.splitlines()[1:-1]))


@given(st.data())
def test_a_damaged_certificate_is_an_error_of_its_own(data: st.DataObject) -> None:
    damaged = bytearray(WHOLE[: data.draw(st.integers(0, len(WHOLE)))])
    for at in data.draw(st.lists(st.integers(0, max(0, len(damaged) - 1)), max_size=4)):
        if damaged:
            damaged[at] = data.draw(st.integers(0, 255))
    try:
        certificates.parse(pem(bytes(damaged)))
    except certificates.CertificateError as error:
        assert "certificate" in str(error) or "than RFC 5280" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        k3snode.AUTHORITY_OF_K3S[:-30],
        k3snode.AUTHORITY_OF_K3S.replace("MII", "M*I"),
        pem(b""),
        pem(WHOLE[:-1]),
        pem(b"\x30\x80" + WHOLE[4:] + b"\x00\x00"),
    ],
    ids=["cut", "characters", "empty", "short", "indefinite length"],
)
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(certificates.CertificateError):
        certificates.parse(text)


def test_no_other_module_loads_a_certificate_that_k3s_may_have_made() -> None:
    """Sealing keys and the authority of the sandbox's forge have random serial numbers."""
    root = pathlib.Path(__file__).parents[3]
    loading = {
        str(path.relative_to(root))
        for folder in ("provision", "stacks")
        for path in (root / folder).rglob("*.py")
        if re.search(r"x509\.load_", path.read_text())
    }
    assert loading == {
        "provision/gitops/sealing/keys.py",
        "provision/sandbox/forge/authority.py",
    }
