"""A state file whose fields have other types is refused by name, as upstream's reader does it."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from provision import errors
from provision.engine.state import backend, checkpoint, journal, lock

URN = "urn:pulumi:kyrion::elysium::a:b:C::x"
RESOURCE: dict[str, Any] = {
    "urn": URN,
    "type": "a:b:C",
    "custom": False,
    "dependencies": None,
    "propertyDependencies": {"a": None, "b": []},
}


def place(folder: Path) -> backend.FileBackend:
    found = backend.FileBackend(f"file://{folder}", folder, "elysium", "kyrion")
    found.path.parent.mkdir(parents=True)
    return found


def state(**changes: Any) -> dict[str, Any]:
    document = checkpoint.empty("elysium", "kyrion", "v1:x:y")
    checkpoint.latest(document)["resources"] = [copy.deepcopy(RESOURCE)]
    checkpoint.latest(document).update(changes)
    return document


WRONG = {
    "manifest": 1,
    "metadata": ["x"],
    "secrets_providers": {"type": "passphrase", "state": "x"},
    "resources": {"a": 1},
    "pending_operations": [{"type": "creating"}],
}
WRONG_FIELDS = {
    "type": True,
    "urn": 1,
    "id": 1,
    "custom": "yes",
    "parent": ["x"],
    "provider": 1,
    "dependencies": "x",
    "propertyDependencies": {"a": "x"},
    "inputs": [],
    "outputs": "x",
    "deletedWith": 1,
    "replaceWith": [1],
    "additionalSecretOutputs": 1,
}


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_part_is_refused(tmp_path: Path, key: str) -> None:
    data = checkpoint.dump(state()).decode()
    body = json.loads(data)
    body["checkpoint"]["latest"][key] = WRONG[key]
    with pytest.raises(errors.StackError, match="cannot be used"):
        place(tmp_path).parse(json.dumps(body).encode())


@pytest.mark.parametrize("key", WRONG_FIELDS)
def test_a_wrong_field_of_a_resource_is_refused(tmp_path: Path, key: str) -> None:
    document = state(resources=[RESOURCE | {key: WRONG_FIELDS[key]}])
    with pytest.raises(errors.StackError, match="cannot be used"):
        place(tmp_path).parse(json.dumps(document).encode())


def test_features_that_are_no_list_are_refused(tmp_path: Path) -> None:
    document = state() | {"version": 4, "features": 7}
    with pytest.raises(errors.StackError, match="features are not a list"):
        place(tmp_path).parse(json.dumps(document).encode())


def test_null_counts_as_missing(tmp_path: Path) -> None:
    document = state(pending_operations=None, metadata=None)
    assert place(tmp_path).parse(json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    "data",
    [gzip.compress(b"{}" * 50)[:-12] + b"damaged data", b"\x1f\x8b\x08" + b"x" * 30, b"[" * 90_000],
    ids=["damaged", "no gzip", "deep"],
)
def test_a_damaged_file_tells_no_salt(tmp_path: Path, data: bytes) -> None:
    found = place(tmp_path)
    found.path.with_name(found.path.name + ".gz").write_bytes(data)
    assert found.salt() == ""
    found.path.write_bytes(data)
    assert found.salt() == ""


@pytest.mark.parametrize(
    "entry",
    [
        5,
        {"do": "base"},
        {"do": "put"},
        {"do": "put", "cell": 1, "resource": 5},
        {"do": "put", "cell": 1, "resource": RESOURCE | {"dependencies": 5}},
        {"do": "edit", "cell": 77},
        {"do": "begin", "id": 1, "operation": {"resource": 5}},
    ],
    ids=json.dumps,
)
def test_a_journal_of_another_form_is_refused(tmp_path: Path, entry: Any) -> None:
    found = place(tmp_path)
    data = checkpoint.dump(state())
    found.path.write_bytes(data)
    base = {"do": "base", "sha256": journal.digest(data), "fresh": 0, "cells": [0], "next": 1}
    base |= {"underWay": {}, "renamed": {}}
    found.journal.write_bytes(journal.line(base) + journal.line(entry))
    with pytest.raises(errors.StackError, match="an interrupted run noted") as caught:
        journal.load(found)
    assert str(found.journal) in caught.value.summary
    assert "refresh" in caught.value.hint


@pytest.mark.parametrize("pid", [None, "x", [1], 1.5])
def test_a_lock_of_another_form_is_held(monkeypatch: pytest.MonkeyPatch, pid: Any) -> None:
    monkeypatch.setattr(lock, "_boot_id", lambda: "boot")
    monkeypatch.setattr(lock, "_pid_namespace", lambda: "here")
    body = lock._body() | {"pid": pid}
    assert not lock._is_dead(body)
