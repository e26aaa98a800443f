"""Entries folded into checkpoints: live, and from a journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision import errors
from provision.engine.state import backend, checkpoint, integrity, journal, ledger, store


def raw(name: str, **more: Any) -> dict[str, Any]:
    urn = f"urn:pulumi:dev::proj::mem:index:Thing::{name}"
    return {"urn": urn, "custom": True, "type": "mem:index:Thing", **more}


def base(*resources: dict[str, Any], pending: Any = None) -> checkpoint.Document:
    document = checkpoint.empty("proj", "dev", "v1:a:b")
    if resources:
        checkpoint.latest(document)["resources"] = list(resources)
    if pending:
        checkpoint.latest(document)["pending_operations"] = pending
    return document


def names(document: checkpoint.Document) -> list[str]:
    return [each["urn"].split("::")[-1] for each in checkpoint.resources(document)]


def test_this_runs_resources_come_first() -> None:
    found = ledger.Ledger(base(raw("a"), raw("b"), raw("c")))
    found.apply({"do": "put", "cell": found.new_cell(), "takes": 1, "resource": raw("b", id="2")})
    found.apply({"do": "put", "cell": found.new_cell(), "resource": raw("new")})
    assert names(found.document()) == ["b", "new", "a", "c"]
    assert found.changed


def test_the_same_again_is_no_change() -> None:
    found = ledger.Ledger(base(raw("a")))
    found.apply({"do": "put", "cell": found.new_cell(), "takes": 0})
    assert not found.changed
    assert names(found.document()) == ["a"]


def test_edit_and_drop() -> None:
    found = ledger.Ledger(base(raw("a"), raw("b")))
    found.apply({"do": "edit", "cell": 0, "resource": raw("a", delete=True)})
    found.apply({"do": "drop", "cell": 1})
    assert checkpoint.resources(found.document()) == [raw("a", delete=True)]


def test_renamed_references_follow() -> None:
    old, new = raw("a")["urn"], raw("z")["urn"]
    child = raw(
        "b",
        parent=old,
        dependencies=[old],
        propertyDependencies={"x": [old]},
        deletedWith=old,
        provider=f"{old}::id",
    )
    found = ledger.Ledger(base(raw("a"), child))
    found.apply({"do": "rename", "old": old, "new": new})
    found.apply({"do": "put", "cell": found.new_cell(), "takes": 0, "resource": raw("z")})
    left = checkpoint.resources(found.document())[1]
    assert old not in json.dumps(left)
    assert left["provider"] == f"{new}::id"


def test_pending_operations() -> None:
    creating = {"resource": raw("x"), "type": "creating"}
    reading = {"resource": raw("y"), "type": "reading"}
    found = ledger.Ledger(base(pending=[creating, reading]))
    assert found.changed
    assert checkpoint.pending(found.document()) == [creating]
    operation = {"resource": raw("a"), "type": "updating"}
    found.apply({"do": "begin", "id": 7, "operation": operation})
    assert checkpoint.pending(found.document()) == [creating, operation]
    found.apply({"do": "end", "id": 7})
    found.apply({"do": "settle", "urn": raw("x")["urn"]})
    assert "pending_operations" not in checkpoint.latest(found.document())


def test_unknown_fields_of_a_file_are_kept() -> None:
    document = base(raw("a", somethingNew={"x": 1}))
    document["odd"] = 1
    checkpoint.latest(document)["alsoNew"] = [1]
    found = ledger.Ledger(document)
    found.apply({"do": "put", "cell": found.new_cell(), "resource": raw("b")})
    after = found.document()
    assert after["odd"] == 1
    assert checkpoint.latest(after)["alsoNew"] == [1]
    assert checkpoint.resources(after)[1]["somethingNew"] == {"x": 1}


@pytest.fixture
def place(tmp_path: Path) -> backend.FileBackend:
    return backend.FileBackend("file://./s", tmp_path, "proj", "dev")


def _steps(found: store.Store, script: list[int]) -> None:
    """Interpret numbers as entries that make sense where the ledger stands."""
    living = {cell: each for cell, each in found.ledger._held.items()}
    taken: set[int] = set()
    operation = 0
    for number in script:
        kind, pick = number % 4, number // 4
        old = sorted(cell for cell in living if cell not in taken)
        if kind == 0 or not old:
            found.put(raw(f"new{found.ledger._next}", id="1"), None)
            if number % 3:
                found.commit()
        elif kind == 1:
            cell = old[pick % len(old)]
            taken.add(cell)
            same = number % 8 == 1
            found.put(None if same else {**living[cell], "id": "2"}, cell)
            found.commit()
        elif kind == 2:
            cell = old[pick % len(old)]
            taken.add(cell)
            found.commit({"do": "drop", "cell": cell})
        else:
            operation += 1
            body = {"resource": raw(f"op{operation}"), "type": "creating"}
            found.commit({"do": "begin", "id": operation, "operation": body})
            if number % 8 == 3:
                found.commit({"do": "end", "id": operation}, durable=False)


def comparable(document: checkpoint.Document) -> Any:
    latest = {k: v for k, v in checkpoint.latest(document).items() if k != "manifest"}
    return json.loads(json.dumps(latest))


@settings(max_examples=40, deadline=None)
@given(script=st.lists(st.integers(0, 63), min_size=1, max_size=12), flush=st.booleans())
def test_a_journal_gives_what_the_run_had(
    script: list[int], flush: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("journal")
    place = backend.FileBackend("file://./s", root, "proj", "dev")
    start = base(raw("a"), raw("b"), raw("c"))
    place.write(start)
    run = store.Store(place, journal.load(place).document or {})
    _steps(run, script)
    run.commit()
    if flush:
        run._write_checkpoint()
        _steps(run, [n // 2 for n in script[:3]])
        run.commit()
    expected = comparable(run.ledger.document())
    run.abandon()
    loaded = journal.load(place)
    assert loaded.journal == "folded"
    assert comparable(loaded.document or {}) == expected
    journal.settle(place, loaded)
    again = journal.load(place)
    assert again.journal == "none"
    assert comparable(again.document or {}) == expected


def test_close_writes_once_and_removes_the_journal(place: backend.FileBackend) -> None:
    place.write(base(raw("a")))
    before = place.path.read_bytes()
    run = store.Store(place, journal.load(place).document or {})
    run.put(raw("b"), None)
    run.commit()
    assert place.journal.exists()
    assert run.close()
    assert not place.journal.exists()
    assert place.path.with_name("dev.json.bak").read_bytes() == before
    assert names(place.read() or {}) == ["b", "a"]


def test_close_without_a_change_writes_nothing(place: backend.FileBackend) -> None:
    place.write(base(raw("a")))
    before = place.path.stat()
    run = store.Store(place, journal.load(place).document or {})
    run.put(None, 0)
    assert not run.close()
    assert place.path.stat().st_ino == before.st_ino
    assert not place.journal.exists()


def test_scratch_writes_nothing(tmp_path: Path) -> None:
    scratch = store.Scratch(base(raw("a")))
    assert scratch.put(raw("b"), None) != scratch.put(raw("c"), 0)
    scratch.commit({"do": "drop", "cell": 0})
    assert list(tmp_path.iterdir()) == []


def test_the_writer_gives_what_plain_json_gives() -> None:
    document = base(raw("a", inputs={"text": 'tricky "quotes"\n\u00e9'}), raw("b"))
    expected = json.dumps(document, ensure_ascii=False, indent=4).encode() + b"\n"
    writer = checkpoint.Writer()
    assert writer.dump(document) == expected
    assert writer.dump(document) == expected
    empty = base()
    assert json.loads(writer.dump(empty)) == empty


def test_rules(place: backend.FileBackend) -> None:
    provider = {
        "urn": "urn:pulumi:dev::proj::pulumi:providers:mem::default",
        "custom": True,
        "id": "1",
        "type": "pulumi:providers:mem",
    }
    reference = f"{provider['urn']}::1"
    good = base(provider, raw("a", provider=reference, id="x"), raw("b", parent=raw("a")["urn"]))
    assert integrity.check(good) == []
    bad = base(
        raw("a", provider=reference),
        raw("a"),
        raw("c", dependencies=[raw("z")["urn"]], deletedWith=raw("y")["urn"]),
        {"urn": raw("d")["urn"], "type": "t", "custom": False, "id": "x"},
        raw("e", provider=reference, pendingReplacement=True),
    )
    found = [(each.rule, each.message.split()[0]) for each in integrity.check(bad)]
    assert found == [
        ("provider", raw("a")["urn"]),
        ("duplicate", raw("a")["urn"]),
        ("reference", raw("c")["urn"]),
        ("reference", raw("c")["urn"]),
        ("id", raw("d")["urn"]),
    ]
    with pytest.raises(errors.StackError, match="does not stand before it"):
        integrity.require(bad, "here")


def test_what_is_needed_stands_before_what_needs_it() -> None:
    a, b, c = (raw(name)["urn"] for name in "abc")
    gone = raw("a", delete=True, dependencies=[b])
    chain = [raw("c", parent=b), raw("b", dependencies=[a]), raw("a"), gone]
    assert ledger.arranged(chain) == [2, 1, 0, 3]
    assert ledger.arranged([raw("a", parent=c), raw("c", deletedWith=a)]) == [1, 0]  # a circle
    many = [raw(str(n), parent=raw(str(n + 1))["urn"]) for n in range(5000)]
    assert ledger.arranged(many) == list(range(5000))[::-1]


def test_a_checkpoint_out_of_the_runs_order_goes_on_where_it_was() -> None:
    found = ledger.Ledger(base(raw("a"), raw("b")))
    b = raw("b", dependencies=[raw("a")["urn"]])
    found.apply({"do": "put", "cell": found.new_cell(), "takes": 1, "resource": b})
    found.apply({"do": "put", "cell": found.new_cell(), "resource": raw("c")})
    document = found.document()
    assert names(document) == ["a", "b", "c"]
    again = ledger.Ledger(document, found.start("sum"))
    for each in (found, again):
        each.apply({"do": "put", "cell": 7, "takes": 0, "resource": raw("a", id="2")})
    assert checkpoint.resources(again.document()) == checkpoint.resources(found.document())
