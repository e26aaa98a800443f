"""The server token of k3s: replaced on the node, and tried from here.

Facts (k3s' documentation, cli/token, and its source, pkg/server/handlers):
``k3s token rotate`` without arguments takes the old token from the server's
file and has the running server make a new one, which counts from its next
start on. Who shows it is called ``server``; ``node`` has the same one unless
there is an agent token. Nothing of it is on a command line.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import ssl
from collections.abc import Mapping
from typing import Any

from provision import errors
from provision.host import scripts, session
from provision.kube import kubeconfig as kubeconfigs
from provision.provider.k3s import files, service
from provision.secret import Secret

_TIMEOUT = 60
_OWN_PLACES = ("token", "token-file")
"""Options that say what the token is, so that rotating it on the server alone breaks its start."""


def wanted(inputs: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Return whether a new token is asked for."""
    asked = inputs.get("tokenRotation")
    return bool(asked) and asked != state.get("tokenRotated")


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

    The node is told first that a restart is due, so that a run that is cut off
    here is made up for by the next `up`.
    """
    service.mark_stale(node, files.places(inputs).token)
    options = inputs.get("options") or {}
    command = [files.BINARY, "token", "rotate"]
    if options.get("data-dir"):
        command += ["--data-dir", files.places(inputs).data]
    if options.get("https-listen-port"):
        command += ["--server", f"https://127.0.0.1:{options['https-listen-port']}"]
    # Its own environment may name another server and token.
    script = f"unset K3S_TOKEN K3S_URL; {scripts.quote(command)} >/dev/null"
    node.run(script, timeout=_TIMEOUT, what="rotating the token of k3s")


def password(token: str) -> Secret:
    """Return the part of a token that is secret; it looks like ``K10<hash>::server:<password>``."""
    bare, full, named = token.strip().partition("::")
    return Secret(named.partition(":")[2] if full else bare)


def accepted(kubeconfig: str, token: str, *, agents: bool = True) -> dict[str, bool]:
    """Return who is let in with `token`: ``server``, and ``node`` unless agents have their own.

    Raises `errors.RemoteError` when the server answers neither yes nor no.
    """
    asks = {"server": "/v1-k3s/encrypt/status"}
    if agents:
        asks["node"] = "/v1-k3s/server-ca.crt"
    return {user: _ask(kubeconfig, path, user, password(token)) for user, path in asks.items()}


def _ask(kubeconfig: str, path: str, user: str, secret: Secret) -> bool:
    endpoint = kubeconfigs.parse(kubeconfig)
    address = endpoint.server.partition("://")[2]
    # Without the client certificate, which would be let in whatever the token is.
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_verify_locations(cadata=kubeconfigs.authority(kubeconfig))
    pair = base64.b64encode(f"{user}:{secret.reveal()}".encode()).decode()
    connection = http.client.HTTPSConnection(address, timeout=_TIMEOUT, context=tls)
    try:
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Authorization": f"Basic {pair}"})
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise errors.RemoteError(
            "k3s does not say whether it takes the token",
            host=address,
            detail=f"GET {path}: {type(error).__name__}: {error}",
            hint="run the same command again: it goes on from here",
        ) from error
    if status in (200, 401):
        return status == 200
    raise errors.RemoteError(
        "k3s does not say whether it takes the token",
        host=address,
        detail=f"GET {path} as {user}: status {status}",
        hint="run the same command again: it goes on from here",
    )
