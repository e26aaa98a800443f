"""Around the `pulumi` CLI: what it is started with, and how its failures read."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from provision import crypter, errors
from provision.engine import api
from provision.engine.upstream import workspace as upstream_workspace
from provision.provider import connections
from provision.secret import Secret

PASSPHRASE = "passphrase-canary-77"
TOKEN = "token-canary-88"

FAKE = """#!{python}
import json, os, sys
if "version" in sys.argv:
    print("{version}")
    raise SystemExit(0)
seen = {{"args": sys.argv, "env": dict(os.environ), "files": {{}}}}
for name in os.listdir("."):
    seen["files"][name] = [open(name).read(), oct(os.stat(name).st_mode & 0o777)]
with open({log!r}, "a") as log:
    log.write(json.dumps(seen) + "\\n")
if {passes!r} in sys.argv:
    raise SystemExit(0)
print({stderr!r}, file=sys.stderr)
raise SystemExit(255)
"""


class Fake:
    """A `pulumi` that notes how it was called and fails, unless called with `passes`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"

    def install(
        self, version: str = "v3.260.0", stderr: str = "error: no", passes: str = ""
    ) -> None:
        path = self.folder / "pulumi"
        given = {"version": version, "log": str(self.log), "stderr": stderr, "passes": passes}
        path.write_text(FAKE.format(python=sys.executable, **given))
        path.chmod(0o755)

    def calls(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(crypter, "_ROUNDS", 1000)
    return Fake(folder)


def up(root: Path, **options: Any) -> None:
    ref = api.StackRef(root=root, project="proj", stack="dev", backend="file://./state")
    engine = api.open_engine("upstream", ref, Secret(PASSPHRASE), {"kubernetes": _never})
    engine.up(lambda: None, options=api.Options(**options), on_event=lambda _: None)


def _never() -> Any:
    raise AssertionError


def test_no_cli(fake: Fake, tmp_path: Path) -> None:
    with pytest.raises(errors.StackError, match="no `pulumi` on PATH") as caught:
        up(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("version", ["v3.100.0", "v2.0.0", "dev"])
def test_an_old_cli(fake: Fake, tmp_path: Path, version: str) -> None:
    fake.install(version=version)
    with pytest.raises(errors.StackError, match="newer is needed"):
        up(tmp_path)


def test_nothing_secret_in_arguments_environment_or_readable_files(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("PULUMI_DEBUG_GRPC", "/tmp/trace")
    fake.install()
    with pytest.raises(errors.StackError):
        up(
            tmp_path,
            config={"proj:plain": "x"},
            secret_config={"proj:token": Secret(TOKEN)},
        )
    assert os.environ["PULUMI_CONFIG_PASSPHRASE"] == PASSPHRASE
    assert fake.calls()
    for call in fake.calls():
        text = json.dumps([call["args"], call["env"]])
        assert PASSPHRASE not in text
        assert "PULUMI_DEBUG_GRPC" not in call["env"]
        assert TOKEN not in json.dumps(call)
        for name, (body, mode) in call["files"].items():
            assert mode == "0o600", name
            assert (PASSPHRASE in body) == (name == ".passphrase")
        stack = json.loads(call["files"]["Pulumi.dev.yaml"][0])
        assert stack["config"]["proj:plain"] == "x"
        sealed = stack["config"]["proj:token"]["secure"]
        opened = crypter.PassphraseCrypter.from_salt(stack["encryptionsalt"], Secret(PASSPHRASE))
        assert opened.decrypt(sealed) == TOKEN
        folder = Path(call["env"]["PULUMI_CONFIG_PASSPHRASE_FILE"]).parent
        assert not folder.exists()
    assert not (tmp_path / "Pulumi.yaml").exists()


def test_project_file(fake: Fake, tmp_path: Path) -> None:
    fake.install()
    with pytest.raises(errors.StackError):
        up(tmp_path)
    project = json.loads(fake.calls()[0]["files"]["Pulumi.yaml"][0])
    assert project["name"] == "proj"
    assert project["backend"]["url"] == f"file://{tmp_path}/state"


def test_what_only_this_run_knows_reaches_providers_by_the_environment(
    fake: Fake, tmp_path: Path
) -> None:
    fake.install()
    here = connections.Live(pins=tmp_path / "pins.json")
    here.keep_data = True
    ref = api.StackRef(root=tmp_path, project="proj", stack="dev", backend="file://./state")
    engine = api.open_engine(
        "upstream", ref, Secret(PASSPHRASE), {}, environment=here.environment()
    )
    with pytest.raises(errors.StackError):
        engine.destroy(None, options=api.Options(), on_event=lambda _: None)
    for call in fake.calls():
        there = connections.Live.of_environment(call["env"])
        assert there.keep_data
        assert there.environment() == here.environment()
    assert not connections.Live.of_environment({}).keep_data


@pytest.mark.parametrize(
    ("operation", "given", "there", "absent"),
    [
        ("preview", {"refresh": True}, "--refresh", "--preview-only"),
        ("preview", {"refresh": False}, "preview", "--refresh"),
        ("up", {"refresh": False}, "up", "--refresh"),
        ("up", {"targets": ("**::media",)}, "--target", "--preview-only"),
        ("refresh", {"dry_run": True}, "--preview-only", "--yes"),
        ("refresh", {"dry_run": False}, "--yes", "--preview-only"),
    ],
)
def test_what_is_asked_reaches_the_cli(
    fake: Fake, tmp_path: Path, operation: str, given: dict[str, Any], there: str, absent: str
) -> None:
    fake.install(passes="stack")
    ref = api.StackRef(root=tmp_path, project="proj", stack="dev", backend="file://./state")
    engine: Any = api.open_engine("upstream", ref, Secret(PASSPHRASE), {})
    how = {"dry_run": given.pop("dry_run")} if operation == "refresh" else {}
    with pytest.raises(errors.StackError):
        getattr(engine, operation)(
            lambda: None, options=api.Options(**given), on_event=lambda _: None, **how
        )
    called = fake.calls()[-1]["args"]
    assert operation in called
    assert any(word.startswith(there) for word in called)
    assert not any(word.startswith(absent) for word in called)


def test_plugins_of_this_installation_are_found() -> None:
    found = upstream_workspace.plugin_paths({"elysium": None, "kubernetes": None})
    assert found == {"elysium": Path(sys.executable).parent}


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ("error: the stack is currently locked by 1 lock(s)", "locked"),
        ("error: incorrect passphrase", "the passphrase is wrong"),
        ("error: something else", "could not finish"),
    ],
)
def test_failures_are_explained(fake: Fake, tmp_path: Path, stderr: str, words: str) -> None:
    fake.install(stderr=stderr)
    with pytest.raises(errors.StackError, match=words) as caught:
        up(tmp_path)
    assert caught.value.hint
    assert caught.value.exit_code == 7
