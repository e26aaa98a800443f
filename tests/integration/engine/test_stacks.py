"""Operations on a stack's state: list, export, import, history, graph, repair, rename, remove."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ElementTree
from typing import Any

import pulumi
import pytest
from engine_provider import Group, Thing

from provision import errors
from provision.engine import api
from provision.engine.state import checkpoint, lock, stacks


def program() -> None:
    group = Group("g")
    a = Thing("a", pulumi.ResourceOptions(parent=group), token=pulumi.Output.secret("canary"))
    Thing("b", value=a.echo)


def ref(bench: Any, stack: str = "dev") -> api.StackRef:
    return api.StackRef(root=bench.root, project="proj", stack=stack, backend="file://./state")


@pytest.fixture
def made(bench: Any) -> Any:
    bench.up(program)
    return bench


def test_ls(made: Any) -> None:
    found = stacks.ls("file://./state", made.root)
    assert [(each.project, each.stack, each.resources) for each in found] == [("proj", "dev", 3)]
    with lock.StackLock(made.engine()._place.locks):
        assert stacks.ls("file://./state", made.root)[0].locked_by
    made.path.write_text("{")
    assert "cannot be used" in stacks.ls("file://./state", made.root)[0].problem


def test_export_and_import(made: Any) -> None:
    exported = stacks.export(ref(made))
    assert exported["version"] == 3
    assert "canary" not in json.dumps(exported)
    shown = stacks.export(ref(made), made.passphrase)
    assert "canary" in json.dumps(shown)

    made.destroy()
    stacks.import_(ref(made), exported)
    made.require_valid()
    assert {"g", "a", "b"} <= set(made.resources())
    with pytest.raises(errors.StackError, match="not encrypted") as caught:
        stacks.import_(ref(made), shown)
    assert "mem:index:Thing::a.inputs.token" in caught.value.detail
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda e: e.update(version=5), "version 5"),
        (lambda e: e.update(version=4, features=["byteString"]), "byteString"),
        (lambda e: e.pop("deployment"), "no deployment"),
        (lambda e: e["deployment"]["resources"].reverse(), "does not stand before"),
        (
            lambda e: e["deployment"]["resources"][0].update(
                urn="urn:pulumi:other::proj::pulumi:pulumi:Stack::x"
            ),
            "belongs to stack 'other'",
        ),
    ],
)
def test_import_refuses(made: Any, edit: Any, words: str) -> None:
    exported = stacks.export(ref(made))
    edit(exported)
    before = made.path.read_bytes()
    with pytest.raises(errors.StackError) as caught:
        stacks.import_(ref(made), exported)
    assert words in str(caught.value)
    assert made.path.read_bytes() == before


def test_history(made: Any) -> None:
    made.world.fail("delete", "b")
    with pytest.raises(errors.StackError):
        made.destroy()
    found = stacks.history(ref(made))
    assert [(each.kind, each.ok) for each in found] == [("destroy", False), ("update", True)]
    assert found[1].changes == {"create": 4}


def test_graphs(made: Any) -> None:
    text = stacks.draw(ref(made), "text")
    assert text == (
        "|- g  test:index:Group\n|  `- a  mem:index:Thing\n`- b  mem:index:Thing  <- a\n"
    )
    dot = stacks.draw(ref(made), "dot")
    assert dot.count("->") == 2
    root = ElementTree.fromstring(stacks.draw(ref(made), "svg"))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{space}g")) == 3
    assert len(root.findall(f"{space}path")) == 2
    made.destroy()
    assert stacks.draw(ref(made), "text") == "\n"
    ElementTree.fromstring(stacks.draw(ref(made), "svg"))  # noqa: S314 - our own


def test_unlock(made: Any) -> None:
    place = made.engine()._place
    lock.StackLock(place.locks).acquire()
    assert len(stacks.unlock(ref(made))) == 1
    assert stacks.unlock(ref(made)) == []


def test_repair_of_an_intact_state(made: Any) -> None:
    before = made.path.read_bytes()
    assert stacks.mend(ref(made), write=True) == []
    assert made.path.read_bytes() == before


def _resources(document: Any) -> Any:
    return checkpoint.resources(document)


def _twin(document: Any, **changes: Any) -> None:
    resources = _resources(document)
    last = dict(resources[-1]) | changes
    resources.append(last)


def _circle(document: Any) -> None:
    found = {each["urn"].split("::")[-1]: each for each in _resources(document)}
    found["a"]["dependencies"] = [found["b"]["urn"]]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: checkpoint.latest(d)["manifest"].update(magic="0"), "written anew"),
        (lambda d: _resources(d).reverse(), "put in order"),
        (lambda d: _resources(d)[-1].update(dependencies=["urn:pulumi:gone"]), "taken away"),
        (lambda d: _resources(d)[-1].update(parent="urn:pulumi:gone"), "taken away"),
        (lambda d: _twin(d), "the second record is dropped"),
        (lambda d: _twin(d, id="other"), "marked to be deleted"),
        (lambda d: _resources(d)[1].update(id="x"), "the id is taken away"),
        (_circle, "circle"),
        (
            lambda d: _resources(d)[-1].update(
                provider=_resources(d)[-1]["provider"].rpartition("::")[0] + "::other"
            ),
            "it is given",
        ),
    ],
)
def test_repair(made: Any, edit: Any, words: str) -> None:
    document = made.document()
    edit(document)
    made.path.write_bytes(checkpoint.dump(document))
    with pytest.raises(errors.StackError, match="repair"):
        made.preview(program)
    said = stacks.mend(ref(made), write=False)
    assert any(words in f"{each.message} {each.remedy}" for each in said)
    assert json.loads(made.path.read_text()) == document
    assert stacks.mend(ref(made), write=True) == said
    made.require_valid()
    assert stacks.mend(ref(made), write=True) == []
    made.up(program)
    assert {"g", "a", "b"} <= set(made.resources())


def test_repair_of_a_file_that_is_cut_off(made: Any) -> None:
    good = made.document()
    made.up(program)
    data = made.path.read_bytes()
    made.path.write_bytes(data[: len(data) // 2])
    said = stacks.mend(ref(made), write=True)
    assert "takes its place" in said[0].remedy
    assert _resources(made.document()) == _resources(good)
    assert made.path.with_name("dev.json.broken").read_bytes() == data[: len(data) // 2]


def test_repair_without_anything_to_restore(made: Any) -> None:
    shutil.rmtree(made.engine()._place.backups)
    made.path.with_name("dev.json.bak").unlink(missing_ok=True)
    made.path.write_text("{")
    assert [each.remedy for each in stacks.mend(ref(made), write=True)] == [""]
    assert made.path.read_text() == "{"


def test_rename(made: Any) -> None:
    stacks.rename(ref(made), "prod")
    assert [each.stack for each in stacks.ls("file://./state", made.root)] == ["prod"]
    assert len(stacks.history(ref(made, "prod"))) == 1
    renamed = api.open_engine(
        "embedded",
        ref(made, "prod"),
        made.passphrase,
        {"mem": lambda: __import__("engine_provider").Memory(made.world)},
    )
    result = renamed.up(program, options=api.Options(), on_event=lambda _: None)
    assert made.world.made == 2
    assert result.counts == {"same": 4}
    made.up(program)
    with pytest.raises(errors.StackError, match="already"):
        stacks.rename(ref(made), "prod")


def test_remove(made: Any) -> None:
    with pytest.raises(errors.StackError, match="still has 3 resources"):
        stacks.remove(ref(made))
    made.destroy()
    stacks.remove(ref(made))
    assert stacks.ls("file://./state", made.root) == []
    assert not [p for p in (made.root / "state").rglob("*") if p.is_file() and "meta" not in p.name]
    with pytest.raises(errors.StackError, match="there is no stack"):
        stacks.export(ref(made))


def test_remove_by_force(made: Any) -> None:
    stacks.remove(ref(made), force=True)
    assert stacks.ls("file://./state", made.root) == []
    assert len(made.world.things) == 2


def test_forget_drops_and_deletes_nothing(made: Any) -> None:
    before = made.resources()
    gone = before["a"]["urn"]
    kept = set((made.root / "state/.pulumi/backups/proj/dev").glob("*.json"))
    assert stacks.forget(ref(made), frozenset({gone})) == [gone]
    made.require_valid()
    after = made.resources()
    assert set(after) == set(before) - {"a"}
    assert gone in json.dumps(before["b"]) and gone not in json.dumps(after["b"])
    new = set((made.root / "state/.pulumi/backups/proj/dev").glob("*.json")) - kept
    assert [gone in path.read_text() for path in new] == [True]
    bak = made.path.with_name(made.path.name + ".bak")
    assert gone in bak.read_text()

    assert stacks.forget(ref(made), frozenset({gone})) == []
    made.up(program)
    assert set(made.resources()) == set(before)


def test_what_stays_loses_what_led_to_what_is_forgotten(made: Any) -> None:
    before = made.resources()
    assert before["b"]["inputs"]["value"]
    stacks.forget(ref(made), frozenset({before["a"]["urn"]}), frozenset({"value"}))
    made.require_valid()
    left = made.resources()["b"]
    assert "value" not in left["inputs"] and "value" not in left["outputs"]
    assert left["inputs"] == {k: v for k, v in before["b"]["inputs"].items() if k != "value"}


def test_forget_refuses_to_take_a_provider_from_what_stays(made: Any) -> None:
    before = made.path.read_bytes()
    provider = next(
        each["urn"]
        for each in json.loads(before)["checkpoint"]["latest"]["resources"]
        if each["type"].startswith("pulumi:providers:")
    )
    with pytest.raises(errors.StackError, match="needs the provider"):
        stacks.forget(ref(made), frozenset({provider}))
    assert made.path.read_bytes() == before


def test_forget_empties_the_outputs_and_waits_for_the_lock(made: Any) -> None:
    urn = made.resources()["b"]["urn"]
    with lock.StackLock(made.engine()._place.locks), pytest.raises(errors.StackError):
        stacks.forget(ref(made), frozenset({urn}))
    stacks.forget(ref(made), frozenset({urn}))
    root = next(
        each
        for each in json.loads(made.path.read_bytes())["checkpoint"]["latest"]["resources"]
        if each["type"] == "pulumi:pulumi:Stack"
    )
    assert root["outputs"] == {}
