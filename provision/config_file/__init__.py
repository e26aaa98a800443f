"""Reading and writing ``Pulumi.yaml`` and ``Pulumi.<cluster>.yaml``.

What lives here: finding the project and its stacks, the YAML with its comments
and line numbers, decryption of ``secure:`` values, the translation of every
validation problem into words, edits that keep the user's comments, the files
that ``init`` writes, and where the passphrase comes from. What must not: the
models themselves (``provision.config``), contact with any host, printing.

`load` is the way in; the functions re-exported here are the public ones.
"""

from provision.config_file.edit import set_value
from provision.config_file.passphrase import (
    create_passphrase,
    find_passphrase,
    passphrase_file,
    stack_crypter,
)
from provision.config_file.program import write_own_project
from provision.config_file.project import (
    Project,
    find_project,
    is_stack_name,
    open_project,
    write_project,
)
from provision.config_file.reader import Crypter, Loaded, artifacts_of, load, read, split_keys
from provision.config_file.scaffold import AzureMedia, NewStack, ignore_state, render_new, write_new
from provision.config_file.stack_id import make_stack_id

__all__ = [
    "AzureMedia",
    "Crypter",
    "Loaded",
    "NewStack",
    "Project",
    "artifacts_of",
    "create_passphrase",
    "find_passphrase",
    "find_project",
    "ignore_state",
    "is_stack_name",
    "load",
    "make_stack_id",
    "open_project",
    "passphrase_file",
    "read",
    "render_new",
    "set_value",
    "split_keys",
    "stack_crypter",
    "write_new",
    "write_own_project",
    "write_project",
]
