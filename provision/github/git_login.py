"""What Flux logs in to Git with over HTTPS: a token or a GitHub App. Contacts nothing until proven.

The fields are those that source-controller reads from the Secret of a
GitRepository (Flux documentation, "Git Repositories": basic access
authentication, GitHub, HTTPS certificate authority).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from provision import config, errors
from provision.github import authority, git_https, installation, token
from provision.secret import Secret

ENVIRONMENT: Final = "ELYSIUM_FLUX_TOKEN"
_PUBLIC_API: Final = "https://api.github.com"
_SHORT_LIVED: Final = "ghs_"
"""How the tokens of installations begin, those of GitHub Actions among them: GitHub ends them
after an hour, or with the job."""


@dataclass(frozen=True, kw_only=True)
class GitLogin:
    """One login. `fields` are the Secret's; `cfg` says where it is used."""

    kind: Literal["app", "token"]
    cfg: config.GitHub
    fields: Mapping[str, Secret]
    app: installation.Installation | None = None

    @property
    def fingerprint(self) -> str:
        """What tells this login from another one, without revealing it."""
        digest = hashlib.sha256()
        for name in sorted(self.fields):
            digest.update(f"{name}\0{self.fields[name].reveal()}\0".encode())
        return f"sha256:{digest.hexdigest()[:32]}"

    @property
    def words(self) -> str:
        """What people call it."""
        return f"GitHub App {self.app.app}" if self.app is not None else "token"

    def prove(self, branch: str, *, push: bool) -> None:
        """Read `branch` from here as Flux will, and ask for the right to `push`.

        Raises `errors.CodeHostError` that says what is refused.
        """
        username, password = self._credentials()
        if branch:
            git_https.fetch_head(self.cfg, username, password, branch)
        else:
            git_https.log_in(self.cfg, username, password)
        if push and not git_https.push_allowed(self.cfg, username, password):
            raise errors.CodeHostError(
                f"the {self.words} of Flux may not push to {self.cfg.slug}",
                operation="prove the login of Flux",
                hint="image automation pushes: give it 'Contents: write', or set flux.readWrite to"
                " false",
            )

    def _credentials(self) -> tuple[str, Secret]:
        if self.app is None:
            return self.fields["username"].reveal(), self.fields["password"]
        return "x-access-token", installation.once(self.cfg, self.app)


def find(
    github: config.GitHub, flux: config.Flux, environ: Mapping[str, str], root: Path | None = None
) -> GitLogin:
    """Return what Flux is to log in with. Relative files are below `root`.

    Raises `errors.ConfigError` where it is missing, or cannot serve Flux.
    """
    cfg = authority.resolved(github, root)
    certificates = _certificates(cfg)
    if flux.auth == "app":
        app = token.find_app(cfg, environ)
        return GitLogin(kind="app", cfg=cfg, app=app, fields=_app_fields(cfg, app) | certificates)
    found = _token(cfg, flux, environ)
    fields = {"username": Secret("git"), "password": found}
    return GitLogin(kind="token", cfg=cfg, fields=fields | certificates)


def _token(cfg: config.GitHub, flux: config.Flux, environ: Mapping[str, str]) -> Secret:
    key = "flux.token"
    if flux.token:
        found: token.Credential = flux.token
    elif flux.token_file:
        key = "flux.tokenFile"
        found = token.from_file(Path(flux.token_file).expanduser(), key)
    elif environ.get(ENVIRONMENT, "").strip():
        found = Secret(environ[ENVIRONMENT].strip())
    else:
        found = token.find_token(cfg, environ)
    if isinstance(found, installation.Installation):
        raise errors.ConfigError(
            "Flux has no token",
            [
                errors.Problem(
                    message="elysium logs in as a GitHub App, whose tokens end after an hour",
                    key=key,
                )
            ],
            hint="set flux.auth to app; or give Flux a token of its own: elysium config set"
            " --secret flux.token",
        )
    if found.reveal().startswith(_SHORT_LIVED):
        raise errors.ConfigError(
            "the token cannot serve Flux",
            [
                errors.Problem(
                    message="it is the token of a GitHub App or of GitHub Actions, which ends"
                    " within hours",
                    key=key,
                )
            ],
            hint="give Flux a personal access token: elysium config set --secret flux.token; or"
            " set flux.auth to app",
        )
    return found


def _app_fields(cfg: config.GitHub, app: installation.Installation) -> dict[str, Secret]:
    if not app.app.isdigit():
        raise errors.ConfigError(
            "the GitHub App cannot serve Flux",
            [
                errors.Problem(
                    message=f"{app.app!r} is a client id, and Flux needs the App's number",
                    key="github.app.id",
                )
            ],
            hint="the App ID is in the App's settings on GitHub, above the client id",
        )
    fields = {"githubAppID": Secret(app.app), "githubAppPrivateKey": app.private_key}
    if app.number:
        fields["githubAppInstallationID"] = Secret(str(app.number))
    else:
        fields["githubAppInstallationOwner"] = Secret(cfg.owner)
    if cfg.base_url.rstrip("/") != _PUBLIC_API:
        fields["githubAppBaseURL"] = Secret(cfg.base_url.rstrip("/"))
    return fields


def _certificates(cfg: config.GitHub) -> dict[str, Secret]:
    if not cfg.ca_file:
        return {}
    path = Path(cfg.ca_file).expanduser()
    authority.check(path)
    return {"ca.crt": Secret(path.read_text(encoding="utf-8"))}
