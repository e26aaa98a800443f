"""The second half of a connection: proving who we are.

Keys are tried as ssh does: first the certificates of CertificateFile, then those in the agent
that belong to a key file, then the agent's others, then the files, each with the certificate
beside it. A given key is the only one: the agent is
asked for it and for no other. The password comes last. A server that ends the
connection after some refused keys is asked for the others on a new one. All of it has one
deadline, however slowly or often the server asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import errors, hostkeys
from provision.host import certificates, handshake, identities, interactive, limits, link, reach

_CONNECTIONS = 4
"""Connections for one login. sshd ends each after MaxAuthTries refused keys, six by default."""


@dataclass(frozen=True, kw_only=True)
class _Way:
    """One way to log in: how it is named, and what to do on a connection."""

    title: str
    attempt: Callable[[Any], Any]


class Login:
    """What is tried at one server, over one or several connections."""

    def __init__(self, route: reach.Route, deadline: limits.Deadline, timeout: float) -> None:
        """Prepare; `timeout` in seconds bounds each key and password, `deadline` all of it."""
        self._route = route
        self._deadline = deadline
        self._timeout = timeout
        self._host = route.label
        self._tried: list[str] = []
        self._skipped: list[str] = []
        self._ways: list[_Way] | None = None
        self._stack = contextlib.ExitStack()
        self._connections = 0

    def __enter__(self) -> Login:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def on(self, connection: Any) -> bool:
        """Log in on `connection`; False: go on, on a new one, with what is left to try.

        Raises `errors.AuthError`, which names what was tried, `errors.ConnectError` for a
        server that does not answer, and `limits.OverdueError`.
        """
        paramiko = handshake.library()
        if self._ways is None:
            self._ways = list(self._all_ways())
        self._connections += 1
        refused_here = 0
        while self._ways:
            step = connection.auth_timeout = self._deadline.step(self._timeout)
            way = self._ways.pop(0)
            self._tried.append(way.title)
            try:
                if self._accepted(way, connection):
                    return True
            except interactive.AsksMoreError as error:
                raise self._asked(error) from error
            except (paramiko.SSHException, EOFError, OSError) as error:
                if "timeout" in str(error).lower():
                    self._deadline.step(self._timeout)
                    raise self._silent(step, error) from error
                if connection.is_active() or not refused_here:
                    raise self._broke_off(error) from error
                self._ways.insert(0, way)
                self._tried.pop()
            refused_here += 1
            if connection.is_active():
                continue
            if len(self._tried) == 1 and not self._ways:
                raise self._broke_off(EOFError("the connection ended during the login"))
            if self._ways:
                if self._connections < _CONNECTIONS:
                    return False
                raise self._refused(f"it ended {self._connections} connections in between")
        raise self._refused("")

    def _accepted(self, way: _Way, connection: Any) -> bool:
        """Try one way to log in; False when the server refuses it."""
        paramiko = handshake.library()
        try:
            left = way.attempt(connection)
        except paramiko.BadAuthenticationType:
            return False
        except paramiko.AuthenticationException as error:
            if "timeout" in str(error).lower():
                raise
            return False
        return not left

    def _all_ways(self) -> Iterator[_Way]:
        """Yield the ways in their order. Raises `errors.AuthError` for a given key of no use."""
        route = self._route
        files = [identities.read(path, route.passphrase) for path in route.keys]
        agent = self._stack.enter_context(identities.agent_keys(route.agent))
        by_blob = {key.asbytes(): key for key in agent}
        signers = by_blob | {file.blob: file.key for file in files if file.key is not None}
        known = {file.blob for file in files}
        known |= {file.certificate.blob for file in files if file.certificate is not None}
        shown: set[bytes] = set()
        for path in route.certificates:
            found = certificates.read(path)
            if found is None or found.key.blob not in signers:
                why = "no certificate" if found is None else "no private key for it"
                self._skipped.append(f"certificate {path} ({why})")
                continue
            yield self._certificate(path, found, signers)
            shown.add(found.blob)
        mine = [blob for blob in by_blob if blob in known]
        order = mine + ([] if route.only else [blob for blob in by_blob if blob not in mine])
        for blob in order:
            if blob not in shown:
                yield self._key(f"agent key {_shown(by_blob[blob], blob)}", by_blob[blob])
        for file in files:
            if file.state == "usable":
                if file.blob not in order:
                    yield self._key(f"key {file.path}", file.key)
            elif file.state != "absent" and file.blob not in order:
                self._skipped.append(f"{file.path} ({_WHY[file.state]})")
            found = file.certificate
            if found is not None and file.blob in signers and found.blob not in {*shown, *order}:
                yield self._certificate(Path(f"{file.path}-cert.pub"), found, signers)
            usable = {file.blob} | ({found.blob} if found is not None else set())
            if route.given and not usable & {*order}:
                self._check_given(file)
        if route.password:
            password = route.password
            yield _Way(
                title="password", attempt=lambda c: interactive.password(c, route.user, password)
            )

    def _key(self, title: str, key: Any) -> _Way:
        user = self._route.user
        return _Way(title=title, attempt=lambda connection: connection.auth_publickey(user, key))

    def _certificate(
        self, path: Path, found: certificates.Certificate, signers: Mapping[bytes, Any]
    ) -> _Way:
        key = identities.certified(signers[found.key.blob], found)
        return self._key(f"certificate {path}", key)

    def _check_given(self, file: identities.KeyFile) -> None:
        """Raise for the key that the configuration gives, when nothing can sign with it."""
        if file.state == "usable" or self._route.password:
            return
        agent = "the SSH agent does not have it" if self._route.agent else "no SSH agent runs"
        found = {
            "absent": ("does not exist", "set identityFile to an existing private key"),
            "unreadable": (f"cannot be read: {file.reason}", "check its owner and mode"),
            "public": (
                f"holds only the public half, and {agent}",
                "add the private key to the agent (ssh-add), or name its file",
            ),
            "locked": (
                f"is locked with a passphrase, and {agent}",
                "set passphrase in the configuration, or add the key to an SSH agent (ssh-add)",
            ),
            "broken": (
                "is not a private key, or not opened",
                "set passphrase in the configuration, or add the key to an SSH agent (ssh-add)",
            ),
        }
        words, hint = found[file.state]
        summary = f"the key file {file.path} for {self._host} {words}"
        raise errors.AuthError(summary, host=self._host, hint=hint)

    def _refused(self, more: str) -> errors.AuthError:
        route = self._route
        skipped = f"not tried: {', '.join(self._skipped)}" if self._skipped else ""
        if not self._tried:
            return errors.AuthError(
                f"there is nothing to log in to {self._host} with",
                host=self._host,
                detail=skipped,
                hint="set identityFile or password in the configuration, or start an SSH agent",
            )
        left = ", ".join(way.title for way in self._ways or ())
        lines = (
            f"tried: {', '.join(self._tried)}",
            skipped,
            f"not tried: {left}" if left else "",
            more,
        )
        hint = (
            "name the right key: identityFile in the configuration"
            if left
            else f"check the user, and that the key is in ~{route.user}/.ssh/authorized_keys there"
        )
        return errors.AuthError(
            f"{self._host} does not let {route.user} in",
            host=self._host,
            detail="\n".join(line for line in lines if line),
            hint=hint,
        )

    def overdue(self) -> errors.ConnectError:
        """Return the error for a login that took more than all of its time."""
        tried = f"tried: {', '.join(self._tried)}" if self._tried else ""
        return errors.ConnectError(
            f"the login to {self._host} did not end within {self._deadline.seconds:.0f} s",
            host=self._host,
            detail=tried,
            hint="look at the network to it and at its load; name the right key where many are"
            " tried (identityFile in the configuration)",
        )

    def _silent(self, seconds: float, error: Exception) -> errors.ConnectError:
        return errors.ConnectError(
            f"{self._host} did not answer the login of {self._route.user} within {seconds:.0f} s",
            host=self._host,
            detail=f"{error}\ntried: {', '.join(self._tried)}",
            hint="check the network to it, and its load; its SSH server may wait for something"
            " itself (DNS, PAM, a directory of users)",
        )

    def _asked(self, error: interactive.AsksMoreError) -> errors.AuthError:
        return errors.AuthError(
            f"{self._host} asks for more than a password to let {self._route.user} in",
            host=self._host,
            detail=str(error),
            hint="elysium answers no other questions: log in with a key, or have the server let"
            " this user in without them; an expired password is changed with ssh",
        )

    def _broke_off(self, error: Exception) -> errors.AuthError:
        return errors.AuthError(
            f"{self._host} broke off the login of {self._route.user}",
            host=self._host,
            detail=f"{link.words(error)}\ntried: {', '.join(self._tried)}",
            hint="look at its SSH server's log: it may ban addresses after failed logins, or be"
            " overloaded",
        )


_WHY = {
    "unreadable": "cannot be read",
    "public": "only the public half",
    "locked": "locked with a passphrase, and not in the agent",
    "broken": "no private key, or not opened",
}


def _shown(key: Any, blob: bytes) -> str:
    comment = str(getattr(key, "comment", "") or "")
    return " ".join(part for part in (hostkeys.fingerprint(blob), comment) if part)
