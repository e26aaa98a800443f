"""Whether the host key that a server shows is the right one, and what to say when it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from provision import errors
from provision.host import certificates, handshake, hostkey, reach

if TYPE_CHECKING:
    import paramiko


_WEAK = ("ssh-rsa", "ssh-dss")
"""Signatures with SHA-1, which ssh refuses too."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a host key is refused. `retry`: another key of the same server may be accepted."""

    error: errors.HostKeyError
    retry: bool = True


def judge(
    login: reach.Route, connection: paramiko.Transport, trust: hostkey.Trust
) -> Refusal | None:
    """Return why the key that `connection` has shown is refused; None: it is accepted.

    It is accepted when it is pinned, or certified by an authority for this host; never when
    it, or its authority, is revoked.
    """
    shown = handshake.shown_key(connection)
    certificate = handshake.shown_certificate(connection)
    keys = [shown, certificate.authority] if certificate is not None else [shown]
    for key in keys:
        entry = trust.revoking(key)
        if entry is not None:
            whose = "host key" if key is shown else "authority of the host certificate"
            error = _error(
                f"the {whose} of {login.label} is revoked",
                login,
                trust,
                key,
                detail=f"shown: {key.fingerprint} ({key.type}); revoked in {entry.where}",
                hint="do not use this machine before you know why its key was revoked",
            )
            return Refusal(error=error, retry=False)
    if trust.accepts(shown):
        return None
    if trust.authorities and (certificate is not None or not trust.pins):
        return _uncertified(login, trust, shown, certificate)
    error = _error(
        f"the host key of {login.label} is not the pinned one",
        login,
        trust,
        shown,
        detail=f"pinned: {trust.fingerprints} ({trust.source})\n"
        f"shown:  {shown.fingerprint} ({shown.type})",
        hint="someone may be in between; if the machine was really installed anew, "
        "pin its new key: hostKey in the configuration"
        + ("" if trust.source == "hostKey" else f", or in {trust.source}"),
    )
    return Refusal(error=error)


def _uncertified(
    login: reach.Route,
    trust: hostkey.Trust,
    shown: hostkey.HostKey,
    certificate: certificates.Certificate | None,
) -> Refusal | None:
    """Return why the host's certificate does not prove who it is; None: it does."""
    named = ", ".join(f"{one.pin.fingerprint} ({one.where})" for one in trust.authorities)
    key = f"shown:  {shown.fingerprint} ({shown.type})\nauthorities: {named}"
    pin = "or pin the host's own key: hostKey in the configuration"
    if certificate is None:
        error = _error(
            f"{login.label} shows no host certificate, and no host key is pinned for it",
            login,
            trust,
            shown,
            detail=key,
            hint=f"set HostCertificate in its SSH server's configuration, {pin}",
        )
        return Refusal(error=error)
    reason = certificate.refusal(login.known_as[-1], trust) or signature(certificate)
    if not reason:
        return None
    error = _error(
        f"the host certificate of {login.label} is not valid: {reason}",
        login,
        trust,
        shown,
        detail=f"certificate: {certificate.key_id!r}\n{key}",
        hint=f"sign the host's key anew (ssh-keygen -s CA -h -I ID -n {login.known_as[-1]}), {pin}",
    )
    return Refusal(error=error)


def signature(certificate: certificates.Certificate) -> str:
    """Return why the signature of `certificate` is not that of its authority, or nothing."""
    handshake.library()
    import paramiko
    from paramiko import pkey

    authority = certificate.authority
    try:
        algorithm = certificates.string(certificate.signature, 0)[0].decode("ascii")
        if algorithm in _WEAK:
            return f"it is signed with {algorithm}, which is too weak"
        key = paramiko.PKey.from_type_string(authority.type, authority.blob)
    except (paramiko.SSHException, pkey.UnknownKeyType, ValueError):
        return f"elysium cannot check signatures of a {authority.type} authority"
    try:
        good = key.verify_ssh_sig(certificate.signed, paramiko.Message(certificate.signature))
    except Exception:  # noqa: BLE001 - a signature that cannot be read is none
        good = False
    return "" if good else "its signature is wrong"


def _error(
    summary: str,
    login: reach.Route,
    trust: hostkey.Trust,
    shown: hostkey.HostKey,
    *,
    detail: str,
    hint: str,
) -> errors.HostKeyError:
    return errors.HostKeyError(
        summary,
        host=login.label,
        expected=trust.fingerprints,
        got=shown.fingerprint,
        detail=detail,
        hint=hint,
    )
