"""Random programs, edits, drift and failures for engine tests (hypothesis strategies)."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from engine_programs import Program, Spec
from hypothesis import strategies as st

NAMES = ("a", "b", "c", "d", "e")
GROUPS = ("g", "h")
PAUSE = 0.05
"""Seconds after which a call waits no longer for one that may never come."""
METHODS = ("create", "update", "delete", "read", "check", "diff")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One run: the program, what happened to the world before, which calls fail in it."""

    program: Program
    gone: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    fails: tuple[tuple[str, str], ...] = field(default=())
    after: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = ()
    """Calls of the provider that wait until another one has begun (see `Schedule`)."""
    targets: tuple[str, ...] = ()
    """Names of the resources that the run is limited to; empty: it is not."""


class Schedule:
    """Puts calls of the provider in a drawn order, where the engine leaves it open.

    A call that is to come after another waits for it to begin, but only for
    a moment: the engine may have to have its answer first.
    """

    def __init__(self, after: tuple[tuple[tuple[str, str], tuple[str, str]], ...]) -> None:
        self._begun = {call: threading.Event() for pair in after for call in pair}
        self._after = after

    def call(self, method: str, name: str) -> None:
        """Say that a call begins; return when its turn has come."""
        if (method, name) in self._begun:
            self._begun[method, name].set()
        for late, early in self._after:
            if late == (method, name):
                self._begun[early].wait(PAUSE)


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
    pairs = st.tuples(bad, bad).filter(lambda pair: pair[0] != pair[1])
    order = st.lists(pairs, unique=True, max_size=4).map(tuple)
    drifts, breaks = draw(st.booleans()), fails and draw(st.booleans())
    return Change(
        program=draw(programs()),
        gone=draw(names) if drifts else (),
        edited=draw(names) if drifts else (),
        fails=draw(wrong) if breaks else (),
        after=draw(order) if draw(st.booleans()) else (),
        targets=draw(names) if draw(st.integers(0, 3)) == 0 else (),
    )
