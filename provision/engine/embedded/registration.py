"""What the program asked for: one registration, read from the SDK's request.

Everything a request can hold is taken over or refused by name. Only
`hide_diffs` is neither: it has no effect but on what upstream's CLI shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from urllib import parse

from pulumi.runtime.proto import resource_pb2

from provision import errors
from provision.engine.embedded import wire
from provision.engine.state import urns, values

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|h|m|s)")
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_REFUSED: Final = {
    "remote": "remote components",
    "transforms": "transforms",
    "state_migrations": "state migrations",
    "replace_with": "replaceWith",
    "envVarMappings": "environment variable mappings of a provider",
    "snippetId": "snippets",
    "packageRef": "parameterized packages",
    "pluginDownloadURL": "a plugin_download_url",
    "pluginChecksums": "checksums of a plugin",
}


@dataclass(frozen=True, kw_only=True)
class Alias:
    """One earlier name of a resource; empty parts are as they are now."""

    urn: str = ""
    name: str = ""
    type: str = ""
    stack: str = ""
    project: str = ""
    parent: str = ""
    no_parent: bool = False


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One registration. None where the program said nothing and a parent may."""

    type: str
    name: str
    custom: bool
    parent: str = ""
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    provider: str = ""
    providers: Mapping[str, str] = field(default_factory=dict[str, str])
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, tuple[str, ...]] = field(
        default_factory=dict[str, tuple[str, ...]]
    )
    protect: bool | None = None
    retain_on_delete: bool | None = None
    deleted_with: str = ""
    delete_before_replace: bool | None = None
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    replacement_trigger: Any = None
    version: str = ""
    import_id: str = ""
    read_id: str = ""
    custom_timeouts: dict[str, float] = field(default_factory=dict[str, float])
    aliases: tuple[Alias, ...] = ()
    source_position: str = ""

    def inherit(self, parent: Goal | None) -> Goal:
        """Return this goal with what its parent passes on where it says nothing itself."""
        if parent is None:
            return self
        protect = parent.protect if self.protect is None else self.protect
        retain = parent.retain_on_delete if self.retain_on_delete is None else self.retain_on_delete
        return replace(
            self,
            protect=protect,
            retain_on_delete=retain,
            deleted_with=self.deleted_with or parent.deleted_with,
            providers={**parent.providers, **self.providers},
        )


def from_register(request: resource_pb2.RegisterResourceRequest, root: Path) -> Goal:
    """Return the goal of a registration.

    Raises `errors.StackError` naming what this engine does not do.
    """
    what = f"{request.type} '{request.name}'"
    _refuse_options(request, what)
    if any(getattr(request.hooks, hook.name) for hook in request.hooks.DESCRIPTOR.fields):
        raise _refused("resource hooks", what)
    inputs = wire.from_struct(request.object)
    _refuse_assets(inputs, what)
    trigger = None
    if request.HasField("replacement_trigger"):
        trigger = wire.from_struct_value(request.replacement_trigger)
    return Goal(
        type=request.type,
        name=request.name,
        custom=request.custom,
        parent=request.parent,
        inputs=inputs,
        provider=request.provider,
        providers=dict(request.providers),
        dependencies=tuple(sorted(request.dependencies)),
        property_dependencies={
            key: tuple(sorted(each.urns)) for key, each in request.propertyDependencies.items()
        },
        protect=request.protect if request.HasField("protect") else None,
        retain_on_delete=(request.retainOnDelete if request.HasField("retainOnDelete") else None),
        deleted_with=request.deletedWith,
        delete_before_replace=(
            request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None
        ),
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        additional_secret_outputs=tuple(request.additionalSecretOutputs),
        replacement_trigger=trigger,
        version=request.version,
        import_id=request.importId,
        custom_timeouts=_timeouts(request.customTimeouts, what),
        aliases=(
            *(_alias(each) for each in request.aliases),
            *(Alias(urn=urn) for urn in request.aliasURNs),
        ),
        source_position=_position(request.sourcePosition.uri, request.sourcePosition.line, root),
    )


