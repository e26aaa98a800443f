"""``elysium engine install`` from a local mirror, and what preflight says without it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from provision import errors
from provision.artifacts import catalog, source
from provision.cli import main
from provision.engine.upstream import programs, workspace
from provision.operations import engine_install, upstream_programs, upstream_reach

CLI = b"#!/bin/sh\necho v3.272.0\n"
PLUGIN = b"#!/bin/sh\nexit 1\n"


def archive(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        for member, data in (("README.md", b"read me"), (name, content)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            opened.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def put(mirror: Path, asset: catalog.Asset, content: bytes, listed: str = "") -> None:
    data = archive(asset.member, content)
    digest = listed or hashlib.sha256(data).hexdigest()
    checksums = f"{digest}  {asset.filename}\n".encode()
    for url, body in ((asset.url, data), (asset.checksums, checksums)):
        path = source.local(str(mirror), url)
        assert path is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_install.platform, "system", lambda: "Linux")
    monkeypatch.setattr(engine_install.platform, "machine", lambda: "x86_64")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: None) -> Path:
    """A user's folders of their own, with nothing on PATH."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi"))
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


@pytest.fixture
def mirror(home: Path) -> Path:
    put(home / "mirror", cli_asset(), CLI)
    put(home / "mirror", plugin_asset(), PLUGIN)
    return home / "mirror"


def cli_asset() -> catalog.Asset:
    return catalog.pulumi(programs.cli_version()).asset("linux-amd64")


def plugin_asset() -> catalog.Asset:
    return catalog.pulumi_kubernetes(programs.plugin_version()).asset("linux-amd64")


def install(mirror: Path) -> tuple[engine_install.Installed, ...]:
    where = engine_install.Sources(mirror=str(mirror), pins=mirror.parent / "pins.json")
    return engine_install.install(where)


def kinds() -> list[str]:
    """Return the kinds of problems that preflight names, without that of our own plugin."""
    try:
        upstream_programs.require()
    except errors.PreflightError as error:
        assert error.hint == "nothing was changed"
        assert all(each.hint for each in error.problems)
        return [each.kind for each in error.problems if each.kind != "no-elysium-plugin"]
    return []


def executable(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)


def test_the_mirror_has_the_layout_of_the_releases(mirror: Path) -> None:
    version, plugin = programs.cli_version(), programs.plugin_version()
    releases = mirror / "github.com/pulumi"
    base = releases / f"pulumi/releases/download/{version}"
    assert (base / f"pulumi-{version}-linux-x64.tar.gz").is_file()
    assert (base / f"pulumi-{version[1:]}-checksums.txt").is_file()
    base = releases / f"pulumi-kubernetes/releases/download/{plugin}"
    assert (base / f"pulumi-resource-kubernetes-{plugin}-linux-amd64.tar.gz").is_file()


def test_both_are_installed_and_used_and_a_second_run_changes_nothing(mirror: Path) -> None:
    assert kinds() == ["no-pulumi", "no-kubernetes-plugin"]
    assert [each.changed for each in install(mirror)] == [True, True]
    found = programs.find_cli()
    assert found is not None and found.path.read_bytes() == CLI
    assert Path(found.root, "bin", "pulumi") == found.path
    assert programs.version_of(found) == "v3.272.0"
    plugin = programs.find_plugin()
    assert plugin is not None and plugin.read_bytes() == PLUGIN
    assert workspace.plugin_paths({"kubernetes": None})["kubernetes"] == plugin.parent
    assert kinds() == []
    pins = json.loads((mirror.parent / "pins.json").read_text())
    assert pins[f"pulumi/{programs.cli_version()}/linux-amd64"]["content"]
    before = found.path.stat().st_mtime_ns
    assert [each.changed for each in install(mirror)] == [False, False]
    assert found.path.stat().st_mtime_ns == before


def test_what_was_damaged_or_lost_its_mode_is_put_in_place_again(mirror: Path) -> None:
    install(mirror)
    programs.installed_cli().write_bytes(CLI[:-2])
    programs.installed_plugin().chmod(0o644)
    assert [each.changed for each in install(mirror)] == [True, True]
    assert programs.installed_cli().read_bytes() == CLI
    assert os.access(programs.installed_plugin(), os.X_OK)


@pytest.mark.parametrize("which", [cli_asset, plugin_asset])
def test_what_is_not_what_its_checksum_says_is_not_installed(mirror: Path, which: Any) -> None:
    put(mirror, which(), b"another", listed="0" * 64)
    with pytest.raises(errors.ArtifactError, match=r"checksum of .* is wrong"):
        install(mirror)
    assert not programs.home().exists()
    assert kinds() == ["no-pulumi", "no-kubernetes-plugin"]


