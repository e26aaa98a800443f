"""What the API's refusals become: `errors.KubeError` with the API's own message.

Source: Kubernetes API conventions, "Response Status Kind".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from provision import errors, secret
from provision.kube import proxies

_HINTS = {
    401: "the kubeconfig's credentials are not accepted (any more): fetch it from the node again",
    403: "the kubeconfig's user lacks this permission in the cluster",
}


class ConflictError(errors.KubeError):
    """Server-side apply met fields that another manager owns.

    `managers` are their names, `fields` the paths (``.data.key``).
    """

    def __init__(
        self,
        summary: str,
        *,
        managers: tuple[str, ...],
        fields: tuple[str, ...],
        detail: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(summary, status=409, reason="Conflict", detail=detail, hint=hint)
        self.managers = managers
        self.fields = fields


def unreachable(
    what: str, server: str, words: str, *, tls: bool = False, proxy: str = ""
) -> errors.KubeError:
    """Return the error (status 0) for an API server that gave no answer.

    `proxy` is that of the kubeconfig; without one, the environment's is named.
    """
    if tls:
        return errors.KubeError(
            f"{what}: {server} shows a certificate that the kubeconfig does not trust",
            reason="TLS",
            detail=words,
            hint="if the cluster was rebuilt, fetch its kubeconfig again",
        )
    ambient = "" if proxy else proxies.of(server)
    if proxy or ambient:
        origin = f"from {proxies.variable(server)}" if ambient else "proxy-url of the kubeconfig"
        host = urlsplit(server).hostname
        return errors.KubeError(
            f"{what}: no answer from {server} through the proxy"
            f" {ambient or proxies.shown(proxy)} ({origin})",
            reason="Unreachable",
            detail=words,
            hint=f"if {host} is reached without it: add {host} to NO_PROXY"
            if ambient
            else "check that the proxy reaches the node",
        )
    return errors.KubeError(
        f"{what}: no answer from {server}",
        reason="Unreachable",
        detail=words,
        hint="is the node up, k3s running, and the port reachable from here?",
    )


def environment(what: str, server: str, words: str) -> errors.KubeError:
    """Return the error (status 400: nothing was asked) for proxies that cannot be used."""
    return errors.KubeError(
        f"{what}: {server} cannot be asked, since the proxy for it cannot be used",
        status=400,
        reason="Proxy",
        detail=words,
        hint="check HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR in the"
        " environment, and proxy-url in the kubeconfig",
    )


def refused(
    what: str, status: int, body: str, hide: Iterable[str] = (), *, address: str = ""
) -> errors.KubeError:
    """Return the error for the answer `status` with `body` to `what`, asked at `address`.

    `hide` are values that must not show although the API may quote them.
    """
    answer = _status(body)
    message = str(answer.get("message") or body.strip() or f"HTTP status {status}")
    if not answer and address:  # not the API's own words: say who spoke
        message = f"{address} answered {status}: {message}"
    message = secret.mask(message, [secret.Secret(text) for text in hide if len(text) > 3])
    reason = str(answer.get("reason") or "")
    details: Any = answer.get("details")
    listed: Any = details.get("causes") if isinstance(details, dict) else None
    causes: list[dict[str, Any]] = [
        cause for cause in (listed if isinstance(listed, list) else ()) if isinstance(cause, dict)
    ]
    conflicts = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if status == 409 and conflicts:
        managers = tuple(dict.fromkeys(_manager(str(c.get("message", ""))) for c in conflicts))
        fields = tuple(str(cause.get("field", "")) for cause in conflicts)
        return ConflictError(
            f"{what}: {', '.join(fields[:3])}{' …' if fields[3:] else ''} "
            f"{'is' if len(fields) == 1 else 'are'} managed by {', '.join(managers)}",
            managers=managers,
            fields=fields,
            detail=message,
            hint="leave those fields to that manager, or take them from it first",
        )
    return errors.KubeError(
        f"{what} was refused ({status}{' ' + reason if reason else ''})",
        status=status,
        reason=reason,
        detail=message,
        hint=_HINTS.get(status, ""),
    )


def _status(body: str) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {}


def _manager(message: str) -> str:
    """Return the manager of ``conflict with "helm" using v1``."""
    quoted = message.split('"')
    return f'"{quoted[1]}"' if len(quoted) > 2 else message


def reason(error: errors.KubeError) -> str:
    """Return `error` on one line, with the address where no answer came from it."""
    words = " ".join(error.detail.split())
    if error.status == 0:
        return f"{error.summary}: {words}" if words else error.summary
    return words or error.summary


def transient(error: errors.KubeError) -> bool:
    """Return whether asking again may help: not up yet, overloaded, or its datastore busy."""
    if error.status in (0, 429, 502, 503, 504):
        return error.reason != "TLS"
    words = error.detail.lower()
    return error.status == 500 and any(
        text in words
        for text in ("etcdserver", "database is locked", "context deadline", "timed out")
    )
