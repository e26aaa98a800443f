"""A cluster brought back from its backup, and the first `up` that made it, in one run.

Each round is a new folder, repository and node: `up`, a backup with the
datastore, the node lost with its disk, an empty one in its place, `restore`;
then another empty one, and `restore --datastore`. Both begin where `up` began:
a node that answers SSH, and nothing on it.
"""

from __future__ import annotations

import pathlib
import shutil
import tempfile
from collections.abc import Callable

from provision.sandbox import lifecycle, renewal, tryout
from tests.bench import figures, machine
from tests.support import lab as labs
from tests.support import night

WHAT = {
    "rebuild": "recovery, rebuilt from Git",
    "datastore": "recovery, with the datastore",
}
OTHER = "the first up"
LIMIT = 1.3


def run(table: figures.Table, rounds: int, say: Callable[[str], None]) -> None:
    """Measure `rounds` times in one sandbox.

    Raises:
        machine.Failed: when a cluster does not come up, or not back.
    """
    with (
        tempfile.TemporaryDirectory(prefix="elysium-bench-") as folder,
        labs.sandbox("bench", say) as sandbox,
    ):
        for number in range(rounds):
            say(f"recovery: round {number + 1} of {rounds}")
            if number:
                renewal.replace_node(sandbox.name)
            _round(table, sandbox.name, pathlib.Path(folder) / f"round{number + 1}")


def _round(table: figures.Table, name: str, folder: pathlib.Path) -> None:
    try:
        lab = labs.make(lifecycle.load(name), folder / "stack")
        labs.configure(lab)
        # A repository that no round before left anything in.
        repository = folder.name
        files = tryout.repository_files(lab.sandbox, lab.cluster)
        lab.forge.with_repository(repository).seed_repository(files)
        lab.elysium("config", "set", "github.repository", repository).ok()
        first = _measure(lab, "up", "--yes")
        done = lab.elysium("--json", "backup", "--datastore", environ=night.PHRASE).ok()
    except AssertionError as error:
        raise machine.Failed(f"the cluster cannot be made and backed up: {error}") from error
    kept = shutil.copy(done.json_lines()[-1]["path"], folder)
    at_most = (figures.Aim(comparison="<=", limit=LIMIT, of="ratio"),)
    for mode, more in (("rebuild", ()), ("datastore", ("--datastore",))):
        lab.sandbox = renewal.replace_node(name)
        (folder / mode).mkdir()
        fresh, node = night.elsewhere(lab, folder / mode), lab.sandbox.node
        where = ("--host", node.host, "--host-key", node.host_key, "--yes", *night.trusting(lab))
        back = _measure(fresh, "restore", str(kept), *more, *where)
        table.series(WHAT[mode], figures.ELYSIUM).add(back.seconds, back.memory)
        table.series(WHAT[mode], OTHER, aims=at_most).add(first.seconds, first.memory)


def _measure(lab: labs.Lab, *arguments: str) -> machine.Ran:
    return machine.measure(
        (str(labs.ELYSIUM), *arguments),
        environ=lab.environ | night.PHRASE,
        folder=lab.folder,
        timeout=1800,
    )