def from_read(request: resource_pb2.ReadResourceRequest, root: Path) -> Goal:
    """Return the goal of a resource that is only read (``.get``)."""
    what = f"{request.type} '{request.name}'"
    _refuse_options(request, what)
    return Goal(
        type=request.type,
        name=request.name,
        custom=True,
        parent=request.parent,
        inputs=wire.from_struct(request.properties),
        provider=request.provider,
        dependencies=tuple(sorted(request.dependencies)),
        additional_secret_outputs=tuple(request.additionalSecretOutputs),
        version=request.version,
        read_id=request.id,
        source_position=_position(request.sourcePosition.uri, request.sourcePosition.line, root),
    )


def seconds(text: str) -> float:
    """Return the seconds of a duration like ``1h30m``. Raises `ValueError`."""
    if text in ("", "0"):
        return 0.0
    total, position = 0.0, 0
    for match in _DURATION.finditer(text):
        if match.start() != position:
            break
        total += float(match[1]) * _SECONDS[match[2]]
        position = match.end()
    if position != len(text):
        raise ValueError(text)
    return total


def _timeouts(
    found: resource_pb2.RegisterResourceRequest.CustomTimeouts, what: str
) -> dict[str, float]:
    result: dict[str, float] = {}
    for key in ("create", "update", "delete", "read"):
        text = getattr(found, key)
        try:
            value = seconds(text)
        except ValueError as error:
            raise errors.StackError(
                f"the {key} timeout of {what} is '{text}', which is no duration",
                operation="register",
                hint="write it like 5m, 90s or 1h30m",
            ) from error
        if value:
            result[key] = value
    return result


def _alias(each: Any) -> Alias:
    if each.WhichOneof("alias") == "urn":
        return Alias(urn=each.urn)
    spec = each.spec
    return Alias(
        name=spec.name,
        type=spec.type,
        stack=spec.stack,
        project=spec.project,
        parent=spec.parentUrn,
        no_parent=spec.noParent,
    )


def alias_urn(alias: Alias, goal: Goal, stack: str, project: str, parent: str) -> str:
    """Return the URN that `alias` stands for; `parent` is the parent's URN back then."""
    if alias.urn:
        return alias.urn
    above = alias.parent or parent
    if alias.no_parent or (above and urns.qualified_type(above) == urns.ROOT_TYPE):
        above = ""
    return urns.make(
        alias.stack or stack,
        alias.project or project,
        above,
        alias.type or goal.type,
        alias.name or goal.name,
    )


def _position(uri: str, line: int, root: Path) -> str:
    """Return where the program made the resource, if that is inside the project."""
    if not uri.startswith("file://"):
        return ""
    path = Path(parse.unquote(parse.urlsplit(uri).path))
    if not path.is_relative_to(root):
        return ""
    return f"project:///{parse.quote(path.relative_to(root).as_posix())}#{line}"


def _refuse_options(request: Any, what: str) -> None:
    """Raise `errors.StackError` for an option of `request` that this engine does not know."""
    for name, words in _REFUSED.items():
        if getattr(request, name, None):
            raise _refused(words, what)


def _refuse_assets(value: Any, what: str) -> None:
    if isinstance(value, values.Sealed):
        _refuse_assets(value.value, what)
    elif isinstance(value, dict):
        if value.get(values.SIGNATURE) in (values.ASSET_SIGNATURE, values.ARCHIVE_SIGNATURE):
            raise _refused("assets and archives", what)
        for each in value.values():
            _refuse_assets(each, what)
    elif isinstance(value, list):
        for each in value:
            _refuse_assets(each, what)


def _refused(words: str, what: str) -> errors.StackError:
    return errors.StackError(
        f"{what} uses {words}, which the embedded engine does not do",
        operation="register",
        hint="put `pulumi` on PATH and add --engine upstream",
    )
