"""Proving a deploy key: real git conversations over SSH, with pinned host keys.

`fetch_head` is what ``git fetch --depth 1`` does on the wire, `push_allowed`
what ``git push`` does before it sends anything. No git binary is needed and
the private key is never in a file.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import socket
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from provision import errors
from provision.host import channel as channels
from provision.host import gitkeys, gitwire, hostkey, link
from provision.secret import Secret

if TYPE_CHECKING:
    import paramiko

_COMPLAINT = 64 * 1024
"""Bytes that are read of what the server complains of."""
_READ_ONLY = re.compile(
    r"read[- ]?only|not allowed to push|write access|permission (to .* )?denied|not authorized",
    re.I,
)
_ABSENT = re.compile(r"not found|does not exist|not appear to be a git repository|no such", re.I)


@dataclass(frozen=True, kw_only=True)
class Remote:
    """Where a repository is: ``ssh://user@host:port/path``."""

    host: str
    port: int
    user: str
    path: str

    @property
    def known_as(self) -> str:
        """The name in a known_hosts line."""
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"


def parse_url(url: str) -> Remote:
    """Read a repository's SSH URL. Raises `errors.ConfigError` for any other."""
    parts = urlsplit(url)
    if parts.scheme != "ssh" or not parts.hostname or not parts.path.strip("/"):
        raise errors.ConfigError(
            "the repository's address is no SSH URL",
            [errors.Problem(message=f"{url} is not ssh://git@host/owner/repository")],
        )
    return Remote(
        host=parts.hostname,
        port=parts.port or 22,
        user=parts.username or "git",
        path=parts.path,
    )


def fetch_head(
    url: str, private_key: Secret, known_hosts: str, branch: str, timeout: float = 30
) -> str:
    """Fetch the head of `branch` and return its commit id.

    One commit is received and its pack checked, so the key may read, not only
    log in. `private_key` is a PEM or OpenSSH text without a passphrase,
    `known_hosts` the pinned host keys, `timeout` in seconds for everything.

    Raises:
        errors.HostKeyError: the server shows a key that is not pinned.
        errors.AuthError: the server refuses the deploy key.
        errors.CodeHostError: no such repository or branch for this key.
        errors.RemoteError: anything else; `detail` has the server's words.
    """
    remote = parse_url(url)
    with _service(remote, "git-upload-pack", private_key, known_hosts, timeout) as talk:
        offered = gitwire.read_advertisement(talk.lines)
        oid = offered.refs.get(f"refs/heads/{branch}")
        if oid is None:
            talk.send(gitwire.FLUSH)
            raise errors.CodeHostError(
                f"{url} has no branch {branch}",
                operation=f"fetch {branch}",
                status=404,
                hint="check github.branch, and that the repository has a first commit",
            )
        talk.send(gitwire.want_one_commit(oid, offered.capabilities))
        gitwire.read_shallow(talk.lines, offered.capabilities)
        talk.send(gitwire.packet("done"))
        gitwire.receive_pack(talk.lines, offered.capabilities)
        return oid


def push_allowed(url: str, private_key: Secret, known_hosts: str, timeout: float = 30) -> bool:
    """Return whether the key may push. The conversation ends before anything is sent.

    Raises as `fetch_head` does, except that a refused push is False.
    """
    remote = parse_url(url)
    with _service(remote, "git-receive-pack", private_key, known_hosts, timeout) as talk:
        try:
            gitwire.read_advertisement(talk.lines)
        except gitwire.WireError as error:
            if _READ_ONLY.search(f"{error.remote}\n{talk.complaint()}"):
                return False
            raise
        talk.send(gitwire.FLUSH)
        return True


class _Conversation:
    """One git service on one channel, with one deadline."""

    def __init__(self, channel: paramiko.Channel, deadline: float) -> None:
        self._channel = channel
        self._deadline = deadline
        self.lines = gitwire.Lines(self._read)

    def send(self, data: bytes) -> None:
        self._channel.settimeout(_left(self._deadline))
        self._channel.sendall(data)

    def complaint(self) -> str:
        """Return what the server wrote to standard error, when it has ended."""
        self._channel.settimeout(min(_left(self._deadline), 5))
        text = b""
        with contextlib.suppress(OSError):
            while len(text) < _COMPLAINT and (part := self._channel.recv_stderr(4096)):
                text += part
        return text.decode("utf-8", "replace").strip()

    def _read(self, size: int) -> bytes:
        self._channel.settimeout(_left(self._deadline))
        return self._channel.recv(size)


