"""A GitHub App's installation in place of a token.

The app proves itself with a JSON web token and gets a token of one hour for
its installation (GitHub documentation, "Authenticating as a GitHub App
installation"; "REST API endpoints for GitHub Apps"). A deploy key that it
registers is not bound to any person's token.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from provision import config, errors
from provision.github import answers, authority, failures
from provision.secret import Secret

if TYPE_CHECKING:
    import github

    from provision.github import transport

_OPERATION = "log in as the GitHub App"
_EARLY = datetime.timedelta(minutes=5)
"""A token is renewed so long before its end, so that none ends during a call."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """An app (its id or client id), its private key, and where it is installed.

    `number` 0: the installation that covers the repository is looked up.
    """

    app: str
    private_key: Secret
    number: int = 0


class Exchange:
    """Trades the app's proof for the installation's token. Safe to use from several threads."""

    def __init__(self, cfg: config.GitHub, who: Installation) -> None:
        self._cfg = cfg
        self._who = who
        self._number = who.number
        self._lock = threading.Lock()
        self._token = Secret("")
        self._permissions: dict[str, str] = {}
        self._until = datetime.datetime.min.replace(tzinfo=datetime.UTC)

    @property
    def last(self) -> Secret:
        """The token of the last exchange, for masking; empty before the first."""
        return self._token

    def token(self) -> Secret:
        """Return a token that is good for some minutes at least.

        Raises what PyGithub raises for what may be tried again, and
        `failures.TokenError` or `failures.ForbiddenError` for what may not.
        """
        with self._lock:
            if datetime.datetime.now(datetime.UTC) + _EARLY >= self._until:
                self._renew()
            return self._token

    def permissions(self) -> Mapping[str, str]:
        """Return what the installation may do. Raises as `token` does."""
        self.token()
        return self._permissions

    def _renew(self) -> None:
        import github
        import jwt

        from provision.github import transport

        try:
            link = transport.Transport(
                github.Auth.AppAuth(self._who.app, self._who.private_key.reveal()),
                self._cfg.base_url,
                authority.verify(self._cfg),
            )
        except (ValueError, TypeError, AssertionError) as error:
            raise _bad_key(error) from error
        try:
            if not self._number:
                path = f"/repos/{quote(self._cfg.owner, '')}/{quote(self._cfg.repository, '')}"
                found = self._ask(link, "GET", f"{path}/installation")
                self._number = found.number("id")
            made = self._ask(link, "POST", f"/app/installations/{self._number}/access_tokens")
        except github.GithubException as error:
            told = _refusal(error, self._cfg, self._number)
            if told is None:
                raise
            raise told from error
        except (ValueError, TypeError, jwt.PyJWTError) as error:  # a key that is none
            raise _bad_key(error) from error
        finally:
            link.close()
        granted = made.fields_or_none("permissions")
        self._permissions = (
            {name: str(level) for name, level in granted.mapping().items()} if granted else {}
        )
        until = made.time("expires_at")
        self._token, self._until = Secret(made.text("token")), until

    def _ask(self, link: transport.Transport, verb: str, path: str) -> answers.Fields:
        _, data = link.requestJsonAndCheck(verb, path)
        source = answers.Source(
            operation=_OPERATION,
            address=self._cfg.base_url.rstrip("/") + path,
            status=201 if verb == "POST" else 200,
        )
        return answers.Fields(data, source)


def once(cfg: config.GitHub, who: Installation) -> Secret:
    """Return a token of the installation `who`, for one use.

    Raises `errors.CodeHostError` where GitHub refuses, or cannot be reached.
    """
    import github
    import requests

    try:
        return Exchange(cfg, who).token()
    except (github.GithubException, requests.RequestException, OSError) as error:
        raise failures.UnreachableError(
            "GitHub gives the GitHub App no token",
            operation=_OPERATION,
            detail=type(error).__name__,
            hint="run the same command again when GitHub answers",
        ) from error


def _bad_key(error: Exception) -> errors.ConfigError:
    return errors.ConfigError(
        "the GitHub App's private key cannot be used",
        [errors.Problem(message=type(error).__name__, key="github.app.privateKey")],
        hint="it is the .pem file that GitHub hands out in the app's settings",
    )


def _refusal(
    error: github.GithubException, cfg: config.GitHub, number: int
) -> errors.CodeHostError | None:
    """Return what to say of a refusal, None for what may be tried again."""
    operation = _OPERATION
    words = str(error.data.get("message") or "") if isinstance(error.data, dict) else ""
    if error.status == 401:
        return failures.TokenError(
            "GitHub did not accept the GitHub App's proof of itself",
            operation=operation,
            status=401,
            detail=words,
            hint="check github.app.id and its private key, and this computer's clock",
        )
    if error.status == 404:
        lacking = "there is no such app, or it is not installed on " + cfg.slug
        return failures.TokenError(
            f"the GitHub App's installation {number} is not there"
            if number
            else f"the GitHub App cannot be used: {lacking}",
            operation=operation,
            status=404,
            detail=words,
            hint="install it on the repository, in the app's settings on GitHub",
        )
    if error.status == 403 and failures.retry_after(403, error.headers or {}, error.data) is None:
        return failures.ForbiddenError(
            "the GitHub App may not log in",
            operation=operation,
            detail=words,
            hint="an administrator of the account has to unsuspend its installation",
        )
    return None
