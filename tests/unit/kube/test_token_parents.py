"""A child's type comes with its parents' before it."""

from __future__ import annotations

from provision.kube import tokens


def test_the_types_of_parents_are_not_part_of_the_kind() -> None:
    token = "elysium:components:GpuPlugin$kubernetes:apps/v1:DaemonSet"
    assert tokens.parse(token) == tokens.parse("kubernetes:apps/v1:DaemonSet")
