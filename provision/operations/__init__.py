"""What a command does with a stack: preflight, preview, up, refresh, destroy, status.

Between the CLI, which asks and prints, and the engine, the program and the
providers, which know nothing of commands. Nothing here prints or asks.
"""

from provision.operations.checks import preflight
from provision.operations.destruction import destroy, losses
from provision.operations.inspection import Section, Status, kubeconfig, outputs, status
from provision.operations.naming import find_state, rename
from provision.operations.running import UpResult, preview, refresh, up, up_server
from provision.operations.stack import Stack, open_stack

__all__ = [
    "Section",
    "Stack",
    "Status",
    "UpResult",
    "destroy",
    "find_state",
    "kubeconfig",
    "losses",
    "open_stack",
    "outputs",
    "preflight",
    "preview",
    "refresh",
    "rename",
    "status",
    "up",
    "up_server",
]
