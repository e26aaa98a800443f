"""The few fields of an X.509 certificate that are needed, read from its DER.

k3s gives its authorities the serial number 0, which RFC 5280 forbids. The loader
of ``cryptography`` warns about such a certificate and is going to refuse it.
Nothing here depends on the serial number, and no signature is checked: TLS does
that where a certificate is used.

Facts: RFC 5280, section 4.1 (the structure of a certificate); X.690, section 8
and 10 (DER: definite lengths, in the fewest octets).
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_BLOCK: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----[ \t]*\r?\n(.*?)-----END CERTIFICATE-----", re.DOTALL
)
_COMMON_NAME: Final = bytes((0x55, 0x04, 0x03))
"""The object identifier 2.5.4.3."""

_INTEGER, _OID, _SEQUENCE, _SET = 0x02, 0x06, 0x30, 0x31
_VERSION: Final = 0xA0
_TEXTS: Final = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1E: "utf-16-be"}
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18


class CertificateError(ValueError):
    """The text holds something that is not a certificate. It quotes no content."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """One certificate.

    `issuer` and `subject` are names in DER, to be compared only. `common_name`
    is the first one of the subject, empty where it has none.
    """

    pem: str
    issuer: bytes
    subject: bytes
    common_name: str
    not_after: datetime.datetime

    @property
    def signs_itself(self) -> bool:
        """Whether issuer and subject are the same."""
        return self.issuer == self.subject


def parse(text: str) -> tuple[Certificate, ...]:
    """Return the certificates in `text` (PEM), in order; what is between them is ignored.

    Raises `CertificateError` for a block that is not a certificate.
    """
    if "-----BEGIN CERTIFICATE-----" not in text:
        return ()
    blocks = _BLOCK.findall(text)
    if len(blocks) != text.count("-----BEGIN CERTIFICATE-----"):
        raise CertificateError("a PEM block is cut off")
    return tuple(_certificate(block) for block in blocks)


def _certificate(block: str) -> Certificate:
    try:
        der = base64.b64decode("".join(block.split()), validate=True)
    except (binascii.Error, ValueError):
        raise CertificateError("a PEM block is not base64") from None
    ((outer, signed),) = _only(der, 1)
    _require(outer, _SEQUENCE, "the certificate")
    (tag, body), *_ = _elements(signed) or [(0, b"")]
    _require(tag, _SEQUENCE, "its signed part")
    fields = _elements(body)
    if fields and fields[0][0] == _VERSION:
        fields = fields[1:]
    if len(fields) < 5:
        raise CertificateError("a certificate lacks fields")
    serial, _algorithm, issuer, validity, subject = fields[:5]
    _require(serial[0], _INTEGER, "the serial number")
    for name, field in (("issuer", issuer), ("validity", validity), ("subject", subject)):
        _require(field[0], _SEQUENCE, f"the {name}")
    _begins, ends = _only(validity[1], 2)
    lines = re.findall(r".{1,64}", base64.b64encode(der).decode())
    return Certificate(
        pem="\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", "")),
        issuer=issuer[1],
        subject=subject[1],
        common_name=_common_name(subject[1]),
        not_after=_time(*ends),
    )


def _common_name(name: bytes) -> str:
    for tag, relative in _elements(name):
        _require(tag, _SET, "a part of a name")
        for _tag, pair in _elements(relative):
            (kind, identifier), (encoding, value) = _only(pair, 2)
            if (kind, identifier) == (_OID, _COMMON_NAME):
                return value.decode(_TEXTS.get(encoding, "latin-1"), "replace")
    return ""


def _time(tag: int, value: bytes) -> datetime.datetime:
    """Return a time of RFC 5280, 4.1.2.5: UTC, with seconds."""
    text = value.decode("ascii", "replace")
    if tag == _UTC_TIME and re.fullmatch(r"\d{12}Z", text):
        text = ("20" if text[:2] < "50" else "19") + text
    elif tag != _GENERALIZED_TIME or not re.fullmatch(r"\d{14}Z", text):
        raise CertificateError("a certificate has a time of an unknown form")
    try:
        found = datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ")
    except ValueError:
        raise CertificateError("a certificate has a time that does not exist") from None
    return found.replace(tzinfo=datetime.UTC)


def _only(content: bytes, count: int) -> list[tuple[int, bytes]]:
    found = _elements(content)
    if len(found) != count:
        raise CertificateError("a certificate has another structure than RFC 5280 says")
    return found


def _elements(content: bytes) -> list[tuple[int, bytes]]:
    return list(_walk(content))


def _walk(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and value of each element that `content` consists of."""
    at = 0
    while at < len(content):
        header = content[at : at + 2]
        if len(header) < 2 or header[0] & 0x1F == 0x1F:
            raise CertificateError("a certificate is not DER")
        length, at = header[1], at + 2
        if length >= 0x80:
            octets = content[at : at + (length & 0x7F)]
            at += len(octets)
            wrong = not 1 <= len(octets) <= 4 or len(octets) != length & 0x7F
            length = int.from_bytes(octets, "big")
            if wrong or octets[0] == 0 or length < 0x80:
                raise CertificateError("a certificate is not DER")
        value = content[at : at + length]
        if len(value) != length:
            raise CertificateError("a certificate is cut off")
        at += length
        yield header[0], value


def _require(tag: int, expected: int, what: str) -> None:
    if tag != expected:
        raise CertificateError(f"{what} has another type than RFC 5280 says")
