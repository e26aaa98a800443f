"""Programs, providers and state files that are wrong: a clear error, the state as it was."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pulumi
import pytest
from engine_provider import Memory, MemProvider, Thing
from pulumi.provider.experimental import provider as protocol

from provision import errors
from provision.engine import api
from provision.engine.state import lock
from provision.secret import Secret


def two() -> None:
    a = Thing("a", value="1")
    Thing("b", value=a.echo)


def test_inputs_that_a_provider_refuses(bench: Any) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        bench.preview(lambda: Thing("a", value="invalid") and None)
    assert caught.value.problems[0].key == "value"
    assert "is not a good value" in str(caught.value)


def _circle_of_dependencies() -> None:
    needs: list[pulumi.Resource] = []
    a = Thing("a", pulumi.ResourceOptions(depends_on=needs))
    needs.append(Thing("b", pulumi.ResourceOptions(depends_on=[a])))


def _circle_of_inputs() -> None:
    later: asyncio.Future[Any] = asyncio.get_event_loop().create_future()
    a = Thing("a", value=pulumi.Output.from_input(later))
    b = Thing("b", value=a.echo)
    b.echo.apply(later.set_result)


@pytest.mark.parametrize(
    ("circle", "words"),
    [
        # This one the SDK sees itself.
        (_circle_of_dependencies, "circular dependency involving .* mem:index:Thing named a"),
        (
            _circle_of_inputs,
            "cannot go on: it waits for itself at mem:index:Thing 'a', mem:index:Thing 'b'",
        ),
    ],
)
@pytest.mark.parametrize("operation", ["preview", "up"])
def test_a_program_that_waits_for_itself(
    bench: Any, circle: Any, words: str, operation: str
) -> None:
    bench.up(two)
    before = bench.path.read_bytes()

    def program() -> None:
        Thing("other")
        circle()

    with pytest.raises(errors.StackError, match=words):
        bench.run(operation, program)
    bench.require_valid()
    assert {"a", "b"} <= set(bench.resources())
    if operation == "preview":
        assert bench.path.read_bytes() == before


def test_a_program_that_is_slow_does_not_wait_for_itself(bench: Any) -> None:
    """A thread of its own, a timer and a slow step: each wakes it in the end."""
    go_on = threading.Event()

    def program() -> None:
        loop = asyncio.get_event_loop()
        by_thread: asyncio.Future[str] = loop.create_future()

        def work() -> None:
            go_on.wait(1)
            loop.call_soon_threadsafe(by_thread.set_result, "a thread's")

        threading.Thread(target=work, daemon=True).start()

        async def timed(value: str) -> str:
            await asyncio.sleep(1)
            return value

        bench.world.on("create", "b", lambda: go_on.wait(1))
        a = Thing("a", value=pulumi.Output.from_input(by_thread).apply(timed))
        Thing("b", value=a.echo)

    bench.up(program)
    assert bench.world.made == 2


def test_duplicate_names(bench: Any) -> None:
    def program() -> None:
        Thing("a")
        Thing("a")

    with pytest.raises(errors.StackError, match="two resources have the URN"):
        bench.run("up", program)
    bench.require_valid()


_HOOKS = pulumi.ResourceHookBinding(before_create=[lambda args: None])
_ERROR_HOOKS = pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("e", lambda args: False)])
_REFUSED = {
    "package": (lambda: pulumi.CustomResource("other:index:X", "x"), "serves the package 'other'"),
    "remote component": (
        lambda: pulumi.ComponentResource("mem:index:R", "r", remote=True),
        "mem:index:R 'r' uses remote components, which",
    ),
    "method": (
        lambda: pulumi.export("x", pulumi.runtime.call("mem:index:Thing/go", {})),
        "uses the method mem:index:Thing/go, which",
    ),
    "transforms": (
        lambda: Thing("a", pulumi.ResourceOptions(transforms=[lambda args: None])),
        "uses transforms, which",
    ),
    "stack transform": (
        lambda: pulumi.runtime.register_stack_transform(lambda args: None),
        "uses transforms, which",
    ),
    "invoke transform": (
        lambda: pulumi.runtime.register_invoke_transform(lambda args: None),
        "uses invoke transforms, which",
    ),
    "hooks": (
        lambda: Thing("a", pulumi.ResourceOptions(hooks=_HOOKS)),
        "uses resource hooks, which",
    ),
    "error hooks": (
        lambda: Thing("a", pulumi.ResourceOptions(hooks=_ERROR_HOOKS)),
        "uses error hooks, which",
    ),
    "assets": (
        lambda: Thing("a", value=pulumi.StringAsset("x")),
        "mem:index:Thing 'a' uses assets and archives, which",
    ),
    "function": (
        lambda: pulumi.runtime.invoke("mem:index:fn", {}),
        "uses the function mem:index:fn, which",
    ),
    "function of what is not known": (
        lambda: pulumi.runtime.invoke("mem:index:fn", {"of": Thing("a").echo}),
        "uses the function mem:index:fn, which",
    ),
    "function with outputs of what is not known": (
        lambda: pulumi.export("x", pulumi.runtime.invoke_output("m:i:fn", {"of": Thing("a").echo})),
        "uses the function m:i:fn, which",
    ),
    "function after what is not known": (
        lambda: pulumi.runtime.invoke_output(
            "m:i:fn", {}, pulumi.InvokeOutputOptions(depends_on=[Thing("a")])
        ),
        "uses the function m:i:fn, which",
    ),
    "plugin address": (
        lambda: Thing("a", pulumi.ResourceOptions(plugin_download_url="https://example.test")),
        "mem:index:Thing 'a' uses a plugin_download_url, which",
    ),
    "plugin address of a provider": (
        lambda: MemProvider("p", pulumi.ResourceOptions(plugin_download_url="https://x.test")),
        "pulumi:providers:mem 'p' uses a plugin_download_url, which",
    ),
    "plugin address of what is read": (
        lambda: Thing(
            "a", pulumi.ResourceOptions(id="a-1", plugin_download_url="https://example.test")
        ),
        "mem:index:Thing 'a' uses a plugin_download_url, which",
    ),
    "stack reference": (lambda: pulumi.StackReference("other"), "serves the package 'pulumi'"),
    "replace with": (
        lambda: Thing("a", pulumi.ResourceOptions(replace_with=[Thing("b")])),
        "uses the ReplaceWith option, which",
    ),
    "version": (lambda: pulumi.require_pulumi_version(">=3"), "requires Pulumi >=3"),
}


@pytest.mark.parametrize("operation", ["preview", "up"])
@pytest.mark.parametrize("what", _REFUSED)
def test_what_is_refused_is_refused_by_name(bench: Any, what: str, operation: str) -> None:
    use, words = _REFUSED[what]

    def program() -> None:
        use()

    with pytest.raises(errors.StackError) as caught:
        bench.run(operation, program)
    assert words in str(caught.value)
    assert "--engine upstream" in caught.value.hint
    assert bench.world.made <= 1
    if bench.path.exists():
        bench.require_valid()


def _dies(*_: Any) -> None:
    raise SystemExit(3)


_ANSWERS = [
    ("create", lambda: "yes", "answered with str"),
    ("create", lambda: protocol.CreateResponse("", {}), "without an id"),
    ("create", lambda: protocol.CreateResponse("x", ["no", "map"]), "where properties belong"),
    ("create", lambda: protocol.CreateResponse("x", {"echo": 1}), "a property value belongs"),
    ("create", _dies, "create of mem:index:Thing 'c'"),
    ("check", lambda: None, "answered with NoneType"),
    ("check", lambda: protocol.CheckResponse(inputs={"value": object()}), "property value"),
    ("diff", lambda: {"changes": True}, "answered with dict"),
    ("read", lambda: None, "answered with NoneType"),
    ("read", lambda: protocol.ReadResponse("a-1", {"value": 1}, {}), "property value"),
    ("update", lambda: protocol.UpdateResponse("yes"), "where properties belong"),
    ("update", _dies, "update of mem:index:Thing 'a'"),
    ("configure", lambda: "yes", "answered with str"),
    ("configure", _dies, "configure of"),
]


@pytest.mark.parametrize(("method", "answer", "words"), _ANSWERS)
def test_a_provider_that_answers_nonsense(bench: Any, method: str, answer: Any, words: str) -> None:
    bench.up(two)
    before = bench.resources()

    async def answered(_self: Any, _request: Any) -> Any:
        return answer()

    answered.__name__ = method
    nonsense = type("Nonsense", (Memory,), {method: answered})
    engine = bench.engine()
    engine._providers = {"mem": lambda: nonsense(bench.world)}

    def program() -> None:
        a = Thing("a", value="2" if method == "update" else "1")
        Thing("b", value=a.echo)
        Thing("c")

    with pytest.raises(errors.StackError, match=words):
        engine.up(program, options=api.Options(), on_event=bench.events.append)
    bench.require_valid()
    after = bench.resources()
    assert {name: after[name] for name in before} == before
    bench.up(program)
    assert set(bench.resources()) == {*before, "c"}


def test_a_provider_that_dies_while_it_deletes(bench: Any) -> None:
    bench.up(two)
    bench.world.on("delete", "b", _dies)
    with pytest.raises(errors.StackError, match="delete of mem:index:Thing 'b'"):
        bench.destroy()
    bench.require_valid()
    assert {"a", "b"} <= set(bench.resources())


def test_a_provider_that_cannot_start(bench: Any) -> None:
    engine = bench.engine()

    def broken() -> Any:
        raise OSError("no such device")

    engine._providers = {"mem": broken}
    with pytest.raises(errors.StackError, match="starting the provider mem"):
        engine.preview(two, options=api.Options(), on_event=lambda _: None)


def test_wrong_passphrase(bench: Any) -> None:
    bench.up(two)
    before = bench.path.read_bytes()
    bench.passphrase = Secret("another one")
    for operation in ("preview", "up", "destroy"):
        with pytest.raises(errors.StackError, match="the passphrase is wrong"):
            bench.run(operation, two)
    assert bench.path.read_bytes() == before
    assert lock.held(bench.engine()._place.locks) == []


@pytest.mark.parametrize("cut", [0, 1, 100, -2])
def test_a_truncated_state_is_refused(bench: Any, cut: int) -> None:
    bench.up(two)
    data = bench.path.read_bytes()[:cut] if cut else b""
    bench.path.write_bytes(data)
    with pytest.raises(errors.StackError, match="cannot be used") as caught:
        bench.run("up", two)
    assert "repair" in caught.value.hint
    assert bench.path.read_bytes() == data


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d.update(version=4, features=["taint", "views"]), "version 4 and uses views"),
        (lambda d: _of(d, "b").update(viewOf=_of(d, "a")["urn"]), "holds views"),
        (lambda d: d.pop("checkpoint"), "no version and checkpoint"),
        (lambda d: _latest(d)["resources"].reverse(), "does not stand before it"),
        (lambda d: _latest(d)["manifest"].update(magic="0"), "manifest"),
        (lambda d: _latest(d)["resources"].append(_latest(d)["resources"][-1]), "twice"),
        (lambda d: _latest(d)["resources"][0].pop("urn"), "no urn"),
        (lambda d: _latest(d).update(secrets_providers={"type": "cloud"}), "kept by 'cloud'"),
        (lambda d: _latest(d).update(snippets=[{}]), "snippets"),
        (lambda d: d.update(version=9), "version 9"),
        (lambda d: d.update(version="3"), "no version and checkpoint"),
        (lambda d: _latest(d)["resources"].append("x"), "is not an object"),
        (lambda d: _depend(d, "a", "b"), "which does not stand before it"),
        (lambda d: _depend(d, "a", "a"), "which does not stand before it"),
        (lambda d: _of(d, "a").update(provider="gone::1"), "needs the provider gone::1"),
        (lambda d: _of(d, "a").update(urn="not an urn"), "is not an URN"),
    ],
)
def test_an_edited_state_is_refused(bench: Any, edit: Any, words: str) -> None:

    bench.up(two)
    document = bench.document()
    edit(document)
    bench.path.write_text(json.dumps(document))
    before = bench.path.read_bytes()
    for operation in ("preview", "up", "refresh", "destroy"):
        with pytest.raises(errors.StackError) as caught:
            bench.run(operation, two)
        assert words in str(caught.value)
    assert bench.path.read_bytes() == before
    assert len(bench.world.things) == 2
    assert lock.held(bench.engine()._place.locks) == []


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ("pulumi:dev::", "pulumi:prod::", "belongs to stack 'prod'"),
        ("::proj::", "::other::", "of project 'other'"),
    ],
)
def test_the_state_of_another_stack_or_project_is_refused(
    bench: Any, was: str, now: str, words: str
) -> None:
    bench.up(two)
    bench.path.write_text(bench.path.read_text().replace(was, now))
    before = bench.path.read_bytes()
    for operation in ("preview", "up", "refresh", "destroy"):
        with pytest.raises(errors.StackError, match=words):
            bench.run(operation, two)
    assert bench.path.read_bytes() == before
    assert len(bench.world.things) == 2


def test_a_backend_that_is_not_a_file(bench: Any) -> None:
    ref = api.StackRef(root=bench.root, project="p", stack="s", backend="s3://bucket")
    with pytest.raises(errors.StackError, match="file:// backends only"):
        api.open_engine("embedded", ref, bench.passphrase, {})


def _of(document: Any, name: str) -> Any:
    """Return the resource `name` of the document."""
    found = _latest(document)["resources"]
    return next(each for each in found if each["urn"].endswith(f"::{name}"))


def _depend(document: Any, name: str, on: str) -> None:
    """Make `name` depend on `on`, a circle since that stands no earlier."""
    _of(document, name)["dependencies"] = [_of(document, on)["urn"]]


def _latest(document: Any) -> Any:
    return document["checkpoint"]["latest"]
