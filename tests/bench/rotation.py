"""A rotation of the deploy key while Flux fetches and pushes, and the same by delete-then-create.

What failed is counted by the forge's git server. The other way is what Flux'
own bootstrap does with a key that is to be another one: the old one is removed,
a new one registered, and then the Secret written (`docs/benchmarks.md`).
"""

from __future__ import annotations

import base64
import pathlib
import tempfile
from collections.abc import Callable

from provision.github import deploy_keys
from provision.provider.deploy_key import keypair
from tests.bench import figures, machine
from tests.support import lab as labs
from tests.support import rotation_load

WHAT = "deploy key rotated under load"
OTHER = "delete, then create"


def run(table: figures.Table, rounds: int, say: Callable[[str], None]) -> None:
    """Rotate `rounds` times each way in one sandbox, under the same load.

    Raises:
        machine.Failed: when the cluster does not come up, or a key does not come into force.
    """
    with (
        tempfile.TemporaryDirectory(prefix="elysium-bench-") as folder,
        labs.sandbox("bench", say) as sandbox,
    ):
        try:
            lab = labs.make(sandbox, pathlib.Path(folder) / "stack")
            labs.configure(lab)
            lab.elysium("up", "--yes").ok()
            measure(table, rounds, lab, say)
        except AssertionError as error:
            raise machine.Failed(f"the stack cannot be made: {error}") from error


def measure(table: figures.Table, rounds: int, lab: labs.Lab, say: Callable[[str], None]) -> None:
    """Rotate both ways in turns, with the load running all the time."""
    none = (figures.Aim(comparison="==", limit=0),)
    failed = f"{WHAT}: failed fetches and pushes"
    with rotation_load.running(lab) as load:
        for number in range(rounds):
            say(f"rotation: round {number + 1} of {rounds}")
            since = len(lab.forge.git_log())
            command = (str(labs.ELYSIUM), "rotate", "deploy-key", "--yes")
            ran = machine.measure(command, environ=lab.environ, folder=lab.folder, timeout=900)
            load.await_both(rotation_load.key_in_force(lab).fingerprint)
            table.series(WHAT, figures.ELYSIUM).add(ran.seconds, ran.memory)
            table.series(failed, figures.ELYSIUM, unit="", aims=none).add(len(load.failures(since)))
            since = len(lab.forge.git_log())
            delete_then_create(lab)
            load.await_both(rotation_load.key_in_force(lab).fingerprint)
            table.series(failed, OTHER, unit="").add(len(load.failures(since)))


def delete_then_create(lab: labs.Lab) -> None:
    """Replace the key as Flux' bootstrap does: remove, register, write the Secret."""
    pair = keypair.make_pair("ed25519")
    title = keypair.title(lab.cluster, 1, pair.fingerprint)
    for key in lab.forge.deploy_keys():
        lab.forge.delete_key(key["id"])
    lab.forge.register_key(deploy_keys.bare(pair.public), title=title, read_only=False)
    fields = {"identity": pair.private.reveal(), "identity.pub": pair.public}
    data = ",".join(
        f'"{name}":"{base64.b64encode(text.encode()).decode()}"' for name, text in fields.items()
    )
    lab.on_node(
        "k3s kubectl patch secret -n flux-system flux-system --patch-file=/dev/stdin <<'END'\n"
        f'{{"data":{{{data}}}}}\nEND'
    )
