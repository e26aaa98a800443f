"""What a node tells of itself with BusyBox' programs instead of GNU's, and with some missing."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import time

import pytest

from provision import config, errors
from provision.host import collect, facts, parse, preflight, preflight_facts, scripts, session

BUSYBOX = shutil.which("busybox")
CONFIG = config.Config.model_validate(
    {
        "cluster": "kyrion",
        "nodes": [{"name": "kyrion", "host": "10.0.0.1"}],
        "github": {"owner": "o", "repository": "r"},
        "media": {"remote": {"type": "azureblob"}},
        "gpu": {},
    }
)


@pytest.fixture
def applets(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with BusyBox' applets, the only programs of a node. It has no ss."""
    if BUSYBOX is None:
        pytest.skip("needs busybox")
    folder = tmp_path / "bin"
    folder.mkdir()
    done = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    for name in done.stdout.split():
        (folder / name).symlink_to(BUSYBOX)
    return folder


def request(tmp_path: pathlib.Path) -> facts.FactRequest:
    (tmp_path / "file").write_text("content")
    (tmp_path / "link").symlink_to("file")
    paths = {str(tmp_path / name) for name in ("file", "link", "nothing")}
    asked = preflight.preflight_request(CONFIG)
    return facts.FactRequest(
        files=asked.files | paths,
        contents=asked.contents | {str(tmp_path / "file")},
        listings=asked.listings | {str(tmp_path)},
        mounts=asked.mounts | {"/proc"},
        commands=asked.commands,
        ports=asked.ports,
        disks=asked.disks | {str(tmp_path / "later" / "folder")},
        snippets=asked.snippets,
    )


def told(asked: facts.FactRequest, shell: list[str], path: str) -> facts.NodeFacts:
    script = collect.render(asked).replace(scripts.PATH, path)
    done = subprocess.run(
        [*shell, "-c", script], env={"PATH": path}, capture_output=True, timeout=60, check=True
    )
    return parse.parse(done.stdout, asked, sent=time.time(), received=time.time())


def test_busybox_tells_the_same(applets: pathlib.Path, tmp_path: pathlib.Path) -> None:
    asked = request(tmp_path)
    gnu = told(asked, ["/bin/sh"], scripts.PATH)
    busybox = told(asked, [str(applets / "sh")], str(applets))
    assert busybox.files == gnu.files and len(gnu.files) >= 2
    assert busybox.listings == gnu.listings and busybox.mounts == gnu.mounts
    assert busybox.disks.keys() == gnu.disks.keys() and gnu.disks
    assert busybox.ports == gnu.ports
    data = "/var/lib/rancher/k3s"
    options = preflight_facts.mount_options(busybox, data)
    assert options == preflight_facts.mount_options(gnu, data) and options
    assert busybox.commands["tar"] == str(applets / "tar")


@pytest.mark.parametrize("tool", collect.TOOLS)
def test_a_program_that_is_missing_is_named(
    applets: pathlib.Path, tmp_path: pathlib.Path, tool: str
) -> None:
    (applets / tool).unlink()
    with pytest.raises(parse.LackingTools) as caught:
        told(request(tmp_path), [str(applets / "sh")], str(applets))
    assert caught.value.args == (tool,)


def test_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = facts.FactRequest(disks=frozenset({"/"}))
    output = b"\0".join([collect.MARK.encode(), b"lacking", b"df stat", b"end", b""])
    node = session.NodeSession(CONFIG.server)
    done = type("Done", (), {"stdout": output})()
    monkeypatch.setattr(node, "_execute", lambda *_, **__: done)
    with pytest.raises(errors.RemoteError, match="node kyrion lacks programs: df, stat") as caught:
        node.facts(asked)
    assert "install coreutils" in caught.value.hint and caught.value.host == "10.0.0.1"
