"""GitHub's refusals, each as one `errors.CodeHostError` with a next step.

Sources: GitHub REST documentation, "Troubleshooting the REST API" (statuses,
``X-Accepted-GitHub-Permissions``), "Rate limits for the REST API" (headers),
"Scopes for OAuth apps" (``X-OAuth-Scopes``, ``X-Accepted-OAuth-Scopes``), and
"Authorizing a personal access token for use with single sign-on"
(``X-GitHub-SSO``).
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping
from typing import Any

from provision import errors

Headers = Mapping[str, str]


class TokenError(errors.CodeHostError):
    """401: the token is not accepted at all."""


class ForbiddenError(errors.CodeHostError):
    """403: the token is good, and may not do this. `missing` names what it lacks."""

    def __init__(
        self,
        summary: str,
        *,
        operation: str,
        status: int = 403,
        missing: str = "",
        detail: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(summary, operation=operation, status=status, detail=detail, hint=hint)
        self.missing = missing


class NotFoundError(errors.CodeHostError):
    """404: it is not there, or hidden from this token."""


class EmptyRepositoryError(errors.CodeHostError):
    """409: the repository has no commit yet."""


class ConflictError(errors.CodeHostError):
    """409 or 422: the branch moved on, or the name is taken."""


class KeysDisabledError(errors.CodeHostError):
    """422: the organisation or the enterprise allows no deploy keys."""


class KeyInUseError(errors.CodeHostError):
    """422: the public key is registered already, here or elsewhere."""


class ProtectedBranchError(errors.CodeHostError):
    """403, 409 or 422: a branch protection or ruleset wants a pull request."""


class RateLimitError(errors.CodeHostError):
    """403 or 429: too many requests, and the wait is longer than the deadline."""


class AnswerError(errors.CodeHostError):
    """The answer is not as GitHub documents it: status, body or a field."""


class RedirectError(errors.CodeHostError):
    """3xx: a redirect that is not followed. Nothing was done."""


class RenamedError(errors.CodeHostError):
    """The repository has another name now. Nothing was done. `new` is its ``owner/repository``."""

    def __init__(
        self,
        summary: str,
        *,
        operation: str,
        status: int = 301,
        new: str = "",
        detail: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(summary, operation=operation, status=status, detail=detail, hint=hint)
        self.new = new


class UnreachableError(errors.CodeHostError):
    """No answer: name, route, TLS, or a server that is down."""


_DIGITS = re.compile(r"[0-9]{1,12}")
_PROTECTED = (
    "protected branch",
    "repository rule violations",
    "changes must be made through a pull request",
    "required status check",
)


def _messages(data: Any) -> str:
    """Return GitHub's own words from an error body."""
    if not isinstance(data, Mapping):
        return str(data or "").strip()
    words = [str(data.get("message") or "")]
    listed: Any = data.get("errors")
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, Mapping):
            text = entry.get("message") or " ".join(
                str(entry[k]) for k in ("resource", "field", "code") if entry.get(k)
            )
            words.append(str(text))
        else:
            words.append(str(entry))
    return "; ".join(word.strip() for word in words if word.strip())


def retry_after(status: int, headers: Headers, data: Any, now: float | None = None) -> float | None:
    """Return the seconds GitHub wants us to wait before asking again, or None.

    A ``Retry-After`` is taken as it is; a used-up primary limit waits until
    ``X-RateLimit-Reset``; a secondary limit that names no time waits a minute,
    as the documentation asks.
    """
    if status not in (403, 429, 503):
        return None
    after = headers.get("retry-after", "")
    if _DIGITS.fullmatch(after):
        return float(after)
    if status == 503:
        return None
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and _DIGITS.fullmatch(reset):
        clock = time.time() if now is None else now
        return max(float(reset) - clock, 0.0) + 1
    words = _messages(data).lower()
    if status == 429 or "secondary rate limit" in words or "abuse detection" in words:
        return 60.0
    return None


