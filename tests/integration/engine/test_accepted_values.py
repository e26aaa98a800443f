"""What a provider does not accept is not sent to it, and floats that JSON does not have."""

from __future__ import annotations

import json
import math
from typing import Any

import pulumi
import pytest
from engine_provider import Group, Memory, MemProvider, Thing, plain_map
from pulumi.provider.experimental import property_value
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue

from provision import errors
from provision.engine import api
from provision.engine.state import values
from provision.secret import Secret


class Picky(Memory):
    """A provider that accepts what `accepts` says, and keeps what it was sent."""

    def __init__(self, world: Any, sent: list[Any], **accepts: bool) -> None:
        super().__init__(world)
        self.sent = sent
        self.accepts = accepts

    async def configure(self, request: protocol.ConfigureRequest) -> protocol.ConfigureResponse:
        await super().configure(request)
        return protocol.ConfigureResponse(**self.accepts)

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        self.sent.append(request.properties)
        return await super().create(request)


def run(bench: Any, operation: str, program: Any, **accepts: bool) -> list[Any]:
    """Run `program` with such a provider; return the properties of each creation."""
    sent: list[Any] = []
    engine = bench.engine()
    engine._providers = {"mem": lambda: Picky(bench.world, sent, **accepts)}
    getattr(engine, operation)(program, options=api.Options(), on_event=bench.events.append)
    return sent


def referring() -> None:
    first = Thing("first")
    Thing("second", value={"things": [first], "group": Group("g")})


def second(sent: list[Any]) -> Any:
    return next(each["value"] for each in sent if each.get("value", PropertyValue(None)).value)


@pytest.mark.parametrize("accepts", [True, False])
def test_references_to_resources(bench: Any, accepts: bool) -> None:
    given = {"accept_secrets": True, "supports_preview": True, "accept_resources": accepts}
    planned = second(run(bench, "preview", referring, **given))
    made = second(run(bench, "up", referring, **given))
    kind = property_value.ResourceReference
    things, group = made.value["things"].value[0].value, made.value["group"].value
    if accepts:
        assert isinstance(things, kind) and things.urn.endswith("::first")
        assert isinstance(group, kind)
        return
    assert things == "first-1"
    assert group == "urn:pulumi:dev::proj::test:index:Group::g"
    unknown = planned.value["things"].value[0].value
    assert isinstance(unknown, property_value.Computed)


def test_secrets_that_a_provider_does_not_accept(bench: Any) -> None:
    secret = "s3cr3t-canary"

    def program() -> None:
        hidden = pulumi.Output.secret(secret)
        Thing("a", value={"in": {"deep": hidden, "open": "x"}, "list": ["y", hidden]}, token=hidden)

    (sent,) = run(bench, "up", program, supports_preview=True)
    assert plain_map(sent)["value"]["in"]["deep"] == secret
    assert not sent["token"].is_secret
    assert not sent["value"].value["in"].value["deep"].is_secret
    outputs = bench.resources()["a"]["outputs"]
    sealed = values.SEALED_SIGNATURE
    assert outputs["token"][values.SIGNATURE] == sealed
    assert outputs["value"]["in"]["deep"][values.SIGNATURE] == sealed
    assert outputs["value"]["in"]["open"] == "x"
    # A list is secret as a whole.
    assert outputs["value"]["list"][values.SIGNATURE] == sealed
    assert secret not in bench.path.read_text()


def test_a_provider_without_previews_is_not_asked_for_one(bench: Any) -> None:
    def program(value: str = "1") -> Any:
        return lambda: Thing("a", value=value) and None

    assert run(bench, "preview", program(), accept_secrets=True) == []
    run(bench, "up", program(), accept_secrets=True)
    bench.world.calls.clear()
    run(bench, "preview", program("2"), accept_secrets=True)
    assert bench.world.called("preview-update", "update") == []


def _no_constant(text: str) -> Any:
    raise AssertionError(f"{text} is no JSON")


@pytest.mark.parametrize("secret", [False, True])
def test_floats_that_json_does_not_have(bench: Any, secret: bool) -> None:
    """They stand in the state as upstream writes them, and change nothing in a second run."""
    special = [math.nan, math.inf, -math.inf, 1.5]

    def program() -> None:
        value: Any = pulumi.Output.secret(special) if secret else special
        Thing("a", value=value)
        Group("g")
        pulumi.export("numbers", value)
        pulumi.export("unlike", {"it": math.nan})

    bench.up(program)
    text = bench.path.read_text()
    json.loads(text, parse_constant=_no_constant)
    if not secret:
        first = bench.resources()["a"]["inputs"]["value"][1]
        assert first == {values.SIGNATURE: values.FLOAT_SIGNATURE, "value": "7ff0000000000000"}
    result = bench.up(program)
    assert not result.changed or bench.ops() == {"a": "update", "g": "same"}
    found = bench.engine().outputs(show_secrets=True)
    assert found["numbers"] == ["NaN", "Infinity", "-Infinity", 1.5]
    assert result.outputs["unlike"] == {"it": "NaN"}
    if secret:
        masked = bench.engine().outputs()["numbers"]
        assert isinstance(masked, Secret)
        json.loads(masked.reveal(), parse_constant=_no_constant)


def test_a_float_that_is_none_in_the_state(bench: Any) -> None:
    bench.up(lambda: Thing("a", value=math.inf) and None)
    bench.path.write_text(bench.path.read_text().replace("7ff0000000000000", "infinite"))
    with pytest.raises(errors.StackError, match="16 hexadecimal digits are expected"):
        bench.run("up", lambda: None)


@pytest.mark.parametrize("names", ['["*"]', '["other", " mem "]'])
@pytest.mark.parametrize("operation", ["preview", "up"])
def test_default_providers_that_are_disabled(bench: Any, names: str, operation: str) -> None:
    config = {"pulumi:disable-default-providers": names}
    with pytest.raises(errors.StackError) as caught:
        bench.run(operation, lambda: Thing("a") and None, config=config)
    assert "mem:index:Thing 'a' has no provider of its own" in str(caught.value)
    assert "provider=" in caught.value.hint
    assert bench.world.made == 0

    def program() -> None:
        Thing("a", pulumi.ResourceOptions(provider=MemProvider("p")))

    bench.run(operation, program, config=config)


@pytest.mark.parametrize(("names", "refused"), [("", False), ("[]", False), ('["x"]', False)])
def test_default_providers_of_others_are_disabled(bench: Any, names: str, refused: bool) -> None:
    config = {"pulumi:disable-default-providers": names}
    bench.up(lambda: Thing("a") and None, config=config)
    assert bench.world.made == 1 and not refused


@pytest.mark.parametrize("names", ["mem", "{}", "[1]", "["])
def test_a_list_of_disabled_providers_that_is_none(bench: Any, names: str) -> None:
    config = {"pulumi:disable-default-providers": names}
    with pytest.raises(errors.StackError, match="is no list of package names") as caught:
        bench.run("up", lambda: Thing("a") and None, config=config)
    assert "kubernetes" in caught.value.hint
    assert bench.world.made == 0
