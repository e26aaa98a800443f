"""Secrets: encrypted in every file, hidden in every event, unchanged where they did not change."""

from __future__ import annotations

from typing import Any

import pulumi
from engine_provider import MemProvider, Thing

from provision.engine import events
from provision.engine.state import values
from provision.secret import Secret

CANARY = "canary-5d41402abc4b2a76"


def program(value: str = "1", token: str = CANARY) -> Any:
    def run() -> None:
        secret = pulumi.Output.secret(token)
        prov = MemProvider("p", place="x", key=secret)
        opts = pulumi.ResourceOptions(provider=prov)
        a = Thing("a", opts, token=secret, value=value, nested={"deep": [secret]})
        Thing("b", opts, value=a.token)
        Thing(
            "c",
            pulumi.ResourceOptions(provider=prov, additional_secret_outputs=["echo"]),
        )
        pulumi.export("token", a.token)
        pulumi.export("list", [1, secret])

    return run


def sealed(value: Any) -> bool:
    return isinstance(value, dict) and value.get(values.SIGNATURE) == values.SEALED_SIGNATURE


def test_no_file_and_no_event_holds_a_secret(bench: Any) -> None:
    seen: list[Any] = []
    bench.up(program())
    seen += bench.events
    bench.preview(program(value="2", token=CANARY + "x"))
    seen += bench.events
    bench.up(program(value="2", token=CANARY + "x"))
    seen += bench.events
    for path in (bench.root / "state").rglob("*"):
        if path.is_file():
            assert CANARY.encode() not in path.read_bytes(), path
            assert path.stat().st_mode & 0o077 == 0, path
    assert CANARY not in repr(seen)
    assert CANARY not in repr([events.to_json(each) for each in seen])


def test_what_is_secret_in_the_state(bench: Any) -> None:
    result = bench.up(program())
    found = bench.resources()
    assert sealed(found["p"]["inputs"]["key"])
    assert sealed(found["p"]["outputs"]["key"])
    assert sealed(found["a"]["inputs"]["token"])
    assert sealed(found["a"]["outputs"]["token"])
    assert sealed(found["b"]["outputs"]["value"])
    assert sealed(found["c"]["outputs"]["echo"])
    assert not sealed(found["a"]["outputs"]["value"])
    assert sealed(found["proj-dev"]["outputs"]["token"])
    assert result.outputs["token"] == Secret(CANARY)
    assert bench.engine().outputs()["list"] == [1, Secret(CANARY)]
    assert bench.engine().outputs(show_secrets=True) == {"token": CANARY, "list": [1, CANARY]}


def test_an_unchanged_secret_keeps_its_ciphertext(bench: Any) -> None:
    bench.up(program())
    before = bench.resources()
    bench.up(program(value="2"))
    after = bench.resources()
    assert before["a"]["inputs"]["value"] != after["a"]["inputs"]["value"]
    assert before["a"]["inputs"]["token"] == after["a"]["inputs"]["token"]
    assert before["a"]["inputs"]["nested"] == after["a"]["inputs"]["nested"]
    assert before["p"] == after["p"]


def test_the_same_secret_at_two_places_has_two_ciphertexts(bench: Any) -> None:
    bench.up(program())
    found = bench.resources()
    assert found["a"]["inputs"]["token"] != found["p"]["inputs"]["key"]


def test_a_changed_secret_is_an_update_that_shows_nothing(bench: Any) -> None:
    bench.up(program())
    bench.preview(program(token="other"))
    planned = {e.name: e for e in bench.events if isinstance(e, events.ResourcePlanned)}
    assert planned["a"].op == "update"
    token = [diff for diff in planned["a"].diffs if diff.path == "token"]
    assert (token[0].old, token[0].new) == ('"[secret]"', '"[secret]"')


def test_the_provider_gets_plain_values_and_the_mark(bench: Any) -> None:
    bench.up(program())
    found = bench.world.things[bench.resources()["a"]["id"]]
    assert found["token"] == CANARY
    assert bench.world.configured[-1]["key"] == CANARY
