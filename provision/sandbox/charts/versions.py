"""Versions of a chart that satisfy a constraint, without a list of those that exist."""

from __future__ import annotations

import re
from typing import Final

DEFAULT: Final = "1.0.0"
_EXACT: Final = re.compile(r"v?\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
_TOKEN: Final = re.compile(
    r"v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(-[0-9A-Za-z.-]+)?(?![0-9A-Za-z])"
)


def satisfying(constraint: str) -> tuple[str, ...]:
    """Return versions of which one satisfies `constraint`, as Helm writes constraints.

    An exact version stands for itself. Of a range come its limits and their neighbours;
    source-controller takes the highest that fits.

    >>> satisfying("1.2.3")
    ('1.2.3',)
    >>> satisfying("*")
    ('1.0.0',)
    """
    text = constraint.strip().removeprefix("=").strip()
    if _EXACT.fullmatch(text):
        return (text,)
    found: dict[str, None] = {}
    for match in _TOKEN.finditer(constraint):
        parts = [int(part) if part and part.isdigit() else None for part in match.groups()[:3]]
        if parts[0] is None:
            continue
        major, minor, patch = (part or 0 for part in parts)
        prefix = "v" if match[0].startswith("v") else ""  # a repository's versions have it or not
        if match[4]:
            found[f"{prefix}{major}.{minor}.{patch}{match[4]}"] = None
        near = [
            *((major, minor, patch), (major, minor, patch + 1), (major, minor + 1, 0)),
            *((major + 1, 0, 0), (major, minor, patch - 1), (major, minor - 1, 0)),
            *((major - 1, 0, 0), (major, minor - 1, 99), (major - 1, 99, 0)),
        ]
        found |= dict.fromkeys(prefix + ".".join(map(str, one)) for one in near if min(one) >= 0)
    return tuple(found) or (DEFAULT,)
