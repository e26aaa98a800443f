"""What `make upstream` runs, and where it writes what came out."""

from __future__ import annotations

import itertools

import pytest

from tests.upstream import lives, page, parts

FIRST: tuple[lives.Engine, ...] = ("upstream", "embedded")


def test_each_engine_makes_each_change_and_finds_nothing_to_do_after_it() -> None:
    taken = [list(lives.steps(first)) for first in FIRST]
    for one, other in zip(*taken, strict=True):
        assert (one.name, one.change) == (other.name, other.change)
        assert {one.engine, other.engine} == set(FIRST)
    for steps in taken:
        changes = [step for step in steps if step.change]
        assert [step.change for step in changes] == ["up", "drift", "rotation", "destroy"]
        for before, step in itertools.pairwise(steps):
            # Nothing is looked at by the engine that has just made it.
            assert not before.change or step.engine != before.engine


def test_the_page_has_a_place_for_the_table() -> None:
    text = page.PAGE.read_text()
    results = [
        [
            lives.Result(step=step, seconds=1.6, counts=(("create", 2),) if step.change else ())
            for step in lives.steps(first)
        ]
        for first in FIRST
    ]
    found = page.table(results, "pulumi v3")
    assert "| first up | upstream: 2 create (2 s) | embedded: 2 create (2 s) |" in found
    assert "| no-op after it | embedded: nothing changed (2 s) |" in found
    made = page.written(text, found)
    assert found in made and page.written(made, found) == made
    with pytest.raises(ValueError, match="no place"):
        page.written("# Nothing", found)


def test_what_is_built_is_pinned_and_named_by_its_pins() -> None:
    cli, plugin = parts.programs()
    assert cli.version.startswith("v3.") and plugin.schema
    assert cli.key() != plugin.key()
    for program in parts.programs():
        assert (program.folder / "go.sum").exists()
        assert f"-X {program.variable}={program.version}" in " ".join(
            program.arguments(parts.GOLANG)
        )
        # The schema is Pulumi's: the build takes it out of the module.
        assert not list(program.folder.glob("*.json"))
