"""Finding the GitHub token, without asking GitHub."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from provision import config, errors
from provision.secret import Secret

_PUBLIC_API = "api.github.com"


def find_token(cfg: config.GitHub, environ: Mapping[str, str]) -> Secret:
    """Return the token to use.

    The first of: ``github.token``, ``github.tokenFile``, ``GITHUB_TOKEN``,
    ``GH_TOKEN``, and what ``gh auth token`` prints for the API's host.

    Raises:
        errors.ConfigError: the file cannot be read, or there is no token.
    """
    if cfg.token:
        return cfg.token
    if cfg.token_file:
        return _from_file(Path(cfg.token_file).expanduser())
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        text = environ.get(name, "").strip()
        if text:
            return Secret(text)
    found = _from_gh(cfg, environ)
    if found:
        return found
    raise errors.ConfigError(
        "there is no GitHub token",
        [
            errors.Problem(
                message="none in the configuration, GITHUB_TOKEN, GH_TOKEN or 'gh auth token'",
                where=f"github {cfg.slug}",
                key="github.token",
            )
        ],
        hint="export GITHUB_TOKEN=…, or store it with 'elysium config set --secret github.token'",
    )


def _from_file(path: Path) -> Secret:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.ConfigError(
            "the GitHub token's file cannot be read",
            [errors.Problem(message=str(error), where=str(path), key="github.tokenFile")],
        ) from error
    if not text or len(text.split()) != 1:
        raise errors.ConfigError(
            "the GitHub token's file does not hold one token",
            [
                errors.Problem(
                    message="it is empty or holds several words",
                    where=str(path),
                    key="github.tokenFile",
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
