"""The stack's id: found in the configuration or the state, else made."""

from __future__ import annotations

from provision import config, config_file, errors
from provision.engine import events
from provision.operations import state
from provision.operations.stack import Listener, Stack

_ACCESS = "elysium:flux:GitAccess"


def known(stack: Stack) -> str:
    """Return the id of configuration or state, empty for a stack that has none yet."""
    return stack.config.stack.id or str(state.public_inputs(stack, _ACCESS).get("stackId") or "")


def ensure(stack: Stack, on_event: Listener) -> None:
    """Give the stack an id, in its configuration file too, unless it has one.

    A stack of version 0.1.0 has none. To be called under the stack's lock. Where the file
    cannot be written the state alone keeps the id.
    """
    if stack.config.stack.id:
        return
    path = stack.directory / f"Pulumi.{stack.ref.stack}.yaml"
    written = False
    try:
        # Another run may have written it since this one read the file.
        made = config_file.read(path, None).config.stack.id
        if not made:
            made = known(stack) or config_file.make_stack_id()
            config_file.set_value(path, "stack.id", made)
            written = True
    except errors.ConfigError as error:
        made = known(stack) or config_file.make_stack_id()
        text = f"the stack's id {made} cannot be written into {path.name}: {error.summary}"
        on_event(events.Diagnostic(severity="warning", message=text))
    if written:
        text = f"{path.name} now holds the stack's id ({made}); commit it with the file"
        on_event(events.Diagnostic(severity="info", message=text))
    stack.config = stack.config.model_copy(update={"stack": config.Stack(id=made)})