def missing_permission(headers: Headers) -> str:
    """Return what the token lacks, in words, from the headers of a 403 or 404.

    ``X-Accepted-GitHub-Permissions`` lists alternatives separated by ``;``,
    each a list of ``name=access`` separated by ``,``. Classic tokens show
    ``X-OAuth-Scopes`` (what it has) and ``X-Accepted-OAuth-Scopes`` (any of
    which is enough).
    """
    accepted = headers.get("x-accepted-github-permissions", "")
    scopes = headers.get("x-oauth-scopes")
    if scopes is not None:  # a classic token: permissions do not apply to it
        have = {scope.strip() for scope in scopes.split(",") if scope.strip()}
        want = [s.strip() for s in headers.get("x-accepted-oauth-scopes", "").split(",")]
        want = [scope for scope in want if scope]
        if not have.intersection(want):
            return "the classic scope " + (" or ".join(want) or "repo")
        return ""
    if not accepted:
        return ""
    alternatives: list[str] = []
    for alternative in accepted.split(";"):
        parts: list[str] = []
        for pair in alternative.split(","):
            name, _, access = pair.strip().partition("=")
            if name:
                parts.append(f"{name.replace('_', ' ').capitalize()}: {access or 'read'}")
        if parts:
            alternatives.append(" and ".join(parts))
    return "the repository permission " + " or ".join(alternatives) if alternatives else ""


def refusal(
    status: int, headers: Headers, data: Any, *, operation: str, slug: str, address: str = ""
) -> errors.CodeHostError:
    """Return the error for an answer of `status` (400 and above).

    `operation` is an infinitive phrase (``register a deploy key``); `slug` is
    ``owner/repository``, `address` what was asked.
    """
    words = _messages(data)
    low = words.lower()
    common: dict[str, Any] = {"operation": operation, "status": status, "detail": words}
    if status in (403, 409, 422) and any(phrase in low for phrase in _PROTECTED):
        return ProtectedBranchError(
            f"the branch of {slug} is protected, so it is not possible to {operation}",
            hint="set flux.commit to pull-request, or let this token bypass the protection",
            **common,
        )
    wait = retry_after(status, headers, data) if status in (403, 429) else None
    if wait is not None:
        return RateLimitError(
            f"{slug}: GitHub's rate limit for this token is used up, so it did not {operation}",
            hint=_when(wait),
            **common,
        )
    if status == 401:
        return TokenError(
            f"{slug}: GitHub did not accept the token, so it is not possible to {operation}",
            hint="it is mistyped, expired or revoked: make a new one and set GITHUB_TOKEN,"
            " or store it with 'elysium config set --secret github.token'",
            **common,
        )
    if status in (403, 451):
        return _forbidden(headers, low, slug, common)
    if status == 404:
        missing = missing_permission(headers)
        return NotFoundError(
            f"GitHub shows no such thing in {slug}, so it is not possible to {operation}",
            hint="check github.owner and github.repository, and that the token may see the"
            " repository" + (f"; it may lack {missing}" if missing else ""),
            **common,
        )
    return _unprocessable(status, low, slug, common, address or "GitHub")


def _forbidden(
    headers: Headers, words: str, slug: str, common: dict[str, Any]
) -> errors.CodeHostError:
    operation = common["operation"]
    sso = headers.get("x-github-sso", "")
    if "ip allow list" in words:
        return ForbiddenError(
            f"the owner of {slug} has an IP allow list, and this machine's address is not on it,"
            f" so it is not possible to {operation}",
            missing="an address on the IP allow list",
            hint="have an owner add it (organisation settings, Authentication security), and the"
            " node's address too: Flux fetches from there",
            **common,
        )
    if sso.startswith("required") or "saml enforcement" in words:
        _, _, url = sso.partition("url=")
        return ForbiddenError(
            f"the organisation of {slug} wants this token authorised for single sign-on"
            f" before it may {operation}",
            missing="single sign-on",
            hint=f"authorise it at {url}" if url else "authorise it in the token's settings",
            **common,
        )
    if "archived" in words:
        return ForbiddenError(
            f"{slug} is archived, so it is not possible to {operation}",
            hint="unarchive it on GitHub, or configure another repository",
            **common,
        )
    missing = missing_permission(headers)
    return ForbiddenError(
        f"the token may not {operation} in {slug}",
        missing=missing,
        hint=f"give it {missing}" if missing else "give it more rights, or use another token",
        **common,
    )


