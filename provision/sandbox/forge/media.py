"""Media types: what a caller asks for with ``Accept``, and what it gets.

Facts: GitHub documentation, "Media types" (``application/vnd.github.raw+json``, with the version
``v3`` in front of the parameter or without; ``X-GitHub-Media-Type`` in the answer); observed: 415
``Unsupported 'Accept' header: 'application/xml'. Must accept 'application/json'.``
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

DOCUMENTATION: Final = "https://docs.github.com/v3/media"
_FORMATS: Final = frozenset({"diff", "patch", "sha"})
_GITHUB: Final = re.compile(
    r"application/vnd\.github(?:\.v3)?"
    r"(?:\.(?P<param>[a-z][a-z0-9.-]*))?(?P<json>\+json)?"
)
_JSON: Final = frozenset({"*/*", "application/*", "application/json"})


class NotAcceptableError(Exception):
    """A caller accepts nothing that a call can answer with."""


@dataclass(frozen=True, kw_only=True)
class Media:
    """One media type that a call answers with. `param` is empty for plain JSON."""

    name: str = "application/json"
    param: str = ""
    json: bool = True

    @property
    def header(self) -> str:
        """The ``X-GitHub-Media-Type`` of the answer."""
        param = f"; param={self.param}" if self.param else ""
        return f"github.v3{param}{'; format=json' if self.json else ''}"

    @property
    def content_type(self) -> str:
        """The ``Content-Type`` of an answer that is not JSON."""
        return f"{self.name}; charset=utf-8"


def choose(accept: str, served: Iterable[str] = (), refused: Iterable[str] = ()) -> Media:
    """Return the media type for a call that serves the parameters `served` beside JSON.

    Of several types the one with the highest weight counts, the first of equals. A parameter that
    means nothing to a call is JSON, as at GitHub. `refused` are those that GitHub serves there and
    the forge does not.

    Raises:
        NotAcceptableError: when nothing that the caller accepts can be had, in GitHub's words.
    """
    wanted = _ordered(accept)
    if not wanted:
        return Media()
    known, unknown = frozenset(served), frozenset(refused)
    for name in wanted:
        media = _media(name, known, unknown)
        if media is not None:
            return media
    raise NotAcceptableError(
        f"Unsupported 'Accept' header: '{wanted[0]}'. Must accept 'application/json'."
    )


def _media(name: str, served: frozenset[str], refused: frozenset[str]) -> Media | None:
    if name in _JSON:
        return Media()
    found = _GITHUB.fullmatch(name)
    if found is None:
        return None
    param, as_json = found["param"] or "", found["json"] is not None
    if param in refused or (param in _FORMATS and param not in served):
        return None
    return Media(name=name, param=param, json=as_json or not param)


def _ordered(accept: str) -> list[str]:
    """Return the types of an ``Accept`` header, those with the highest weight first."""
    weighed: list[tuple[float, str]] = []
    for part in accept.split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if not name:
            continue
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip().lower() == "q":
                weight = float(value) if re.fullmatch(r"[01](\.[0-9]{0,3})?", value) else 0.0
        if weight > 0:
            weighed.append((weight, name.lower()))
    return [name for _, name in sorted(weighed, key=lambda pair: -pair[0])]
