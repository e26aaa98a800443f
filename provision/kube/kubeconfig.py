"""Reading a kubeconfig text into what an HTTP client needs.

Format: Kubernetes' ``client.config.k8s.io/v1`` (clusters, users, contexts,
current-context). Client keys are never written to a disk: where the system has
anonymous memory files, TLS reads them from there.
"""

from __future__ import annotations

import base64
import contextlib
import os
import ssl
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from provision import errors
from provision.kube import inline


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where an API server is and how to speak to it.

    `headers` may hold a token, so the dataclass' repr leaves it out.
    """

    server: str
    namespace: str = "default"
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    tls_server_name: str = ""
    proxy: str = ""


def bad(message: str, hint: str = "") -> errors.KubeError:
    """Return the error for a kubeconfig that cannot be used (status 400: nothing was asked)."""
    return errors.KubeError(
        "the kubeconfig cannot be used", status=400, reason="Kubeconfig", detail=message, hint=hint
    )


def parse(text: str, *, context: str = "", cluster: str = "", own: bool = False) -> Endpoint:
    """Return the endpoint of the current context of the kubeconfig `text`.

    `context` names another context, `cluster` another cluster than the
    context's. Only the user's `own` file may name other files; else everything
    is inline, as `inline` allows it. Raises
    `errors.KubeError` (status 400) for what cannot be used: no YAML, a context
    that names nothing, credentials from an external command.
    """
    config = _document(text) if own else document(text, login=True)
    context_name = context or config.get("current-context") or ""
    if not context_name:
        raise bad("it has no current-context")
    chosen = _entry(config, "contexts", "context", context_name)
    cluster_name = cluster or str(chosen.get("cluster") or "")
    target = _entry(config, "clusters", "cluster", cluster_name)
    user_name = str(chosen.get("user") or "")
    user = _entry(config, "users", "user", user_name) if user_name else {}
    server = str(target.get("server") or "")
    if not server.startswith(("https://", "http://")):
        raise bad(f"cluster {cluster_name!r} has no server URL")
    return Endpoint(
        server=server.rstrip("/"),
        namespace=str(chosen.get("namespace") or "default"),
        headers=_headers(user, user_name),
        tls=_tls(target, user) if server.startswith("https://") else None,
        tls_server_name=str(target.get("tls-server-name") or ""),
        proxy=str(target.get("proxy-url") or ""),
    )


def authority(text: str) -> str:
    """Return the certificates, in PEM, that the current context's server is known by."""
    config = document(text, login=True)
    chosen = _entry(config, "contexts", "context", str(config.get("current-context") or ""))
    target = _entry(config, "clusters", "cluster", str(chosen.get("cluster") or ""))
    return _data(target, "certificate-authority").decode("ascii", "replace")


def client_certificate(text: str) -> str:
    """Return the client certificate, in PEM, of the current context; empty where it has none."""
    config = document(text, login=True)
    chosen = _entry(config, "contexts", "context", str(config.get("current-context") or ""))
    user = _entry(config, "users", "user", str(chosen.get("user") or ""))
    return _data(user, "client-certificate").decode("ascii", "replace")


def document(text: str, *, login: bool = False) -> dict[str, Any]:
    """Return the kubeconfig `text`, of which everything is inline.

    It has a client certificate; only with `login` it may have a token or a password instead.
    Raises `errors.KubeError` (status 400) for one that has other fields.
    """
    config = _document(text)
    try:
        inline.require(config, login=login)
    except inline.NotInlineError as error:
        raise bad(
            str(error),
            hint="only a server, its authority, a client certificate and its key are taken,"
            " all inline: remove the rest from the file on the node (/etc/rancher/k3s/k3s.yaml),"
            " or remove that file and restart k3s, which writes it anew; then run elysium up",
        ) from None
    return config


def _document(text: str) -> dict[str, Any]:
    import yaml

    from provision import safeyaml

    if len(text) > inline.LIMIT:
        raise bad(f"it has more than {inline.LIMIT} characters")
    try:
        config = safeyaml.load(text)
    except safeyaml.ExcessError as error:
        raise bad(str(error.problem)) from None
    except yaml.YAMLError as error:
        # PyYAML's own words quote the line, which may be a key.
        mark = getattr(error, "problem_mark", None)
        at = f" at line {mark.line + 1}" if mark else ""
        raise bad(f"it is not YAML{at}") from None
    if not isinstance(config, dict):
        raise bad("it is not a mapping")
    return cast("dict[str, Any]", config)


def _entry(config: Mapping[str, Any], section: str, key: str, name: str) -> dict[str, Any]:
    listed = config.get(section)
    for entry in cast("list[Any]", listed) if isinstance(listed, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            value = entry.get(key)
            return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    raise bad(f"{section} has no entry {name!r}")


def _headers(user: Mapping[str, Any], name: str) -> dict[str, str]:
    if user.get("token"):
        return {"Authorization": f"Bearer {user['token']}"}
    if user.get("tokenFile"):
        try:
            token = _read(user["tokenFile"], "tokenFile").decode().strip()
        except UnicodeDecodeError:
            raise bad("tokenFile is not the name of a text file") from None
        return {"Authorization": f"Bearer {token}"}
    if user.get("username") and user.get("password"):
        pair = f"{user['username']}:{user['password']}".encode()
        return {"Authorization": "Basic " + base64.b64encode(pair).decode()}
    for unsupported in ("exec", "auth-provider"):
        if user.get(unsupported):
            raise bad(
                f"user {name!r} takes its credentials from {unsupported}",
                hint="give a kubeconfig with a client certificate or a token",
            )
    return {}


def _read(path: object, what: str) -> bytes:
    file = Path(str(path)).expanduser()
    try:
        return file.read_bytes()
    except OSError as error:
        raise bad(f"{what} {file}: {error.strerror}") from error
    except ValueError:  # a NUL in its name
        raise bad(f"{what} is not the name of a file") from None


def _data(source: Mapping[str, Any], key: str) -> bytes:
    """Return the PEM that `key`-data holds in base64, or that the file `key` names, or nothing."""
    inline = source.get(f"{key}-data")
    if inline:
        try:
            return base64.b64decode(str(inline), validate=True)
        except ValueError:
            raise bad(f"{key}-data is not base64") from None
    return _read(source[key], key) if source.get(key) else b""


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    authority = _data(cluster, "certificate-authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif authority:
        try:
            context.load_verify_locations(cadata=authority.decode("ascii", "replace"))
        except (ssl.SSLError, TypeError, ValueError):  # TypeError: it is not ASCII
            raise bad("certificate-authority-data holds no PEM certificate") from None
    else:
        context.load_default_certs()
    certificate, key = _data(user, "client-certificate"), _data(user, "client-key")
    if certificate:
        if not key:
            raise bad("the user has a client certificate and no client key")
        with _readable(certificate + b"\n" + key) as path:
            try:
                context.load_cert_chain(path)
            except ssl.SSLError:
                raise bad("client certificate and key do not belong together") from None
    return context


@contextlib.contextmanager
def _readable(content: bytes) -> Generator[str]:
    """Give `content` a path, since Python's TLS takes a client key only by path."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("client", os.MFD_CLOEXEC)
        try:
            os.write(handle, content)
            yield f"/proc/self/fd/{handle}"
        finally:
            os.close(handle)
    else:
        with tempfile.TemporaryDirectory() as folder:  # 0700
            path = Path(folder) / "client.pem"
            path.touch(0o600)
            path.write_bytes(content)
            yield str(path)