def test_what_is_not_pinned_is_not_installed(mirror: Path) -> None:
    install(mirror)
    put(mirror, cli_asset(), b"another release under the same name")
    with pytest.raises(errors.ArtifactError, match="is not the file that is pinned"):
        install(mirror)
    assert programs.installed_cli().read_bytes() == CLI


def test_a_mirror_without_it_is_named(home: Path) -> None:
    with pytest.raises(errors.ArtifactError, match="the mirror does not have") as caught:
        install(home / "empty")
    assert "pulumi" in str(caught.value)


def test_a_folder_that_cannot_be_written(mirror: Path) -> None:
    programs.home().parent.mkdir(parents=True)
    programs.home().write_text("a file")
    with pytest.raises(errors.StackError, match="cannot be written") as caught:
        install(mirror)
    assert "owner of that folder" in caught.value.hint


def test_a_machine_without_a_release(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_install.platform, "machine", lambda: "riscv64")
    with pytest.raises(errors.StackError, match="no release of Pulumi for Linux on riscv64"):
        engine_install.machine()


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"#!/bin/sh\necho v3.100.0\n", "old-pulumi"), (b"#!/bin/sh\nexit 3\n", "pulumi-fails")],
)
def test_a_cli_that_does_not_fit_is_named(home: Path, content: bytes, kind: str) -> None:
    executable(home / "path/pulumi", content)
    assert kinds() == [kind, "no-kubernetes-plugin"]


@pytest.mark.parametrize("where", ["path", "pulumi/plugins/resource-kubernetes-{}"])
def test_a_plugin_where_pulumi_has_it_is_found(home: Path, where: str) -> None:
    folder = home / where.format(programs.plugin_version())
    executable(folder / programs.PLUGIN, PLUGIN)
    assert kinds() == ["no-pulumi"]
    assert programs.find_plugin() == folder / programs.PLUGIN


def test_a_plugin_of_another_version_is_not_enough(home: Path) -> None:
    executable(home / "pulumi/plugins/resource-kubernetes-v3.1.0" / programs.PLUGIN, PLUGIN)
    assert "no-kubernetes-plugin" in kinds()


@pytest.mark.parametrize(
    ("operation", "types", "missing"),
    [
        ("preview", [], True),
        ("up", [], True),
        ("refresh", [], False),
        ("destroy", [], False),
        ("refresh", ["pulumi:providers:kubernetes"], True),
        ("destroy", ["pulumi:providers:kubernetes"], True),
    ],
)
def test_an_operation_names_the_plugin_that_it_needs(
    home: Path, monkeypatch: pytest.MonkeyPatch, operation: str, types: list[str], missing: bool
) -> None:
    executable(home / "path/pulumi", CLI)
    executable(home / "path/pulumi-resource-elysium", PLUGIN)
    monkeypatch.setattr(upstream_reach, "check", lambda *_: None)

    class Engine:
        done = False

        def state(self) -> dict[str, Any]:
            return {"checkpoint": {"latest": {"resources": [{"type": each} for each in types]}}}

        def up(self) -> None:
            self.done = True

        preview = refresh = destroy = up

    engine: Any = Engine()
    checked: Any = upstream_reach.Checked(engine, None)  # type: ignore[arg-type]
    if missing:
        with pytest.raises(errors.PreflightError, match="kubernetes"):
            getattr(checked, operation)()
    else:
        getattr(checked, operation)()
    assert engine.done is not missing


def test_the_command(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(mirror.parent)
    assert main.main(["engine", "install", "--mirror", str(mirror), "--json"]) == 0
    (line,) = [
        json.loads(line) for line in capsys.readouterr().out.splitlines() if "programs" in line
    ]
    named = {each["name"]: each for each in line["programs"]}
    assert named["pulumi"]["changed"] and named["pulumi"]["version"] == programs.cli_version()
    assert main.main(["engine", "install", "--mirror", str(mirror)]) == 0
    said = capsys.readouterr()
    assert "is there already" in said.out + said.err
    assert main.main(["engine", "install", "--mirror", str(mirror.parent / "none")]) == 1


def test_the_clusters_mirror_and_pins_are_used(mirror: Path) -> None:
    folder = mirror.parent / "homelab"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(
        "name: elysium\nruntime: python\nbackend:\n  url: file://./state\n"
    )
    (folder / "Pulumi.kyrion.yaml").write_text(
        f"config:\n  elysium:artifacts:\n    mirror: {mirror}\n"
        "  elysium:github:\n    token:\n      secure: v1:x:y\n"
    )
    found = engine_install.sources(folder, None, "")
    assert found == engine_install.Sources(mirror=str(mirror), pins=folder / "pins.json")
    assert engine_install.sources(folder, "kyrion", "/other").mirror == "/other"
    with pytest.raises(errors.ConfigError):
        engine_install.sources(folder, "absent", "")
    assert engine_install.sources(mirror, None, "") == engine_install.Sources()
