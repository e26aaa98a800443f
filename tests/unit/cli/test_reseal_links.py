"""The files that `elysium secret reseal` finds in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provision.cli import manifests


# A pipe that is opened blocks for ever: the deadline makes it a failure.
@pytest.mark.timeout(60, method="signal")
def test_no_link_and_no_pipe_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("kind: SealedSecret\n")
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "own.yaml").write_text("kind: SealedSecret\n")
    (folder / "link.yaml").symlink_to(outside)
    (folder / "dangling.yaml").symlink_to(tmp_path / "absent")
    os.mkfifo(folder / "pipe.yaml")
    assert list(manifests.read_all((folder,))) == [str(folder / "own.yaml")]


def test_a_file_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("kind: SealedSecret\n")
    (tmp_path / "link.yaml").symlink_to(own)
    assert list(manifests.read_all((own, tmp_path, tmp_path / "link.yaml"))) == [str(own)]
