"""Finding what to log in to GitHub with, without asking GitHub."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from provision import config, errors
from provision.github import installation
from provision.secret import Secret

_PUBLIC_API = "api.github.com"
_APP = "GITHUB_APP_ID"
_APP_INSTALLATION = "GITHUB_APP_INSTALLATION_ID"
_APP_KEY = "GITHUB_APP_PRIVATE_KEY"
_APP_KEY_FILE = "GITHUB_APP_PRIVATE_KEY_FILE"

Credential = Secret | installation.Installation
"""A token, classic, fine-grained or of the ``gh`` program; or a GitHub App's installation."""


def find_token(cfg: config.GitHub, environ: Mapping[str, str]) -> Credential:
    """Return what to log in with.

    The first of: ``github.token``, ``github.tokenFile``, ``github.app``,
    ``GITHUB_TOKEN``, ``GH_TOKEN``, the app of ``GITHUB_APP_ID`` (with
    ``GITHUB_APP_PRIVATE_KEY`` or ``…_FILE``, and ``GITHUB_APP_INSTALLATION_ID``
    where it is not to be looked up), and what ``gh auth token`` prints for the
    API's host.

    Raises:
        errors.ConfigError: a file cannot be read, an app has no private key,
            or there is nothing to log in with.
    """
    if cfg.token:
        return cfg.token
    if cfg.token_file:
        return from_file(Path(cfg.token_file).expanduser(), "github.tokenFile")
    if cfg.app is not None:
        return _of_app(cfg.app, environ)
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        text = environ.get(name, "").strip()
        if text:
            return Secret(text)
    if environ.get(_APP, "").strip():
        return _of_app(_app_of(environ), environ)
    found = _from_gh(cfg, environ)
    if found:
        return found
    raise errors.ConfigError(
        "there is no GitHub token",
        [
            errors.Problem(
                message="none in the configuration, GITHUB_TOKEN, GH_TOKEN or 'gh auth token',"
                " and no GITHUB_APP_ID",
                where=f"github {cfg.slug}",
                key="github.token",
            )
        ],
        hint="export GITHUB_TOKEN=…, or store it with 'elysium config set --secret github.token'",
    )


def _app_of(environ: Mapping[str, str]) -> config.GitHubApp:
    number = environ.get(_APP_INSTALLATION, "").strip()
    if number and not number.isdigit():
        raise errors.ConfigError(
            f"{_APP_INSTALLATION} is not the number of an installation",
            [errors.Problem(message=f"it is {number!r}", key="github.app.installation")],
        )
    return config.GitHubApp(id=environ[_APP].strip(), installation=int(number or 0))


def _of_app(app: config.GitHubApp, environ: Mapping[str, str]) -> installation.Installation:
    """Return the app's installation; its private key may lie in the environment in any case."""
    key = app.private_key
    file = app.private_key_file or ("" if key else environ.get(_APP_KEY_FILE, "").strip())
    if not key and not file and environ.get(_APP_KEY, "").strip():
        # One line with \n in it is how such a key gets through most CI settings.
        key = Secret(environ[_APP_KEY].strip().replace("\\n", "\n") + "\n")
    if not key and file:
        key = Secret(_read(Path(file).expanduser(), "github.app.privateKeyFile"))
    if not key:
        raise errors.ConfigError(
            f"the GitHub App {app.id} has no private key",
            [
                errors.Problem(
                    message=f"none in the configuration, {_APP_KEY} or {_APP_KEY_FILE}",
                    key="github.app.privateKey",
                )
            ],
            hint="store it with 'elysium config set --secret github.app.privateKey'",
        )
    return installation.Installation(app=app.id, private_key=key, number=app.installation)


def _read(path: Path, key: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise errors.ConfigError(
            f"the file of {key} cannot be read",
            [errors.Problem(message=str(error), where=str(path), key=key)],
        ) from error


def find_app(cfg: config.GitHub, environ: Mapping[str, str]) -> installation.Installation:
    """Return the GitHub App of the configuration, else of the environment.

    Raises `errors.ConfigError` where there is none, or it has no private key.
    """
    if cfg.app is not None:
        return _of_app(cfg.app, environ)
    if environ.get(_APP, "").strip():
        return _of_app(_app_of(environ), environ)
    raise errors.ConfigError(
        "there is no GitHub App",
        [
            errors.Problem(
                message=f"none in the configuration or {_APP}",
                where=f"github {cfg.slug}",
                key="github.app.id",
            )
        ],
        hint="elysium config set github.app.id NUMBER, and elysium config set --secret"
        " github.app.privateKey",
    )


def from_file(path: Path, key: str) -> Secret:
    """Return the token in the file at `path`, which the configuration names at `key`.

    Raises `errors.ConfigError` for a file that does not hold one token.
    """
    text = _read(path, key).strip()
    if not text or len(text.split()) != 1:
        raise errors.ConfigError(
            "the token's file does not hold one token",
            [
                errors.Problem(
                    message="it is empty or holds several words",
                    where=str(path),
                    key=key,
                )
            ],
        )
    return Secret(text)


def _from_gh(cfg: config.GitHub, environ: Mapping[str, str]) -> Secret | None:
    program = shutil.which("gh", path=environ.get("PATH"))
    if not program:
        return None
    host = urlsplit(cfg.base_url).hostname or _PUBLIC_API
    host = "github.com" if host == _PUBLIC_API else host
    try:
        done = subprocess.run(
            [program, "auth", "token", "--hostname", host],
            capture_output=True,
            text=True,
            timeout=15,
            check=False,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = done.stdout.strip()
    return Secret(text) if done.returncode == 0 and text else None
