"""Git over HTTPS, as far as it takes to prove a login: its references, and the right to push.

Speaks the first exchange of the smart HTTP protocol (gitprotocol-http(5)) and
ends there. The login is in a header, never in an address.
"""

from __future__ import annotations

import re
from typing import Final

import requests

from provision import config, errors
from provision.github import authority, failures
from provision.secret import Secret

MOST: Final = 16 * 1024 * 1024
"""Bytes of one list of references."""
_TIMEOUT: Final = (10, 30)
_PACKET: Final = re.compile(rb"[0-9a-f]{4}")
_OPERATION: Final = "log in to Git over HTTPS"


def fetch_head(cfg: config.GitHub, username: str, password: Secret, branch: str) -> str:
    """Return the commit at the head of `branch`, read with this login.

    Raises:
        failures.TokenError: the login is refused.
        errors.CodeHostError: the server cannot be reached, or has no such branch.
    """
    listed = _references(cfg, username, password, "git-upload-pack")
    found = listed.get(f"refs/heads/{branch}", "")
    if not found:
        raise failures.NotFoundError(
            f"{cfg.https_url} shows no branch {branch}",
            operation=_OPERATION,
            status=404,
            hint="check github.branch, and that the login may read the repository's contents",
        )
    return found


def log_in(cfg: config.GitHub, username: str, password: Secret) -> None:
    """Prove that this login may read the repository, whatever it holds.

    Raises `errors.CodeHostError` when it is refused or the server cannot be reached.
    """
    _references(cfg, username, password, "git-upload-pack")


def push_allowed(cfg: config.GitHub, username: str, password: Secret) -> bool:
    """Return whether this login may push. Nothing is sent.

    Raises `errors.CodeHostError` when the server cannot be reached.
    """
    try:
        _references(cfg, username, password, "git-receive-pack")
    except (failures.TokenError, failures.ForbiddenError):
        return False
    return True


def _references(
    cfg: config.GitHub, username: str, password: Secret, service: str
) -> dict[str, str]:
    address = f"{cfg.https_url}/info/refs?service={service}"
    _refuse_clear(cfg)
    with requests.Session() as session:
        session.trust_env = True
        session.auth = (username, password.reveal())
        try:
            with session.get(
                address,
                timeout=_TIMEOUT,
                verify=authority.verify(cfg),
                stream=True,
                allow_redirects=False,
                headers={"User-Agent": "git/elysium"},
            ) as answer:
                body = answer.raw.read(MOST + 1, decode_content=True)
        except requests.exceptions.SSLError as error:
            raise failures.UnreachableError(
                f"the certificate of {cfg.https_url} cannot be verified",
                operation=_OPERATION,
                detail=str(error.args[0] if error.args else type(error).__name__),
                hint="set github.caFile to the certificate of the server's authority",
            ) from None
        except (requests.exceptions.RequestException, OSError) as error:
            raise failures.UnreachableError(
                f"{cfg.https_url} cannot be reached",
                operation=_OPERATION,
                detail=type(error).__name__,
                hint="check github.baseUrl and the connection to it",
            ) from None
    _require_granted(cfg, answer.status_code, service)
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if len(body) > MOST or kind != f"application/x-{service}-advertisement":
        raise errors.CodeHostError(
            f"{cfg.https_url} does not answer as a Git server",
            operation=_OPERATION,
            status=answer.status_code,
            detail=f"Content-Type {kind or 'missing'}",
            hint="check github.baseUrl: the repository's HTTPS address follows from it",
        )
    return _parsed(body)


def _refuse_clear(cfg: config.GitHub) -> None:
    if cfg.https_url.startswith("http://") and not cfg.allow_http:
        raise errors.ConfigError(
            "the login is not sent to an http:// address",
            [errors.Problem(message=f"it is {cfg.https_url}", key="github.baseUrl")],
            hint="use https://; in a network that you trust: elysium config set github.allowHttp"
            " true",
        )


def _require_granted(cfg: config.GitHub, status: int, service: str) -> None:
    """Raise for a refusal. GitHub answers 404 where a login may not see the repository."""
    if status == 200:
        return
    if status in (401, 404):
        raise failures.TokenError(
            f"{cfg.https_url} refuses the login",
            operation=_OPERATION,
            status=status,
            hint="check that it is not expired, and may read the contents of this repository",
        )
    if status == 403:
        right = "write" if service == "git-receive-pack" else "read"
        raise failures.ForbiddenError(
            f"{cfg.https_url} forbids the login to {right}",
            operation=_OPERATION,
            status=status,
            hint=f"give it 'Contents: {right}' on this repository",
        )
    raise errors.CodeHostError(
        f"{cfg.https_url} answered {status}",
        operation=_OPERATION,
        status=status,
        hint="run the same command again when the server works",
    )


def _parsed(body: bytes) -> dict[str, str]:
    """Return the references of an advertisement; what is cut short counts as far as it goes."""
    found: dict[str, str] = {}
    at = 0
    while at + 4 <= len(body) and _PACKET.fullmatch(body[at : at + 4]):
        length = int(body[at : at + 4], 16)
        line = body[at + 4 : at + length].partition(b"\0")[0].strip() if length > 4 else b""
        at += max(length, 4)
        commit, space, name = line.partition(b" ")
        if space and re.fullmatch(rb"[0-9a-f]{40,64}", commit):
            found[name.decode("utf-8", "replace")] = commit.decode()
    return found
