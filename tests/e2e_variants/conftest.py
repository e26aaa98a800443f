"""One stack for the variants of `up`, brought up once in a sandbox of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent import futures

import pytest

from provision.sandbox import tryout
from tests.support import canaries, guarded
from tests.support import lab as labs


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labs.Lab]:
    with labs.sandbox("variants") as sandbox:
        made = labs.make(sandbox, tmp_path_factory.mktemp("stack"))
        made.forge.protect("main")
        guarded.close(made)
        guarded.configure(made)
        yield made


@pytest.fixture(scope="session")
def before(lab: labs.Lab) -> dict[str, str]:
    """The node's files before anything was done to it."""
    return labs.files(lab)


@pytest.fixture(scope="session")
def known(lab: labs.Lab) -> dict[str, str]:
    """The secrets that are there before the first run."""
    return {
        "azure key": tryout.media_key(lab.sandbox),
        "github token": lab.forge.token().reveal(),
        "sudo password": lab.sandbox.node.password().reveal(),
        "passphrase": lab.environ["PULUMI_CONFIG_PASSPHRASE"],
    }


@pytest.fixture(scope="session")
def watched() -> canaries.Watched:
    """What ran while `up` did."""
    return canaries.Watched()


@pytest.fixture(scope="session")
def up(
    lab: labs.Lab, before: dict[str, str], known: dict[str, str], watched: canaries.Watched
) -> labs.Done:
    """The first ``elysium up``; a person merges its pull request while it waits."""
    del before
    with canaries.watching(known) as seen, futures.ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(lab.elysium, "-v", "--debug", "up", "--yes")
        while not running.done():
            for pull in lab.forge.pulls():
                lab.forge.merge(pull["number"])
            time.sleep(0.2)
        done = running.result()
    watched.commands |= seen.commands
    watched.found += seen.found
    return done.ok()
