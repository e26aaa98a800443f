"""Programs as data: small, printable, and run by either engine.

A program is a list of `Spec`; texts that begin with ``$`` are outputs of an
earlier one (``$a.echo``), texts that begin with ``!`` are secrets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import engine_provider
import pulumi


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One resource. `opts` are resource options; resources in them go by name."""

    name: str
    kind: Literal["thing", "group", "provider", "get"] = "thing"
    inputs: dict[str, Any] = field(default_factory=dict)
    opts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Program:
    """Resources in their order, exports, and how it ends (`raises`: badly)."""

    specs: tuple[Spec, ...] = ()
    exports: dict[str, Any] = field(default_factory=dict)
    raises: bool = False


def thing(name: str, opts: dict[str, Any] | None = None, **inputs: Any) -> Spec:
    return Spec(name=name, inputs=inputs, opts=opts or {})


def runnable(program: Program) -> Callable[[], None]:
    """Return `program` as the SDK runs it."""

    def run() -> None:
        made: dict[str, Any] = {}
        for spec in program.specs:
            made[spec.name] = _make(spec, made)
        for key, value in program.exports.items():
            pulumi.export(key, _value(value, made))
        if program.raises:
            raise RuntimeError("the program ends badly")

    return run


def _make(spec: Spec, made: dict[str, Any]) -> Any:
    inputs = {key: _value(value, made) for key, value in spec.inputs.items()}
    opts = _options(spec.opts, made)
    if spec.kind == "group":
        return engine_provider.Group(spec.name, opts)
    if spec.kind == "provider":
        return engine_provider.MemProvider(spec.name, opts, **inputs)
    return engine_provider.Thing(spec.name, opts, **inputs)


def _value(value: Any, made: dict[str, Any]) -> Any:
    if isinstance(value, str) and value.startswith("$"):
        name, _, attribute = value[1:].partition(".")
        return getattr(made[name], attribute)
    if isinstance(value, str) and value.startswith("!"):
        return pulumi.Output.secret(value[1:])
    if isinstance(value, dict):
        return {key: _value(each, made) for key, each in value.items()}
    if isinstance(value, list):
        return [_value(each, made) for each in value]
    return value


def _options(opts: dict[str, Any], made: dict[str, Any]) -> pulumi.ResourceOptions:
    found = dict(opts)
    for key in ("parent", "provider", "deleted_with"):
        if key in found:
            found[key] = made[found[key]]
    if "depends_on" in found:
        found["depends_on"] = [made[name] for name in found["depends_on"]]
    if "aliases" in found:
        found["aliases"] = [pulumi.Alias(**each) for each in found["aliases"]]
    if "custom_timeouts" in found:
        found["custom_timeouts"] = pulumi.CustomTimeouts(**found["custom_timeouts"])
    return pulumi.ResourceOptions(**found)
