"""What the rotations share: the record, the program, the update under both locks.

A rotation is an update of one resource (ADR 8). Its module looks at the
credential, asks this module to carry the update out, and verifies the result.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from provision import config, errors
from provision.engine import api
from provision.operations import repository, state
from provision.operations.stack import Listener, Stack
from stacks import program


def record(
    stack: Stack, type_token: str, *, name: str, hint: str = "run 'elysium up' first"
) -> state.Record:
    """Return the stack's resource of `type_token`, whose credential is rotated.

    `name` is the credential in words. Raises `errors.StackError` where the
    stack has no such resource yet.
    """
    for each in state.resources(stack):
        if each.type == type_token:
            return each
    raise errors.StackError(
        f"the stack {stack.config.cluster} has no {name} yet",
        operation=f"look for the {name}",
        hint=hint,
    )


def request() -> str:
    """Return a text that asks for a rotation: the time, which no earlier run used."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def make_program(
    stack: Stack, rotations: program.Rotations, cfg: config.Config | None = None
) -> api.Program:
    """Return the stack's program with `rotations` requested; `cfg` replaces its configuration."""
    decided = repository.decide(stack)
    return program.make_program(cfg or stack.config, decided, rotations=rotations)


def options(message: str, target: state.Record | None = None) -> api.Options:
    """Return the options of an update: `message` for the history, only `target` if given."""
    targets = () if target is None else (f"**::{target.name}",)
    return api.Options(targets=targets, message=message)


def preview(
    stack: Stack, inner: api.Program, wanted: api.Options, *, on_event: Listener
) -> api.Result:
    """Show what `update` would do. Changes nothing."""
    return stack.engine().preview(inner, options=wanted, on_event=on_event)


def update(
    stack: Stack,
    inner: api.Program,
    wanted: api.Options,
    *,
    require: Callable[[], None],
    on_event: Listener,
) -> api.Result:
    """Run `inner` under the stack's lock and the node's.

    `require` is called under both locks, before anything changes. It raises
    where the credential is not the one that the user was asked about.
    """

    def under_lock() -> Any:
        stack.live.node(stack.config.server.name).lock()
        require()
        return inner()

    result = stack.engine().up(under_lock, options=wanted, on_event=on_event)
    stack.live.forget()
    return result


def rotated_meanwhile(name: str, detail: str = "") -> errors.StackError:
    """Return the error for a credential that another run has rotated."""
    return errors.StackError(
        f"the {name} was rotated by another run in the meantime",
        operation=f"rotate the {name}",
        detail=detail,
        hint="nothing was changed here; run again if it is still wanted",
    )


def ignore(_level: str, _text: str) -> None:
    """Take a message of a provider and do nothing with it."""