@contextlib.contextmanager
def _service(
    remote: Remote, program: str, private_key: Secret, known_hosts: str, timeout: float
) -> Generator[_Conversation]:
    """Open `program` on the remote; translate every failure inside the block."""
    import paramiko

    deadline = time.monotonic() + timeout
    transport: paramiko.Transport | None = None
    try:
        transport = _connect(remote, known_hosts, deadline)
        _log_in(transport, remote, private_key, deadline)
        channel = transport.open_session(timeout=_left(deadline))
        channel.settimeout(_left(deadline))
        channels.start(channel, f"{program} {shlex.quote(remote.path)}", _left(deadline))
        talk = _Conversation(channel, deadline)
        try:
            yield talk
        except gitwire.WireError as error:
            raise _wire_failure(error, talk, remote, program) from error
    except TimeoutError as error:
        raise errors.RemoteTimeoutError(
            f"{remote.known_as} did not finish {program} within {timeout:.0f} s",
            host=remote.host,
            hint="check the network to the git server, then run the same command again",
        ) from error
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise errors.ConnectError(
            f"the git server {remote.known_as} cannot be reached by SSH",
            host=remote.host,
            detail=link.words(error),
            hint="check github.sshHost and github.sshPort, and that a firewall lets it through",
        ) from error
    finally:
        if transport is not None:
            transport.close()


def _connect(remote: Remote, known_hosts: str, deadline: float) -> paramiko.Transport:
    """Connect and check the host key against the pinned ones."""
    import paramiko
    from paramiko import ssh_exception

    pins = gitkeys.pinned(known_hosts, remote.known_as)
    if not pins:
        raise errors.HostKeyError(
            f"no host key is pinned for the git server {remote.known_as}",
            host=remote.host,
            expected="",
            got="",
            hint="pin its keys in github.gitHostKeys, as its administrator has them",
        )
    sock = socket.create_connection((remote.host, remote.port), timeout=_left(deadline))
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = paramiko.Transport(sock)
    except BaseException:
        sock.close()
        raise
    try:
        transport.set_log_channel("elysium.host.git")
        _prefer(transport, pins)
        transport.banner_timeout = transport.auth_timeout = _left(deadline)
        transport.start_client(timeout=_left(deadline))
        shown = transport.get_remote_server_key()
    except BaseException as error:
        transport.close()
        if isinstance(error, ssh_exception.IncompatiblePeer):
            raise _mismatch(remote, pins, "a key of another type") from error
        raise
    if shown.asbytes() not in pins:
        transport.close()
        raise _mismatch(remote, pins, hostkey.fingerprint(shown.asbytes()))
    return transport


def _mismatch(remote: Remote, pins: dict[bytes, str], got: str) -> errors.HostKeyError:
    expected = ", ".join(hostkey.fingerprint(blob) for blob in pins) or "none is pinned"
    return errors.HostKeyError(
        f"the git server {remote.known_as} shows a host key that is not the pinned one",
        host=remote.host,
        expected=expected,
        got=got,
        detail=f"expected {expected}\ngot {got}",
        hint="somebody may be in between; if the server's keys changed, pin the new ones"
        " in github.gitHostKeys after checking them",
    )


def _prefer(transport: paramiko.Transport, pins: dict[bytes, str]) -> None:
    """Ask the server for a host key of a pinned type only."""
    options = transport.get_security_options()
    types = set(pins.values())
    if "ssh-rsa" in types:
        types |= {"rsa-sha2-512", "rsa-sha2-256"}
    wanted = [kind for kind in options.key_types if kind in types]
    if wanted:
        options.key_types = wanted


def _log_in(
    transport: paramiko.Transport, remote: Remote, private_key: Secret, deadline: float
) -> None:
    import paramiko

    key = gitkeys.load(private_key)
    transport.auth_timeout = _left(deadline)
    try:
        transport.auth_publickey(remote.user, key)
    except paramiko.AuthenticationException as error:
        raise errors.AuthError(
            f"the git server {remote.known_as} refuses the deploy key",
            host=remote.host,
            detail=f"{key.get_name()} {hostkey.fingerprint(key.asbytes())}",
            hint="it is not registered on the repository (any more), or disabled",
        ) from error


def _wire_failure(
    error: gitwire.WireError, talk: _Conversation, remote: Remote, program: str
) -> errors.ElysiumError:
    words = "\n".join(part for part in (error.remote, talk.complaint()) if part)
    where = f"{remote.known_as}{remote.path}"
    if _ABSENT.search(words):
        return errors.CodeHostError(
            f"the git server shows the deploy key no repository {where}",
            operation=program,
            status=404,
            detail=words,
            hint="check github.owner and github.repository; a deploy key opens one repository only",
        )
    return errors.RemoteError(
        f"{program} on {where} failed: {error}",
        host=remote.host,
        detail=words,
        hint="run the same command again",
    )


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
