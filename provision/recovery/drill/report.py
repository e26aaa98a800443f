"""Where the outcome of a drill goes: two files, and a webhook."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from provision import errors, transfer
from provision.fileio import atomic
from provision.recovery.drill import outcome, page

_TIMEOUT: Final = 30


def write(found: outcome.Outcome, folder: Path) -> tuple[Path, Path]:
    """Write the outcome as JSON and as a page into `folder`; return both paths.

    Raises `errors.ConfigError` when it cannot be written.
    """
    data, shown = folder / f"{found.name}.json", folder / f"{found.name}.html"
    try:
        atomic.write(data, found.dump() + b"\n")
        atomic.write(shown, page.render(found).encode())
    except OSError as error:
        raise errors.ConfigError(
            f"the report cannot be written into {folder}: {error.strerror}", []
        ) from error
    return data, shown


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Has a redirect be an error: urllib would follow it with a GET, without the report."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Return no request."""
        del req, fp, code, msg, headers, newurl


def tell(found: outcome.Outcome, url: str) -> None:
    """POST the outcome as JSON to `url`.

    Raises `errors.ConfigError` for what is no HTTP address, and
    `errors.ElysiumError` when it is not taken.
    """
    if not url.startswith(("https://", "http://")):
        raise errors.ConfigError(f"{url} is no http:// or https:// address", [])
    request = urllib.request.Request(  # noqa: S310 - checked above
        url, data=found.dump(), headers={"Content-Type": "application/json"}, method="POST"
    )

    opener = urllib.request.build_opener(_NoRedirects)

    def post() -> None:
        with opener.open(request, timeout=_TIMEOUT):
            pass

    try:
        transfer.within(_TIMEOUT, post)
    except (urllib.error.URLError, OSError, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise errors.ElysiumError(
            "the webhook did not take the report", detail=f"{url}: {error}"
        ) from error
