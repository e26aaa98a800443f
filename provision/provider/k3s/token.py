"""The server token of k3s: replaced on the node, and tried from here.

Facts (k3s' documentation, cli/token, its source, pkg/server/handlers, and a real
server): ``k3s token rotate`` has the running server make a new token, which counts
from its next start on. It reads the old token of the default data folder whatever
``--data-dir`` says, unless ``K3S_TOKEN`` holds it. Who shows the token is called
``server``; ``node`` has the same one unless there is an agent token. For some
seconds after its start the server answers 500, "runtime core not ready", and 401
for a wrong token. Nothing of a token is on a command line.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any, Final

from provision import errors, transfer
from provision.host import scripts, session
from provision.kube import kubeconfig as kubeconfigs
from provision.kube import wire
from provision.progress import Progress, silent
from provision.provider import node_templates
from provision.provider.k3s import files, service
from provision.secret import Secret

FINISH: Final = "finish"
"""The request that finishes a rotation which an earlier run began; any other begins one."""
_TIMEOUT = 60
_STARTS = 120.0
"""Seconds in which a server that was just started comes to answer."""
_ANSWER = 10.0
"""Seconds for one answer."""
_PAUSE = 0.5
_STRANGER = -1
_WORDS = 400
"""Bytes of an answer that are shown."""
_OWN_PLACES = ("token", "token-file")
"""Options that say what the token is, so that rotating it on the server alone breaks its start."""


def wanted(inputs: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Return whether a new token is asked for."""
    asked = inputs.get("tokenRotation")
    return bool(asked) and asked not in (FINISH, state.get("tokenRotated"))


def replaced(before: str, token: str) -> str:
    """Return the token whose replacement is not verified yet, empty where none is.

    `before` and `token` are the contents of `files.Places.token_before` and of
    the token's own file.
    """
    return before.strip() if before.strip() != token.strip() else ""


