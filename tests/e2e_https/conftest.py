"""A sandbox whose forge speaks HTTPS with an authority of its own, for Git too."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provision.sandbox import tryout
from tests.support import lab as labs


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labs.Lab]:
    """A stack without media and GPU, which follows an empty repository with a token."""
    with labs.sandbox("https") as sandbox:
        made = labs.make(sandbox, tmp_path_factory.mktemp("stack"))
        made.forge.with_repository("empty")
        arguments = [a for a in tryout.init_arguments(sandbox, made.cluster) if a != "--gpu"]
        made.elysium(*arguments, "--flux-auth", "token").ok()
        settings = {
            name: value
            for name, value in tryout.settings(sandbox).items()
            if not name.startswith("media")
        }
        more = {"flux.interval": "2s", "github.repository": "empty"}
        for name, value in {**settings, **more}.items():
            made.elysium("config", "set", name, value).ok()
        yield made
