"""k3s restoring a snapshot: what counts as a datastore."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from provision.recovery.restore import etcd_snapshot


@pytest.mark.parametrize(("made", "status"), [("etcd", 1), ("etcd/member", 0)])
def test_a_folder_without_a_member_is_no_datastore(
    made: str, status: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "systemd-run").write_text("#!/bin/sh\nexit 0\n")
    (programs / "systemd-run").chmod(0o755)
    (tmp_path / "data/server/db" / made).mkdir(parents=True)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    script = etcd_snapshot.reset_script(
        str(tmp_path / "data"), str(tmp_path / "snapshot"), "/opt/bin/k3s"
    )
    assert "-- /opt/bin/k3s server" in script
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert ("without a datastore" in done.stderr) == bool(status)
