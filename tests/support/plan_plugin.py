"""``pulumi-resource-elysium`` with one resource type whose plan is made from its inputs.

A resource of it has the files of its input ``files``: text by path. What is there is what the
state holds.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from provision import change
from provision.provider import plugin, registry, resource


class Files(resource.Resource[Mapping[str, str]]):
    """Files that exist in the state only."""

    type = "elysium:node:K3sServer"

    def identity(self, inputs: resource.Values) -> str:
        return "kyrion"

    def observe(
        self, ctx: Any, inputs: resource.Values, state: resource.Values
    ) -> resource.Observed[Mapping[str, str]]:
        return resource.Observed(exists=bool(state), facts=dict(state.get("files") or {}))

    def plan(
        self, facts: Mapping[str, str], inputs: resource.Values, state: resource.Values
    ) -> tuple[change.Change, ...]:
        changes: list[change.Change] = []
        for path, text in inputs["files"].items():
            before = facts.get(path, "")
            if before == text:
                continue
            lines = difflib.unified_diff(before.split("\n"), text.split("\n"), path, path, n=0)
            changes.append(
                change.Change(
                    property=f"files.{path}",
                    action="update" if before else "create",
                    summary=f"write {path}",
                    diff="\n".join(line.rstrip("\n") for line in lines),
                )
            )
        return tuple(changes)

    def apply(self, *_: Any) -> dict[str, Any]:
        return {}

    def delete(self, *_: Any) -> None:
        pass

    def outputs(
        self, facts: Mapping[str, str], inputs: resource.Values, state: resource.Values
    ) -> dict[str, Any]:
        return {}


def main() -> None:
    """Serve that type alone."""
    kind = Files()
    registry.find = lambda _type: kind  # type: ignore[assignment]
    resource.converge = lambda _kind, _ctx, inputs, _state: (  # type: ignore[assignment]
        resource.Observed(exists=True, facts=dict(inputs["files"])),
        {},
    )
    plugin.main()


if __name__ == "__main__":
    main()
