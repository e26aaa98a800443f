"""The table of the versions that Flux serves, beside the definitions of the pinned Flux."""

from __future__ import annotations

import pytest
import yaml

from provision.gitops.build import rules
from provision.gitops.coldstart import api
from provision.sandbox import build
from tests.support import fluxcluster

pytestmark = pytest.mark.sandbox


def test_the_pinned_release_serves_these_versions() -> None:
    found: dict[tuple[str, str], set[str]] = {}
    for path in fluxcluster.definitions(build.bin_dir()).glob("*fluxcd.io_*.yaml"):
        for obj in yaml.safe_load_all(path.read_text()):
            made = api.defined(obj)
            assert made is not None
            found[made[0]] = made[1]
    assert api.flux(api.COMPONENTS, rules.RELEASE) == found
