"""Random programs, edits, drift and failures for engine tests (hypothesis strategies)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine_programs import Program, Spec
from hypothesis import strategies as st

NAMES = ("a", "b", "c", "d", "e")
GROUPS = ("g", "h")
METHODS = ("create", "update", "delete", "read", "check", "diff")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One run: the program, what happened to the world before, which calls fail in it."""

    program: Program
    gone: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    fails: tuple[tuple[str, str], ...] = field(default=())


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Return a strategy for programs over a few names, so that two of them have much in common."""
    specs: list[Spec] = []
    for group in draw(st.lists(st.sampled_from(GROUPS), unique=True)):
        parents = [each.name for each in specs]
        opts = {"parent": draw(st.sampled_from(parents))} if parents and draw(st.booleans()) else {}
        specs.append(Spec(name=group, kind="group", opts=opts))
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.sampled_from(("x", "y")))
        specs.append(Spec(name="p", kind="provider", inputs={"place": place}))
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        specs.append(draw(_things(name, specs)))
    return Program(specs=tuple(specs))


@st.composite
def _things(draw: st.DrawFn, name: str, before: list[Spec]) -> Spec:
    things = [each.name for each in before if each.kind == "thing"]
    groups = [each.name for each in before if each.kind == "group"]
    made = [f"${each}.{key}" for each in things for key in ("echo", "made", "value")]
    texts = st.sampled_from(["1", "2", *made])
    inputs: dict[str, Any] = {"value": draw(texts)}
    if draw(st.booleans()):
        inputs["fixed"] = draw(texts)
    if draw(st.booleans()):
        inputs["first"] = True
    if draw(st.integers(0, 3)) == 0:
        inputs["token"] = draw(st.sampled_from(("!one", "!two")))
    opts: dict[str, Any] = {}
    if groups and draw(st.booleans()):
        opts["parent"] = draw(st.sampled_from(groups))
    if things and draw(st.integers(0, 3)) == 0:
        opts["depends_on"] = [draw(st.sampled_from(things))]
    if draw(st.integers(0, 5)) == 0:
        opts["retain_on_delete"] = True
    if draw(st.integers(0, 3)) == 0:
        opts["delete_before_replace"] = draw(st.booleans())
    if any(each.kind == "provider" for each in before) and draw(st.booleans()):
        opts["provider"] = "p"
    return Spec(name=name, inputs=inputs, opts=opts)


@st.composite
def changes(draw: st.DrawFn, *, fails: bool = True) -> Change:
    """Return a strategy for one run."""
    names = st.lists(st.sampled_from(NAMES), unique=True, max_size=2).map(tuple)
    bad = st.tuples(st.sampled_from(METHODS), st.sampled_from(NAMES))
    wrong = st.lists(bad, unique=True, max_size=2).map(tuple)
    drifts, breaks = draw(st.booleans()), fails and draw(st.booleans())
    return Change(
        program=draw(programs()),
        gone=draw(names) if drifts else (),
        edited=draw(names) if drifts else (),
        fails=draw(wrong) if breaks else (),
    )
