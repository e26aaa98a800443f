"""Git over HTTP: ``/{owner}/{repo}.git/…`` by the real ``git http-backend``.

Facts: GitHub documentation, "About remote repositories" (a token in place of the
password; any user name, ``x-access-token`` for an installation's); observed: 401
with ``Basic realm="GitHub"`` without a login or with a bad one, 403 for a login
that may only read, 404 for a repository that a login may not see. The protocol
is gitprotocol-http(5): bodies may be chunked or compressed.
"""

from __future__ import annotations

import io
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from provision.sandbox.forge import access, app, incoming, messages
from provision.sandbox.forge.callers import Caller

_PATH: Final = re.compile(
    r"/(?P<owner>[^/]+)/(?P<repo>[^/]+?)(\.git)?"
    r"(?P<rest>/info/refs|/git-upload-pack|/git-receive-pack)"
)
_SERVICES: Final = ("git-upload-pack", "git-receive-pack")
_TIMEOUT: Final = 300


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer of git, or of the forge in its place."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content: bytes = b""
    caller: str = "none"


def is_git(path: str) -> bool:
    """Return whether the path is one of Git's own, and not of the API."""
    return _PATH.fullmatch(path) is not None and not path.startswith("/repos/")


def answer(
    forge: app.Forge, method: str, path: str, query: str, headers: Any, stream: io.BufferedIOBase
) -> Answer:
    """Answer one request of a Git client; read its body from `stream`.

    Raises:
        messages.ApiError: for a body that is malformed.
    """
    with tempfile.TemporaryFile() as sent:
        for block in incoming.blocks(stream, headers):
            sent.write(block)
        sent.seek(0)
        found = _PATH.fullmatch(path)
        if found is None:
            return Answer(status=404)
        service = found["rest"].lstrip("/")
        if service == "info/refs":
            service = re.sub(r".*\bservice=([a-z-]+).*", r"\1", query)
        if service not in _SERVICES:  # the protocol of files alone
            return Answer(status=403, content=b"Please upgrade your git client.\n")
        refused, caller = _refusal(forge, headers, found["owner"], found["repo"], service)
        if refused is not None:
            forge.git_log.append(
                transport="https",
                service=service,
                repository=f"{found['owner']}/{found['repo']}",
                token=refused.caller,
                status=refused.status,
                result="refused",
            )
            return refused
        target = forge.target(found["owner"], found["repo"])
        if target is None:
            return _plain(404, "Repository not found.\n", caller)
        return _run(forge, target, method, found["rest"], query, headers, sent, caller)


def _refusal(
    forge: app.Forge, headers: Any, owner: str, repo: str, service: str
) -> tuple[Answer | None, Caller]:
    caller = Caller()
    authorization = headers.get("Authorization") or ""
    if authorization:
        try:
            # Git sends a login in this one way; a Bearer token is none.
            basic = authorization if authorization.lower().startswith("basic ") else "basic"
            caller = forge.tokens.caller(basic)
        except messages.ApiError:
            return _login("Invalid username or token.\n"), caller
    target = forge.target(owner, repo)
    writes = service == "git-receive-pack"
    if caller.token is None and (target is None or target.record.private or writes):
        return _login("Repository not found.\n"), caller
    if target is None:
        return _plain(404, "Repository not found.\n", caller), caller
    for level in ("read", "write") if writes else ("read",):
        try:
            access.check(caller, target.record, permission=f"contents={level}", documentation="")
        except messages.ApiError as error:
            if level == "write":
                text = f"Permission to {target.record.slug}.git denied to {caller.login}.\n"
                return _plain(403, text, caller), caller
            status = 403 if error.status == 403 else 404
            return _plain(status, "Write access to repository not granted.\n", caller), caller
    return None, caller


def _login(text: str) -> Answer:
    headers = {"WWW-Authenticate": 'Basic realm="GitHub"', "Content-Type": "text/plain"}
    return Answer(status=401, headers=headers, content=text.encode(), caller="bad")


def _plain(status: int, text: str, caller: Caller) -> Answer:
    headers = {"Content-Type": "text/plain"}
    return Answer(status=status, headers=headers, content=text.encode(), caller=caller.kind)


def _run(
    forge: app.Forge,
    target: app.Target,
    method: str,
    rest: str,
    query: str,
    headers: Any,
    sent: IO[bytes],
    caller: Caller,
) -> Answer:
    """Run ``git http-backend`` and take its answer apart."""
    size = sent.seek(0, 2)
    sent.seek(0)
    with tempfile.TemporaryDirectory() as folder:
        session = Path(folder) / "session"
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_1": "safe.directory",
            "GIT_CONFIG_VALUE_1": "*",
            "GIT_CONFIG_KEY_0": "http.receivepack",
            "GIT_CONFIG_VALUE_0": "true",
            "GIT_PROJECT_ROOT": str(target.git.path),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": headers.get("Git-Protocol") or "",
            "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding") or "",
            "HOME": str(target.git.path),
            "PATH_INFO": rest,
            "QUERY_STRING": query,
            "REQUEST_METHOD": method,
            "CONTENT_TYPE": headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(size) if method == "POST" else "",
            "REMOTE_USER": caller.login,
            "FORGE_SESSION": str(session),
        }
        done = subprocess.run(
            ["git", "http-backend"],
            stdin=sent,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
            env=environment,
        )
        service = query.partition("service=")[2] if rest == "/info/refs" else rest.lstrip("/")
        pushed = session.with_suffix(".done").exists()
        forge.git_log.append(
            transport="https",
            service=service,
            repository=target.record.slug,
            token=caller.kind,
            result="failed" if done.returncode else "served",
        )
    if pushed:
        forge.pushed(target.record)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    parsed = dict(
        line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line
    )
    status = int(parsed.pop("Status", "200").partition(" ")[0])
    if done.returncode and not head:
        return _plain(500, "Internal Server Error\n", caller)
    return Answer(status=status, headers=parsed, content=content, caller=caller.kind)
