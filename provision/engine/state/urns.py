"""Names of resources: how an URN is made and read.

``urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>``. The type of
the stack itself never stands before a child's. Source of facts: Pulumi's URN
rules (SDK 3.272).
"""

from __future__ import annotations

from typing import Final

ROOT_TYPE: Final = "pulumi:pulumi:Stack"
PROVIDER_PREFIX: Final = "pulumi:providers:"
_PREFIX: Final = "urn:pulumi:"


def make(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """Return the URN of a resource. `parent` is an URN, or empty."""
    above = qualified_type(parent) if parent else ""
    qualified = f"{above}${type_}" if above and above != ROOT_TYPE else type_
    return f"{_PREFIX}{stack}::{project}::{qualified}::{name}"


def qualified_type(urn: str) -> str:
    """Return the type with those of its parents: ``elysium:a:B$elysium:c:D``."""
    return _part(urn, 2)


def type_of(urn: str) -> str:
    """Return the resource's own type."""
    return _part(urn, 2).rpartition("$")[2]


def name_of(urn: str) -> str:
    """Return the resource's name, which may itself hold ``::``."""
    return _part(urn, 3)


def stack_of(urn: str) -> str:
    """Return the name of the stack that `urn` belongs to."""
    return _part(urn, 0).removeprefix(_PREFIX)


def project_of(urn: str) -> str:
    """Return the name of the project that `urn` belongs to."""
    return _part(urn, 1)


def is_urn(text: str) -> bool:
    """Return whether `text` has the form of an URN."""
    return text.startswith(_PREFIX) and text.count("::") >= 3


def is_provider(type_: str) -> bool:
    """Return whether `type_` is that of a provider resource."""
    return type_.startswith(PROVIDER_PREFIX)


def package_of(type_: str) -> str:
    """Return the package that serves `type_`."""
    if is_provider(type_):
        return type_.removeprefix(PROVIDER_PREFIX)
    return type_.partition(":")[0]


def provider_reference(urn: str, id_: str) -> str:
    """Return what a resource keeps as its provider."""
    return f"{urn}::{id_}"


def split_reference(reference: str) -> tuple[str, str]:
    """Return URN and id of a provider reference."""
    urn, _, id_ = reference.rpartition("::")
    return urn, id_


def _part(urn: str, index: int) -> str:
    parts = urn.split("::", 3)
    return parts[index] if index < len(parts) else ""
