"""State files of version 4: `pulumi state taint`, hooks and `replace_with` write them."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from engine_provider import Thing

from provision import errors
from provision.engine import api
from provision.engine.state import backend, stacks


def program() -> None:
    a = Thing("a", value="1")
    Thing("b", value=a.echo)


@pytest.fixture
def made(bench: Any) -> Any:
    bench.up(program)
    return bench


def ref(bench: Any) -> api.StackRef:
    return api.StackRef(root=bench.root, project="proj", stack="dev", backend="file://./state")


def mark(bench: Any, feature: str, name: str, **fields: Any) -> None:
    """Write `fields` into the resource `name`, and version 4 with `feature` into the file."""
    document = bench.document()
    for each in document["checkpoint"]["latest"]["resources"]:
        if each["urn"].endswith(f"::{name}"):
            each.update(fields)
    document = {"version": 4, "features": [feature], "checkpoint": document["checkpoint"]}
    bench.path.write_text(json.dumps(document, indent=4))


def test_a_tainted_resource_is_replaced(made: Any) -> None:
    mark(made, "taint", "b", taint=True)

    made.preview(program)
    assert made.ops()["b"] == "replace"
    before = made.resources()["b"]["id"]
    made.up(program)

    assert made.resources()["b"]["id"] != before
    assert "taint" not in made.resources()["b"]
    assert made.document()["version"] == 3
    assert "features" not in made.document()
    made.require_valid()
    made.up(program)
    assert set(made.ops().values()) == {"same"}


def test_a_taint_outside_of_the_targets_is_kept(made: Any) -> None:
    mark(made, "taint", "b", taint=True)

    made.run(
        "up", lambda: (Thing("a", value="2"), Thing("b", value="1"))[0], targets=("**Thing::a",)
    )

    assert made.resources()["b"]["taint"] is True
    assert (made.document()["version"], made.document()["features"]) == (4, ["taint"])


def test_a_refresh_keeps_what_it_does_not_use(made: Any) -> None:
    a = next(e["urn"] for e in made.resources().values() if e["urn"].endswith("::a"))
    mark(made, "replaceWith", "b", replaceWith=[a], taint=True, refreshBeforeUpdate=True)
    made.world.things[made.resources()["b"]["id"]]["value"] = "drifted"

    made.run("refresh", None)

    kept = made.resources()["b"]
    assert (kept["replaceWith"], kept["taint"], kept["refreshBeforeUpdate"]) == ([a], True, True)
    assert made.document()["features"] == ["refreshBeforeUpdate", "replaceWith", "taint"]


def test_destroy_and_export_of_version_4(made: Any) -> None:
    mark(made, "taint", "b", taint=True)
    exported = stacks.export(ref(made))
    assert (exported["version"], exported["features"]) == (4, ["taint"])
    stacks.import_(ref(made), exported)
    assert made.document()["features"] == ["taint"]

    made.destroy()

    assert not made.world.things


def test_replace_with_must_stand_before(made: Any) -> None:
    mark(made, "replaceWith", "a", replaceWith=["urn:pulumi:dev::proj::mem:index:Thing::gone"])
    with pytest.raises(errors.StackError, match=r"gone \(replaceWith\), which does not stand"):
        made.preview(program)
    stacks.mend(ref(made), write=True)
    made.up(program)
    assert made.document()["version"] == 3


def test_delete_hooks_are_not_passed_over(made: Any) -> None:
    mark(made, "hooks", "b", resourceHooks={"BeforeDelete": ["drain"], "AfterCreate": ["tell"]})
    for operation, wanted in (("destroy", None), ("up", lambda: Thing("a", value="1"))):
        with pytest.raises(errors.StackError, match="calls the hooks drain") as caught:
            made.run(operation, wanted)
        assert "--engine upstream" in caught.value.hint
        assert "b" in made.resources()

    made.up(program)  # the resource stays, without its hooks
    assert made.document()["version"] == 3
    made.destroy()


@pytest.mark.parametrize("change", [{"version": 5}, {"version": 4, "features": ["views"]}])
def test_repair_leaves_a_newer_state_in_place(made: Any, change: dict[str, Any]) -> None:
    made.up(lambda: Thing("a", value="2"))
    made.path.write_text(json.dumps(made.document() | change))
    before = made.path.read_bytes()

    with pytest.raises(errors.StackError) as caught:
        stacks.mend(ref(made), write=True)

    assert "the file is intact" in caught.value.hint
    assert made.path.read_bytes() == before


@pytest.mark.parametrize("change", [{"version": 9}, {"version": 4, "features": ["views"]}])
def test_upstream_finds_the_salt_of_any_version(made: Any, change: dict[str, Any]) -> None:
    place = backend.FileBackend("file://./state", made.root, "proj", "dev")
    salt = place.salt()
    assert salt.startswith("v1:")
    made.path.write_text(json.dumps(made.document() | change))
    assert place.salt() == salt
    zipped = made.path.with_name(made.path.name + ".gz")
    zipped.write_bytes(gzip.compress(made.path.read_bytes()))
    made.path.unlink()
    assert place.salt() == salt
