"""The SSH connection itself: made when first used, made again after it broke.

Built from `handshake` (socket, host key), `auth` (who we are) and `channel`
(one command). paramiko is imported when a node is contacted, never before.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.host import (
    auth,
    channel,
    handshake,
    hostkey,
    limits,
    link,
    reach,
    sessions,
    trusting,
)

if TYPE_CHECKING:
    import paramiko

    from provision import config

_LOG = logging.getLogger("elysium.host")
_TIMEOUT = 15.0
_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512")

Completed = channel.Completed


class Transport:
    """One SSH connection, made when first used and made again after it broke.

    Safe to use from several threads: each command has a channel of its own.
    """

    def __init__(
        self,
        login: config.SshLogin | reach.Route,
        *,
        jump: config.SshLogin | None = None,
        timeout: float | None = None,
        times: limits.Limits | None = None,
    ) -> None:
        """Prepare; `timeout` in seconds bounds each step of connecting, `times` all the rest.

        `times.login` bounds connecting to one server as a whole, a jump host apart.

        Raises `errors.ConfigError` where ssh's client configuration cannot be used.
        """
        route = login if isinstance(login, reach.Route) else reach.route(login, jump)
        self.login = route
        self.times = times or limits.DEFAULT
        self._timeout = timeout or self.times.connect
        self._jump = (
            Transport(route.jump, timeout=timeout, times=self.times)
            if route.jump is not None
            else None
        )
        self._guard = threading.Lock()
        self._sessions: sessions.Sessions | None = None
        self.connections = 0
        self.commands = 0

    @property
    def host(self) -> str:
        """The server as it is named in messages: ``host``, or ``host:port``."""
        return handshake.label(self.login)

    def execute(self, job: channel.Job, *, on: sessions.Sessions | None = None) -> Completed:
        """Run a job in the login's shell; see `channel.execute`.

        `on` is the connection to use. Otherwise a standing one that turns out to
        be dead before the command was accepted is made again, once.
        """
        used, opened = self.begin(job.what, on=on)
        self.commands += 1
        try:
            return channel.execute(opened, job, host=self.host, times=self.times)
        except (channel.LostError, handshake.library().SSHException, EOFError, OSError) as error:
            raise self.failure(used, job.what, error) from error
        finally:
            used.close(opened)

    def open_session(self, timeout: float) -> paramiko.Channel:
        """Return a fresh session channel, for a caller that drives it itself, and briefly."""
        return self.connected().open_session(timeout=timeout)

    def begin(
        self, what: str, *, on: sessions.Sessions | None = None, lasting: bool = False
    ) -> tuple[sessions.Sessions, paramiko.Channel]:
        """Return a fresh session and the connection it is on, which closes it.

        Raises `errors.ConnectError`.
        """
        fresh = self._sessions is None
        used = on or self.sessions()
        try:
            return used, used.open(lasting=lasting)
        except (handshake.library().SSHException, EOFError, OSError) as error:
            if used.active or used.link.dead or fresh or on is not None:
                raise self.failure(used, what, error) from error
            _LOG.debug("the connection to %s is gone (%s): connecting again", self.host, error)
        return self.begin(what, on=self.sessions(), lasting=lasting)

    def close(self) -> None:
        """Close the connection; the next command makes a new one."""
        with self._guard:
            if self._sessions is not None:
                handshake.shut(self._sessions.connection)
                self._sessions = None
        if self._jump is not None:
            self._jump.close()

    def sessions(self) -> sessions.Sessions:
        """Return the sessions of the connection, made now if there is none that lives."""
        with self._guard:
            if self._sessions is None or not self._sessions.active:
                self._sessions = sessions.Sessions(self._connect(), self.host, self.times)
            return self._sessions

    def connected(self) -> paramiko.Transport:
        """Return the connection, made now if there is none that lives."""
        return self.sessions().connection

    @property
    def sessions_standing(self) -> bool:
        """Whether there is a connection that lives."""
        return self._sessions is not None and self._sessions.active

    def dead_link(self) -> str:
        """Return the host whose link is dead, the jump host before the one behind it.

        Asked when a connection is dead already: the link of a jump host that was silent for
        half of the time then is dead as well, whichever of the two is noticed first.
        """
        through = self._jump.dead_link() if self._jump is not None else ""
        link = self._sessions.link if self._sessions is not None else None
        gone = link is not None and (bool(link.dead) or link.silent > self.times.silence / 2)
        return through or (self.host if gone else "")

    def failure(
        self, used: sessions.Sessions, what: str, error: BaseException
    ) -> errors.RemoteError:
        """Return the error for `error`, which paramiko raised during `what`.

        A connection that still answers is a slow node: `errors.RemoteTimeoutError`.
        """
        known_dead = isinstance(error, channel.LostError)
        if not known_dead and used.link.answers(used.connection, self.times.ask):
            return errors.RemoteTimeoutError(
                f"{self.host} did not begin {what} in time; its SSH server answers",
                host=self.host,
                detail=str(error),
                hint="look at the node's load and disk, then run the same command again",
            )
        jump = self._jump.dead_link() if self._jump is not None else ""
        return channel.broken(used.connection, what, self.host, error=error, jump=jump)

    def _connect(self) -> paramiko.Transport:
        trust = handshake.pinned(self.login)
        began = time.monotonic()
        if self._jump is not None:
            self._jump.connected()  # its login has a time of its own
        deadline = limits.Deadline(self.times.login)
        with auth.Login(self.login, deadline, self._timeout) as login:
            try:
                connection = self._logged_in(login, trust, deadline)
            except limits.OverdueError as error:
                raise login.overdue() from error
        link.of(connection).watch(connection)
        self.connections += 1
        _LOG.debug("connected to %s in %.3f s", self.host, time.monotonic() - began)
        return connection

    def _logged_in(
        self, login: auth.Login, trust: hostkey.Trust, deadline: limits.Deadline
    ) -> paramiko.Transport:
        while True:
            connection = self._verified(trust, deadline)
            try:
                if login.on(connection):
                    return connection
            except BaseException:
                handshake.shut(connection)
                raise
            # Another connection for the keys that are left: the server ended this one.
            handshake.shut(connection)

    def _verified(self, trust: hostkey.Trust, deadline: limits.Deadline) -> paramiko.Transport:
        """Return a connection whose host key is pinned; nobody is logged in yet."""
        connection = self._negotiated(
            deadline, types=trust.types, certified=bool(trust.authorities)
        )
        try:
            return self._verify(connection, trust, deadline)
        except BaseException:
            handshake.shut(connection)
            raise

    def _negotiated(self, deadline: limits.Deadline, **wanted: Any) -> paramiko.Transport:
        """Return a connection that shows the `wanted` types of host keys."""
        sock = self.open_socket(deadline.step(self._timeout))
        try:
            step = deadline.step(self._timeout)
            return handshake.negotiate(self.login, sock, timeout=step, times=self.times, **wanted)
        except (errors.ElysiumError, limits.OverdueError):
            sock.close()
            raise

    def _verify(
        self, connection: paramiko.Transport, trust: hostkey.Trust, deadline: limits.Deadline
    ) -> paramiko.Transport:
        """Return a connection whose host key is pinned, or certified by a known authority.

        Where the server showed another key first, it is asked for the pinned ones: instead of
        a certificate that is not valid, and since a fingerprint does not tell the key's type.
        """
        verdict = trusting.judge(self.login, connection, trust)
        if verdict is None:
            return connection
        shown = handshake.shown_key(connection)
        others: list[dict[str, Any]] = []
        if handshake.shown_certificate(connection) is not None and trust.types:
            others.append({"types": trust.types})
        if any(not pin.type for pin in trust.pins):
            others += [
                {"only": key_type}
                for key_type in _KEY_TYPES
                if key_type != shown.type and not key_type[:3] == shown.type[4:7] == "rsa"
            ]
        for options in others if verdict.retry else ():
            try:
                other = self._negotiated(deadline, **options)
            except errors.ConnectError:
                continue
            if trusting.judge(self.login, other, trust) is None:
                handshake.shut(connection)
                return other
            handshake.shut(other)
        raise verdict.error

    def open_socket(self, timeout: float) -> Any:
        """Return a fresh stream to the server: a TCP socket, or a channel of the jump host."""
        if self._jump is None:
            return handshake.open_socket(self.login, timeout)
        jump = self._jump
        jumped = jump.connected()
        try:
            return jumped.open_channel(
                "direct-tcpip",
                (self.login.host, self.login.port),
                ("127.0.0.1", 0),
                timeout=timeout,
            )
        except (handshake.library().SSHException, EOFError, OSError) as error:
            raise errors.ConnectError(
                f"the jump host {jump.host} cannot reach {self.host}",
                host=self.host,
                detail=str(error),
                hint="check host and port as the jump host sees them, and AllowTcpForwarding there",
            ) from error


def scan_host_key(
    host: str, port: int = 22, *, jump: config.SshLogin | None = None, ssh_config: str = ""
) -> hostkey.HostKey:
    """Return the host key that `host` shows now: `line` to pin, `fingerprint` to show.

    Nobody is logged in. Whether it is the right one is for a person to say. `ssh_config`
    is as in `config.SshLogin`. Raises `errors.ConnectError`.
    """
    from provision import config

    given = config.SshLogin(host=host, ssh_config=ssh_config)
    if port != 22:  # else it may be the one of SSH's client configuration
        given = given.model_copy(update={"port": port})
    through = Transport(given, jump=jump)
    try:
        connection = handshake.negotiate(
            through.login, through.open_socket(_TIMEOUT), timeout=_TIMEOUT
        )
        try:
            return handshake.shown_key(connection)
        finally:
            handshake.shut(connection)
    finally:
        through.close()
