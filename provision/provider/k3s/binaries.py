"""The folder of k3s' programs on a node: /usr/local/bin, or /opt/bin where that is read-only. Pure.

Fact: k3s' install script puts its programs into /usr/local/bin, and into /opt/bin
where it cannot write there and /opt/bin is a folder (Flatcar and its like).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from provision.host import facts

DEFAULT: Final = "/usr/local/bin"
FALLBACK: Final = "/opt/bin"
FOLDERS: Final = (DEFAULT, FALLBACK)
INPUT: Final = "binFolder"
"""The input, and the output, that names the folder where it is not the default."""

_SNIPPET: Final = "k3s-binaries"


def snippet() -> tuple[str, str]:
    """Return the fact snippet that prints the folder: where k3s is, else where it can be put."""
    script = f"""\
for d in {DEFAULT} {FALLBACK}; do
[ ! -e "$d/k3s" ] || {{ echo "$d"; exit 0; }}
done
d={DEFAULT}
while [ -n "$d" ] && ! [ -d "$d" ]; do d=${{d%/*}}; done
[ ! -w "${{d:-/}}" ] || {{ echo {DEFAULT}; exit 0; }}
[ ! -d {FALLBACK} ] || [ ! -w {FALLBACK} ] || echo {FALLBACK}
"""
    return _SNIPPET, script


def folder(found: facts.NodeFacts) -> str:
    """Return the folder of k3s' programs; the default where none can be used."""
    said = found.snippets.get(_SNIPPET, "").strip()
    return said if said in FOLDERS else DEFAULT


def placed(found: facts.NodeFacts, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return `inputs` with the folder, for what is rendered or run on this node."""
    return {**inputs, INPUT: folder(found)}