def pinned_by(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options of the configuration that say what the token is."""
    options = inputs.get("options") or {}
    return tuple(name for name in _OWN_PLACES if options.get(name))


def pinned_on(node: session.NodeSession) -> tuple[str, ...]:
    """Return the user's own files on the node that say what the token is."""
    found = node.run(
        f"grep -lE '^[[:space:]]*[\"'\\'']?token(-file)?[\"'\\'']?[[:space:]]*:'"
        f" {files.DROP_INS}/*.yaml {files.DROP_INS}/*.yml 2>/dev/null;"
        " for file in /etc/default/k3s /etc/sysconfig/k3s;"
        " do grep -lE '^K3S_TOKEN' \"$file\" 2>/dev/null; done; true",
        timeout=30,
        what="looking for a configured token",
    )
    return tuple(found.text.split())


def rotate(node: session.NodeSession, inputs: Mapping[str, Any]) -> None:
    """Have the running server make a new token. It counts from the next start on.

    Nothing is done where an earlier run had it made and the new token is not
    verified yet (`finish`). The node is told first that a restart is due, so
    that a run that is cut off here is made up for by the next `up`.
    """
    at = files.places(inputs)
    service.mark_stale(node, at.token)
    options = inputs.get("options") or {}
    command = [at.binary, "token", "rotate"]
    if options.get("data-dir"):
        command += ["--data-dir", at.data]
    if options.get("https-listen-port"):
        command += ["--server", f"https://127.0.0.1:{options['https-listen-port']}"]
    script = node_templates.render(
        "k3s-rotate-token.sh",
        token=at.token,
        before=at.token_before,
        command=scripts.quote(command),
        timeout=_TIMEOUT,
    )
    node.run(script, timeout=2 * _TIMEOUT, what="rotating the token of k3s")


def finish(node: session.NodeSession, inputs: Mapping[str, Any]) -> None:
    """Forget the replaced token: the new one is verified."""
    at = files.places(inputs)
    path = scripts.quote([at.token_before])
    node.run(
        f"rm -f -- {path} {path}.tmp",
        timeout=30,
        what="removing the replaced token",
    )


def password(token: str) -> Secret:
    """Return the part of a token that is secret; it looks like ``K10<hash>::server:<password>``."""
    bare, full, named = token.strip().partition("::")
    return Secret(named.partition(":")[2] if full else bare)


def accepted(
    kubeconfig: str,
    token: str,
    *,
    agents: bool = True,
    patience: float = _STARTS,
    progress: Progress = silent,
    tunnel: wire.Tunnel | None = None,
) -> dict[str, bool]:
    """Return who is let in with `token`: ``server``, and ``node`` unless agents have their own.

    A server that is still starting is asked again, for `patience` seconds. `tunnel` knows
    another way to it than a connection of its own. Raises
    `errors.RemoteError` when it answers neither yes nor no.
    """
    asks = {"server": "/v1-k3s/encrypt/status"}
    if agents:
        asks["node"] = "/v1-k3s/server-ca.crt"
    deadline = time.monotonic() + patience
    return {
        user: _settled(kubeconfig, path, user, password(token), deadline, progress, tunnel)
        for user, path in asks.items()
    }


def _settled(
    kubeconfig: str,
    path: str,
    user: str,
    secret: Secret,
    deadline: float,
    progress: Progress,
    tunnel: wire.Tunnel | None,
) -> bool:
    """Ask until the server says yes or no."""
    waiting = False
    while True:
        address, status, words = _ask(kubeconfig, path, user, secret, tunnel)
        if status in (200, 401):
            return status == 200
        starts = status == 0 or status >= 500
        if not starts or time.monotonic() >= deadline:
            raise errors.RemoteError(
                "k3s does not say whether it takes the token",
                host=address,
                detail=f"GET {path} as {user}: {words}",
                hint="look at its journal (journalctl -u k3s on the node), then run the same"
                " command again: it finishes this rotation and begins no other",
            )
        if not waiting:
            progress(f"k3s at {address} does not answer about tokens yet: {words}")
        waiting = True
        time.sleep(_PAUSE)


class _Connection(http.client.HTTPSConnection):
    """HTTPS over the Unix socket `path` where there is one; the certificate stays the host's."""

    def __init__(self, address: str, path: str, tls: ssl.SSLContext) -> None:
        super().__init__(address, timeout=_ANSWER, context=tls)
        self._path, self._tls = path, tls

    def connect(self) -> None:
        if not self._path:
            super().connect()
            return
        opened = socket.socket(socket.AF_UNIX)
        opened.settimeout(_ANSWER)
        try:
            opened.connect(self._path)
            self.sock = self._tls.wrap_socket(opened, server_hostname=self.host)
        except BaseException:
            opened.close()
            raise


def _ask(
    kubeconfig: str, path: str, user: str, secret: Secret, tunnel: wire.Tunnel | None
) -> tuple[str, int, str]:
    """Return the server's address, its status (0: no answer), and the answer in words.

    The status is `_STRANGER` where the certificate is not the server's.
    """
    endpoint = kubeconfigs.parse(kubeconfig)
    address = endpoint.server.partition("://")[2]
    # Without the client certificate, which would be let in whatever the token is.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_verify_locations(cadata=kubeconfigs.authority(kubeconfig))
    pair = base64.b64encode(f"{user}:{secret.reveal()}".encode()).decode()
    through = tunnel.socket_for(endpoint.server) if tunnel is not None else ""
    connection = _Connection(address, through, tls)

    def ask() -> tuple[int, str]:
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Authorization": f"Basic {pair}"})
            response = connection.getresponse()
            return response.status, response.read(_WORDS).decode("utf-8", "replace")

    try:
        status, words = transfer.within(_ANSWER, ask)
    except ssl.SSLCertVerificationError as error:
        return address, _STRANGER, f"another server answers there: {error.verify_message}"
    except (OSError, http.client.HTTPException) as error:
        return address, 0, f"{type(error).__name__}: {error}"
    return address, status, f"status {status} {' '.join(words.split())}".rstrip()
