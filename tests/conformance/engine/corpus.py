"""The corpus: sequences of runs that both engines must treat alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from engine_programs import Program, Spec, thing


@dataclass(frozen=True, kw_only=True)
class Step:
    """One run. `drift` changes the world before it, `fails` makes provider calls fail in it."""

    operation: Literal["preview", "up", "refresh", "destroy"] = "up"
    program: Program | None = None
    drift: dict[str, Any] = field(default_factory=dict)
    fails: tuple[tuple[str, str], ...] = ()
    refresh: bool = True
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """Steps one after another on one stack. `start` is in the world before the first."""

    name: str
    steps: tuple[Step, ...]
    start: dict[str, Any] = field(default_factory=dict)


def p(*specs: Spec, raises: bool = False, **exports: Any) -> Program:
    return Program(specs=specs, exports=exports, raises=raises)


def up(*specs: Spec, **more: Any) -> Step:
    return Step(program=p(*specs), **more)


def group(name: str, **opts: Any) -> Spec:
    return Spec(name=name, kind="group", opts=opts)


def provider(name: str, **inputs: Any) -> Spec:
    return Spec(name=name, kind="provider", inputs=inputs)


def seq(name: str, *steps: Step, **more: Any) -> Sequence:
    return Sequence(name=name, steps=steps, **more)


DESTROY = Step(operation="destroy")
REFRESH = Step(operation="refresh")
A1, A2 = thing("a", value="1"), thing("a", value="2")
F1, F2 = thing("a", fixed="1"), thing("a", fixed="2")
CHAIN = (A1, thing("b", value="$a.echo"), thing("c", value="$b.made"))


def child(name: str, parent: str, **more: Any) -> Spec:
    return thing(name, {"parent": parent, **more}, value="1")


def preview(*specs: Spec, **more: Any) -> Step:
    return Step(operation="preview", program=p(*specs), **more)


SEQUENCES = (
    seq("nothing", up(), up(), DESTROY),
    seq("create-same-destroy", up(*CHAIN), up(*CHAIN), DESTROY),
    seq("preview-first", preview(*CHAIN), up(*CHAIN), preview(*CHAIN), preview(A2)),
    seq("update", up(A1), up(A2), up(A2)),
    seq(
        "update-passes-on",
        up(A1, thing("b", value="$a.value")),
        up(A2, thing("b", value="$a.value")),
    ),
    seq("delete-one", up(*CHAIN), up(*CHAIN[:2]), up(A1)),
    seq("delete-all", up(*CHAIN), up()),
    seq("replace", up(F1), up(F2), up(F2)),
    seq(
        "replace-updates-dependents",
        up(F1, thing("b", value="$a.made")),
        up(F2, thing("b", value="$a.made")),
    ),
    seq(
        "replace-replaces-dependents",
        up(F1, thing("b", fixed="$a.made")),
        up(F2, thing("b", fixed="$a.made")),
    ),
    seq(
        "delete-before-replace",
        up(thing("a", fixed="1", first=True)),
        up(thing("a", fixed="2", first=True)),
    ),
    seq(
        "delete-before-replace-cascade",
        up(
            thing("a", fixed="1", first=True),
            thing("b", fixed="$a.made", first=True),
            thing("c", value="$b.made"),
        ),
        up(
            thing("a", fixed="2", first=True),
            thing("b", fixed="$a.made", first=True),
            thing("c", value="$b.made"),
        ),
    ),
    seq(
        "delete-before-replace-option",
        up(thing("a", {"delete_before_replace": True}, fixed="1")),
        up(thing("a", {"delete_before_replace": True}, fixed="2")),
    ),
    seq(
        "create-before-delete-option",
        up(thing("a", {"delete_before_replace": False}, fixed="1", first=True)),
        up(thing("a", {"delete_before_replace": False}, fixed="2", first=True)),
    ),
    seq("drift", up(*CHAIN), up(*CHAIN, drift={"a-1": {"value": "hand"}}), up(*CHAIN)),
    seq("drift-gone", up(*CHAIN), up(*CHAIN, drift={"a-1": None}), up(*CHAIN)),
    seq("drift-unseen", up(A1), up(A1, drift={"a-1": {"value": "hand"}}, refresh=False)),
    seq(
        "refresh-drift",
        up(*CHAIN),
        Step(operation="refresh", drift={"a-1": {"value": "hand"}}),
        up(*CHAIN),
    ),
    seq(
        "refresh-gone",
        up(A1, thing("b", value="1")),
        Step(operation="refresh", drift={"a-1": None}),
        up(A1, thing("b", value="1")),
    ),
    seq("refresh-same", up(*CHAIN), REFRESH),
    seq("protect", up(thing("a", {"protect": True})), DESTROY, up(thing("a")), DESTROY),
    seq(
        "protect-replace",
        up(thing("a", {"protect": True}, fixed="1")),
        up(thing("a", {"protect": True}, fixed="2")),
    ),
    seq("protect-removed", up(thing("a", {"protect": True}), thing("b")), up(thing("b"))),
    seq("retain", up(thing("a", {"retain_on_delete": True}), thing("b")), up(thing("b")), DESTROY),
    seq(
        "retain-replace",
        up(thing("a", {"retain_on_delete": True}, fixed="1")),
        up(thing("a", {"retain_on_delete": True}, fixed="2")),
    ),
    seq("deleted-with", up(thing("a"), thing("b", {"deleted_with": "a"})), DESTROY),
    seq(
        "ignore-changes",
        up(thing("a", {"ignore_changes": ["value"]}, value="1", other="1")),
        up(thing("a", {"ignore_changes": ["value"]}, value="2", other="1")),
        up(thing("a", {"ignore_changes": ["value"]}, value="2", other="2")),
    ),
    seq(
        "replace-on-changes",
        up(thing("a", {"replace_on_changes": ["value"]}, value="1")),
        up(thing("a", {"replace_on_changes": ["value"]}, value="2")),
    ),
    seq(
        "replacement-trigger",
        up(thing("a", {"replacement_trigger": "1"})),
        up(thing("a", {"replacement_trigger": "1"})),
        up(thing("a", {"replacement_trigger": "2"})),
    ),
    seq(
        "alias",
        up(A1, thing("x", value="$a.echo")),
        up(thing("b", {"aliases": [{"name": "a"}]}, value="1"), thing("x", value="$b.echo")),
    ),
    seq(
        "alias-parent",
        up(A1),
        up(group("g"), thing("a", {"parent": "g", "aliases": [{"parent": None}]}, value="1")),
    ),
    seq(
        "alias-component",
        up(group("g"), child("g-a", "g")),
        up(group("h", aliases=[{"name": "g"}]), child("h-a", "h")),
    ),
    seq(
        "component",
        up(group("g"), child("a", "g"), child("b", "g")),
        up(group("g"), child("a", "g")),
        up(),
    ),
    seq("component-options", up(group("g", protect=True, retain_on_delete=True), child("a", "g"))),
    seq("nested-components", up(group("g"), group("h", parent="g"), child("a", "h")), DESTROY),
    seq("depends-on", up(A1, thing("b", {"depends_on": ["a"]})), up(thing("b")), DESTROY),
    seq(
        "explicit-provider",
        up(provider("p", place="x", note="1"), thing("a", {"provider": "p"})),
        up(provider("p", place="x", note="2"), thing("a", {"provider": "p"})),
        DESTROY,
    ),
    seq(
        "provider-replaced",
        up(provider("p", place="x"), thing("a", {"provider": "p"})),
        up(provider("p", place="y"), thing("a", {"provider": "p"})),
    ),
    seq(
        "provider-from-output",
        preview(A1, provider("p", place="$a.echo"), thing("b", {"provider": "p"})),
        up(A1, provider("p", place="$a.echo"), thing("b", {"provider": "p"})),
    ),
    seq(
        "secrets",
        Step(
            program=p(
                thing("a", token="!one", nested={"x": ["!two"]}),
                thing("b", value="$a.token"),
                token="$a.token",
            )
        ),
        Step(
            program=p(
                thing("a", token="!other", nested={"x": ["!two"]}),
                thing("b", value="$a.token"),
                token="$a.token",
            )
        ),
        DESTROY,
    ),
    seq(
        "secret-provider",
        up(provider("p", place="x", key="!k"), thing("a", {"provider": "p"})),
        DESTROY,
    ),
    seq(
        "additional-secret-outputs",
        up(thing("a", {"additional_secret_outputs": ["echo"]})),
        REFRESH,
    ),
    seq(
        "exports",
        Step(program=p(A1, x="$a.echo", y=[1, {"z": None}], w=1.5)),
        Step(program=p(A1, x="new")),
        Step(program=p(A1)),
    ),
    seq(
        "values",
        up(
            thing(
                "a", n=1, f=1.5, big=10**15, t=True, none=None, empty="", l=[], d={}, u="\u00e9\n"
            )
        ),
        REFRESH,
    ),
    seq(
        "timeouts",
        up(thing("a", {"custom_timeouts": {"create": "5m", "delete": "1h30m"}})),
        up(thing("a")),
    ),
    seq("fail-create", up(*CHAIN, fails=(("create", "b"),)), up(*CHAIN)),
    seq("fail-update", up(A1), up(A2, fails=(("update", "a"),)), up(A2)),
    seq("fail-delete", up(*CHAIN), Step(operation="destroy", fails=(("delete", "b"),)), DESTROY),
    seq("fail-delete-replaced", up(F1), up(F2, fails=(("delete", "a"),)), up(F2)),
    seq("fail-create-replacement", up(F1), up(F2, fails=(("create", "a"),)), up(F2)),
    seq(
        "fail-after-delete-before-replace",
        up(thing("a", fixed="1", first=True)),
        up(thing("a", fixed="2", first=True), fails=(("create", "a"),)),
        up(thing("a", fixed="2", first=True)),
    ),
    seq("fail-check", up(A1), up(thing("a", value="invalid")), up(A1)),
    seq("fail-read", up(A1), Step(operation="refresh", fails=(("read", "a"),)), up(A1)),
    seq("program-raises", up(A1, thing("b")), Step(program=p(A2, raises=True)), up(A2)),
    seq(
        "get",
        up(Spec(name="a", kind="get", opts={"id": "outside"})),
        DESTROY,
        start={"outside": {"value": "seen"}},
    ),
    seq(
        "import",
        up(thing("a", {"import_": "outside"}, value="seen")),
        up(thing("a", {"import_": "outside"}, value="seen")),
        up(thing("a", value="seen")),
        DESTROY,
        start={"outside": {"value": "seen", "extra": "default"}},
    ),
    seq(
        "target",
        up(A1, thing("b", value="1")),
        up(A2, thing("b", value="2"), thing("c"), targets=("**Thing::a",)),
        up(A2, thing("b", value="2"), thing("c")),
    ),
    seq("target-delete", up(A1, thing("b", value="1")), up(targets=("**Thing::a",)), up()),
    seq(
        "swap-places",
        up(A1, thing("b", value="$a.echo")),
        up(thing("b", value="1"), thing("a", value="$b.echo")),
    ),
    seq(
        "component-removed-child-stays", up(group("g"), child("a", "g")), up(thing("a", value="1"))
    ),
    # With a refresh the engines differ, as docs/engine.md says.
    seq(
        "partly-created",
        up(*CHAIN, fails=(("partial-create", "a"),)),
        up(*CHAIN, refresh=False),
        up(*CHAIN),
    ),
    seq(
        "partly-updated",
        up(A1),
        up(A2, fails=(("partial-update", "a"),)),
        up(A2, refresh=False),
        up(A2),
    ),
    seq("partly-created-refresh", up(A1, fails=(("partial-create", "a"),)), REFRESH, up(A1)),
    seq("partly-created-destroy", up(A1, fails=(("partial-create", "a"),)), DESTROY),
    seq("partly-replaced", up(F1), up(F2, fails=(("partial-create", "a"),)), up(F2, refresh=False)),
    seq("fail-update-chain", up(*CHAIN), up(A2, *CHAIN[1:], fails=(("update", "a"),)), DESTROY),
    seq("fail-then-less", up(*CHAIN, fails=(("create", "c"),)), up(A1)),
    seq("fail-preview", up(A1), preview(A2, thing("b", value="invalid"))),
    seq(
        "deleted-with-replaced",
        up(F1, thing("b", {"deleted_with": "a"})),
        up(F2, thing("b", {"deleted_with": "a"})),
    ),
    seq(
        "delete-before-replace-protected-dependent",
        up(thing("a", fixed="1", first=True), thing("b", {"protect": True}, fixed="$a.made")),
        up(thing("a", fixed="2", first=True), thing("b", {"protect": True}, fixed="$a.made")),
    ),
    seq(
        "delete-before-replace-dependent-removed",
        up(thing("a", fixed="1", first=True), thing("b", fixed="$a.made")),
        up(thing("a", fixed="2", first=True)),
    ),
    seq(
        "target-replace",
        up(F1, thing("b", value="$a.made"), thing("c")),
        up(F2, thing("b", value="$a.made"), thing("d"), targets=("**Thing::a",)),
        up(F2, thing("b", value="$a.made"), thing("d")),
    ),
    seq("target-destroy", up(*CHAIN), Step(operation="destroy", targets=("**Thing::c",)), DESTROY),
    seq(
        "target-refresh",
        up(A1, thing("b", value="1")),
        Step(
            operation="refresh",
            targets=("**Thing::a",),
            drift={"a-1": {"value": "hand"}, "b-1": {"value": "hand"}},
        ),
    ),
    seq("drift-and-change", up(A1), up(A2, drift={"a-1": {"value": "hand"}}), up(A2)),
    seq("drift-gone-before-destroy", up(*CHAIN), Step(operation="destroy", drift={"b-1": None})),
    seq("drift-gone-and-replace", up(F1), up(F2, drift={"a-1": None}), up(F2)),
    seq(
        "refresh-gone-with-dependents",
        up(*CHAIN),
        Step(operation="refresh", drift={"a-1": None}),
        up(*CHAIN),
    ),
    seq(
        "secret-to-plain",
        up(thing("a", token="!one")),
        up(thing("a", token="one")),
        up(thing("a", token="!one")),
    ),
    seq("option-only", up(A1), up(thing("a", {"protect": True}, value="1")), up(A1)),
    seq(
        "provider-option-to-default",
        up(provider("p", place="x"), thing("a", {"provider": "p"})),
        up(thing("a")),
    ),
    seq(
        "rename-without-alias",
        up(A1, thing("b", value="$a.echo")),
        up(thing("z", value="1"), thing("b", value="$z.echo")),
    ),
    seq(
        "import-changed",
        up(thing("a", {"import_": "outside"}, value="other")),
        up(thing("a", value="other")),
        start={"outside": {"value": "seen", "extra": "default"}},
    ),
    seq("import-missing", up(thing("a", {"import_": "outside"}, value="seen")), up(A1)),
    seq("get-missing", up(Spec(name="a", kind="get", opts={"id": "outside"})), up()),
    seq(
        "get-then-owned",
        up(Spec(name="a", kind="get", opts={"id": "outside"})),
        up(A1),
        start={"outside": {"value": "seen"}},
    ),
)

BY_NAME = {each.name: each for each in SEQUENCES}
