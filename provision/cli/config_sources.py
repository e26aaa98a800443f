"""The configuration as it applies, and where each value comes from.

A value is from the stack's file, from SSH's client configuration, or a default.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision import config_file
from provision.config_file import document, reader, schema

if TYPE_CHECKING:
    from provision import config
    from provision.host import reach

DEFAULT = "default"
_Key = tuple[str | int, ...]


class Sources:
    """The effective values of one stack's file, and the place that each is from."""

    def __init__(self, path: Path) -> None:
        """Read `path`; nothing is decrypted. Raises `errors.ConfigError`."""
        # Nothing is decrypted: what is never in memory is never printed.
        loaded = config_file.read(path, None).config
        _, _, self._tree = reader.validate(document.parse(path), None)
        self._file = path.name
        self._foreign: dict[_Key, str] = {("cluster",): self._file}
        raw: dict[str, Any] = loaded.model_dump(mode="json", by_alias=True)
        self.values = {schema.shown(key): value for key, value in raw.items()}
        self.ways = self._reached(loaded)

    def text(self) -> str:
        """Return the values as YAML with the source of each in a comment."""
        data = document.block(self.values)
        self._comment(data, ())
        doc = document.Document(path=Path("config"), data=data, text="")
        return document.render(doc).rstrip("\n") + "".join(f"\n# {way}" for way in self.ways)

    def source(self, path: _Key) -> str:
        """Return where the value at `path` is from."""
        for end in range(len(path), 0, -1):
            if path[:end] in self._foreign:
                return self._foreign[path[:end]]
        if not _there(self._tree.values, path):
            return DEFAULT
        line = self._tree.line(path)
        return f"{self._file}:{line}" if line else self._file

    def _reached(self, loaded: config.Config) -> list[str]:
        """Put what SSH's client configuration says into the values; return the ways."""
        from provision.host import reach

        ways: list[str] = []
        for index, node in enumerate(loaded.nodes):
            route = reach.route(node, node.jump)
            self._overlay(self.values["nodes"][index], ("nodes", index), route)
            if route.jump is not None:
                ways.append(f"{node.name} is reached as {route.way}")
        for index, copy in enumerate(loaded.backup.copies):
            if copy.ssh is not None:
                at: _Key = ("backup", "copies", index, "ssh")
                self._overlay(
                    self.values["backup"]["copies"][index]["ssh"], at, reach.route(copy.ssh)
                )
        return ways

    def _overlay(self, values: dict[str, Any], path: _Key, route: reach.Route) -> None:
        from provision.host import reach

        for key, value in (("port", route.port), ("user", route.user), ("host", route.host)):
            where = route.sources.get(key, reach.DEFAULT)
            if where not in (reach.OWN, reach.DEFAULT):
                values[key] = value
                self._foreign[*path, key] = where
            elif where == reach.OWN and not _there(self._tree.values, (*path, key)):
                self._foreign[*path, key] = self.source((*path, "host"))  # user@host:port
        where = route.sources.get("identityFile", "")
        if where and where != reach.OWN:
            values["identityFile"] = ", ".join(map(str, route.keys))
            self._foreign[*path, "identityFile"] = where
        if not route.host_key and (found := route.trust()).pins:
            values["hostKey"] = ", ".join(pin.line or pin.fingerprint for pin in found.pins)
            self._foreign[*path, "hostKey"] = found.source
        if route.jump is None:
            return
        if route.sources.get("jump") == reach.OWN:
            self._overlay(values["jump"], (*path, "jump"), route.jump)
        else:
            jump = route.jump
            values["jump"] = {"host": jump.host, "port": jump.port, "user": jump.user}
            self._foreign[*path, "jump"] = route.sources["jump"]

    def _comment(self, data: Any, path: _Key) -> None:
        if isinstance(data, list):
            for index, item in enumerate(data):
                self._comment(item, (*path, index))
        if not hasattr(data, "items"):
            return
        mapping: Any = data
        for key, value in mapping.items():
            if isinstance(value, (dict, list)) and value:
                self._comment(value, (*path, key))
            if not isinstance(value, dict) and not _holds_mappings(value):
                mapping.yaml_add_eol_comment(self.source((*path, key)), key, column=0)


def _holds_mappings(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _there(values: Any, path: _Key) -> bool:
    for part in path:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
