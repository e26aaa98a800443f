"""One sandbox for each kind of k3s, with a repository of SealedSecrets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provision.gitops.sealing import keys as sealing_keys
from tests.support import coldstarts, k3sprograms
from tests.support import lab as labs


@pytest.fixture(scope="module", params=["the sandbox's k3s", "a real k3s"])
def programs(request: pytest.FixtureRequest) -> k3sprograms.Programs:
    if request.param == "the sandbox's k3s":
        return k3sprograms.in_sandbox()
    found = k3sprograms.real()
    if found is None:
        pytest.skip(f"{k3sprograms.VARIABLE} names no program")
    return found


@pytest.fixture(scope="module")
def lab(
    programs: k3sprograms.Programs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[labs.Lab]:
    """A stack that is configured and not brought up."""
    with labs.sandbox("k3s") as sandbox:
        programs.publish(sandbox)
        made = labs.make(sandbox, tmp_path_factory.mktemp("stack"))
        key = sealing_keys.make_key()
        coldstarts.configure(made, key)
        coldstarts.use(made, "deadlocked", coldstarts.repository(key))
        made.elysium("config", "set", "k3s.version", programs.versions[0]).ok()
        if programs.with_images:
            made.elysium("config", "set", "k3s.airgapImages", "true").ok()
        yield made


@pytest.fixture(scope="module")
def before(lab: labs.Lab, programs: k3sprograms.Programs) -> dict[str, str]:
    """The node's files before anything was done to it."""
    k3sprograms.prepare(lab, programs)
    found = labs.files(lab)
    k3sprograms.give_images(lab, programs)
    return found