def _unprocessable(
    status: int, words: str, slug: str, common: dict[str, Any], address: str
) -> errors.CodeHostError:
    operation = common["operation"]
    if status == 409 and "empty" in words:
        return EmptyRepositoryError(
            f"{slug} has no commit yet, so it is not possible to {operation}",
            hint="push a first commit to it (a README is enough)",
            **common,
        )
    if "deploy keys are disabled" in words:
        return keys_disabled(slug, **common)
    if "key is already in use" in words:
        return KeyInUseError(
            f"GitHub knows this public key already, so it did not {operation} in {slug}",
            hint="a key can belong to one repository or person only: remove it there first",
            **common,
        )
    if status == 409 or "fast forward" in words or "already exists" in words:
        return ConflictError(
            f"{slug} changed at the same time, so GitHub did not {operation}",
            hint="run the same command again",
            **common,
        )
    if status == 422:
        return errors.CodeHostError(
            f"GitHub found the request to {operation} in {slug} invalid",
            hint="GitHub's own words above say which value it did not take",
            **common,
        )
    if status >= 500:
        return errors.CodeHostError(
            f"{address} answered {status} when asked to {operation} in {slug}",
            hint="GitHub has a problem of its own; www.githubstatus.com tells, then run again",
            **common,
        )
    return errors.CodeHostError(
        f"{address} answered {status} when asked to {operation} in {slug}", **common
    )


def keys_disabled(
    slug: str, *, operation: str, status: int = 0, detail: str = ""
) -> KeysDisabledError:
    """Return the error for an owner that allows no deploy keys."""
    return KeysDisabledError(
        f"deploy keys are disabled for {slug}, so it is not possible to {operation}",
        operation=operation,
        status=status,
        detail=detail,
        hint="have an owner of the organisation enable them (settings, Deploy keys), or of the"
        " enterprise where its policy disables them",
    )


def malformed(
    *, operation: str, address: str, status: int, field: str, expected: str
) -> AnswerError:
    """Return the error for an answer whose `field` is missing or of another type."""
    return AnswerError(
        f"{address} answered {status} with data that GitHub does not send,"
        f" so it is not possible to {operation}",
        operation=operation,
        status=status,
        detail=f"{field or 'the body'}: {expected} is expected",
        hint="check github.baseUrl, and whether a proxy answers in GitHub's place",
    )


def renamed(slug: str, new: str, *, operation: str, status: int, detail: str = "") -> RenamedError:
    """Return the error for a repository that is called `new` now."""
    owner, _, name = new.partition("/")
    return RenamedError(
        f"GitHub calls the repository {slug} now {new}, so it is not possible to {operation}",
        operation=operation,
        status=status,
        new=new,
        detail=detail,
        hint=f"elysium config set github.owner {owner},"
        f" and: elysium config set github.repository {name}",
    )


def unreachable(error: Exception, *, operation: str, base_url: str) -> UnreachableError:
    """Return the error for a request that got no answer from `base_url`."""
    return UnreachableError(
        f"GitHub at {base_url} did not answer, so it is not possible to {operation}",
        operation=operation,
        detail=str(error),
        hint="check the network, a proxy, and github.baseUrl",
    )


def not_proven(
    error: Exception, *, operation: str, base_url: str, ca_file: str
) -> UnreachableError:
    """Return the error for a server whose certificate was not accepted, or whose TLS broke."""
    why = _verification(error)
    if not why:
        return UnreachableError(
            f"the TLS connection to {base_url} broke, so it is not possible to {operation}:"
            " the other end does not speak TLS as it should",
            operation=operation,
            detail=str(error),
            hint="check github.baseUrl, and whether the network or a proxy changes what passes",
        )
    where = f"the CA file {ca_file}" if ca_file else "the public authorities"
    hint = (
        "github.caFile must hold the certificate of the authority that this server's one is from;"
        " check the file, and the name or address in github.baseUrl"
        if ca_file
        else "a server with an authority of its own needs that one's certificate in a file:"
        " elysium config set github.caFile FILE; else something on the way poses as the server"
    )
    return UnreachableError(
        f"{base_url} did not prove who it is, so nothing was sent there and it is not possible to"
        f" {operation}: {why}, by {where}",
        operation=operation,
        detail=str(error),
        hint=hint,
    )


def _verification(error: BaseException) -> str:
    """Return why a certificate was not accepted, in the words of OpenSSL, or nothing."""
    seen: list[BaseException] = [error]
    for each in seen:
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"its certificate was not accepted ({each.verify_message})"
        inner = [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]
        new = (one for one in inner if isinstance(one, BaseException) and one not in seen)
        seen += list(new)[:8] if len(seen) < 32 else []
    return ""


def _when(seconds: float) -> str:
    if seconds < 120:
        return f"wait {int(seconds) + 1} seconds, then run again"
    at = time.strftime("%H:%M", time.localtime(time.time() + seconds))
    return f"run again after {at}"
