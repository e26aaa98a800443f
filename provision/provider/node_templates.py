"""Rendering of ``templates/node``: every undefined name is an error."""

from __future__ import annotations

import functools
import importlib.resources
import json
import shlex
import threading
from typing import Any


def render(name: str, **values: Any) -> str:
    """Return ``templates/node/<name>.j2`` rendered with `values`."""
    return str(_template(name).render(values))


def removal(path: str) -> str:
    """Return the script that removes `path`, but nothing that is mounted at or below it.

    It ends with an error, and removes nothing, where it cannot tell what is mounted.
    """
    return render(
        "remove-one.sh", path=path, mounts=render("mounts.sh"), remove_tree=render("remove-tree.sh")
    )


def warm() -> None:
    """Import Jinja2 in the background, while a node is being asked (60 ms)."""
    threading.Thread(target=_environment, name="elysium-templates", daemon=True).start()


@functools.cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - shell and YAML, never HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quote"] = shlex.quote
    environment.filters["tojson_plain"] = _json
    environment.filters["unit"] = _unit
    return environment


@functools.cache
def _template(name: str) -> Any:
    path = importlib.resources.files("templates") / "node" / f"{name}.j2"
    return _environment().from_string(path.read_text(encoding="utf-8"))


def _json(value: Any) -> str:
    """Return a scalar or structure as JSON, which is YAML as well."""
    return json.dumps(value, ensure_ascii=False)


def _unit(value: Any) -> str:
    """Return a text for a systemd unit, where ``%`` begins a specifier."""
    return str(value).replace("%", "%%")
