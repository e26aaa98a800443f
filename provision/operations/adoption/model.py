"""What a look at a cluster that was set up by hand found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provision import config, errors
from provision.config_file import schema
from provision.secret import MASK, Secret


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One value for the configuration, by its key (``k3s.version``)."""

    key: str
    value: Any = field(repr=False)
    secret: bool = False

    @property
    def text(self) -> str:
        """The value as ``elysium config set`` takes it, in clear."""
        return self.value if isinstance(self.value, str) else json.dumps(self.value)

    @property
    def shown(self) -> str:
        """The value as people may see it."""
        return MASK if self.secret else self.text


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing that was looked for.

    `facts` are for people. `settings` describe it, whatever the configuration
    says now; `notes` are what will not stay as it is, `problems` what keeps it
    from being taken over.
    """

    title: str
    facts: tuple[tuple[str, str], ...] = ()
    settings: tuple[Setting, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[errors.Problem, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that was looked for, and the settings that the configuration lacks."""

    parts: tuple[Part, ...]
    settings: tuple[Setting, ...]

    @property
    def problems(self) -> tuple[errors.Problem, ...]:
        """What keeps the cluster from being taken over."""
        return tuple(problem for part in self.parts for problem in part.problems)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What must never be shown."""
        found = (one for part in self.parts for one in part.settings if one.secret)
        return tuple(Secret(one.text) for one in found)


def lacking(cfg: config.Config, settings: tuple[Setting, ...]) -> tuple[Setting, ...]:
    """Return those of `settings` that `cfg` does not say already."""
    values = {schema.shown(key): value for key, value in cfg.model_dump(by_alias=True).items()}
    return tuple(one for one in settings if _says(values, one.key) != _plain(one.value))


def _says(values: Mapping[str, Any], key: str) -> Any:
    here: Any = values
    for part in key.split("."):
        here = here.get(part) if isinstance(here, Mapping) else None
    return _plain(here)


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return value
