"""Both engines on one stack, in turns. Needs a `pulumi` on PATH."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pulumi
import pytest
from engine_provider import Group, Memory, MemProvider, Thing
from pulumi import automation

from provision import errors
from provision.engine import api, events
from provision.secret import Secret

pytestmark = pytest.mark.skipif(
    shutil.which("pulumi") is None, reason="no `pulumi` CLI on PATH to compare with"
)
SUPPORT = Path(__file__).parents[2] / "support"


class Both:
    """One stack under two engines; the world lies in a file that both share."""

    def __init__(self, root: Path) -> None:
        sys.path.insert(0, str(SUPPORT))
        try:
            import engine_plugin
        finally:
            sys.path.remove(str(SUPPORT))
        self.root = root
        self.world = engine_plugin.FileWorld(root / "world.json")
        self.plugin = root / "plugin"
        self.plugin.mkdir()
        script = self.plugin / "pulumi-resource-mem"
        command = f"{sys.executable} {SUPPORT / 'engine_plugin.py'} {root / 'world.json'}"
        script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        script.chmod(0o755)
        self.events: list[events.Event] = []

    @property
    def path(self) -> Path:
        return self.root / "s/.pulumi/stacks/proj/dev.json"

    def urn(self, name: str) -> str:
        resources = json.loads(self.path.read_text())["checkpoint"]["latest"]["resources"]
        return next(each["urn"] for each in resources if each["urn"].endswith(f"::{name}"))

    def cli(self, *arguments: str) -> None:
        """Run the CLI as a user does, in a folder with a project."""
        folder = self.root / "typed"
        folder.mkdir()
        backend = f"file://{self.root / 's'}"
        project = {"name": "proj", "runtime": "python", "backend": {"url": backend}}
        (folder / "Pulumi.yaml").write_text(json.dumps(project))
        variables = {**os.environ, "PULUMI_CONFIG_PASSPHRASE": "pw"}
        command = ["pulumi", *arguments, "--non-interactive"]
        subprocess.run(command, cwd=folder, env=variables, check=True, timeout=120)

    def engine(self, kind: Any, words: str = "pw") -> Any:
        ref = api.StackRef(root=self.root, project="proj", stack="dev", backend="file://./s")
        providers = {"mem": lambda: Memory(self.world)}
        engine: Any = api.open_engine(kind, ref, Secret(words), providers)
        if kind == "upstream":
            engine.plugins = {"mem": self.plugin}
        return engine

    def run(self, kind: Any, operation: str, program: Any, words: str = "pw") -> Any:
        self.events = []
        method = getattr(self.engine(kind, words), operation)
        return method(program, options=api.Options(), on_event=self.events.append)


@pytest.fixture(autouse=True)
def quick_keys() -> None:
    """Take the place of the quick keys: the CLI derives its keys as it does."""


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    return Both(tmp_path)


def program(value: str = "1") -> Any:
    def run() -> None:
        group = Group("g")
        secret = pulumi.Output.secret("s3cr3t")
        prov = MemProvider("p", place="x", key=secret)
        opts = pulumi.ResourceOptions(parent=group, provider=prov)
        a = Thing("a", opts, value=value, token=secret, list=[1, 1.5, None, {"x": True}])
        b = Thing("b", value=a.echo)
        Thing("c", pulumi.ResourceOptions(depends_on=[b]), value=b.made)
        pulumi.export("token", a.token)

    return run


def test_nothing_changes_when_the_engine_does(both: Both) -> None:
    for first, second in (("embedded", "upstream"), ("upstream", "embedded")):
        assert both.run(first, "up", program()).changed
        assert not both.run(second, "preview", program()).changed
        assert not both.run(second, "up", program()).changed
        assert not both.run(first, "refresh", None).changed
        both.run(second, "destroy", None)
        both.world.load()
        assert both.world.things == {}


def test_the_same_events(both: Both) -> None:
    def planned() -> dict[str, str]:
        return {each.urn: each.op for each in both.events if hasattr(each, "diffs")}  # type: ignore[attr-defined]

    both.run("embedded", "preview", program())
    ours = planned()
    both.run("upstream", "preview", program())
    assert planned() == ours
    both.run("upstream", "up", program())
    both.run("embedded", "preview", program("2"))
    ours = planned()
    both.run("upstream", "preview", program("2"))
    assert planned() == ours


def test_the_cli_goes_on_after_a_failure_of_ours(both: Both) -> None:
    both.world.failures = [("create", "b")]
    both.world.save()
    with pytest.raises(errors.StackError):
        both.run("embedded", "up", program())
    both.world.load()
    both.world.failures = []
    both.world.save()
    both.run("upstream", "up", program())
    assert not both.run("embedded", "up", program()).changed


def test_errors_of_the_cli(both: Both) -> None:
    def bad() -> None:
        raise errors.ConfigError("wrong", [errors.Problem(message="x")])

    with pytest.raises(errors.ConfigError, match="wrong"):
        both.run("upstream", "up", bad)
    both.run("embedded", "up", program())
    with pytest.raises(errors.StackError, match="passphrase is wrong"):
        both.run("upstream", "preview", program(), words="other")
    both.world.failures = [("create", "d")]
    both.world.save()

    def more() -> None:
        program()()
        Thing("d")

    with pytest.raises(errors.StackError) as caught:
        both.run("upstream", "up", more)
    assert "create of d went wrong" in caught.value.detail


@pytest.mark.parametrize("then", ["embedded", "upstream"])
def test_both_engines_go_on_with_what_was_tainted(both: Both, then: str) -> None:
    both.run("embedded", "up", program())
    both.world.load()
    before = set(both.world.things)
    both.cli("state", "taint", "--yes", "--stack", "dev", both.urn("b"))
    assert '"features"' in both.path.read_text()

    assert both.run(then, "preview", program()).changed
    both.run(then, "up", program())

    both.world.load()
    assert len(both.world.things) == len(before)
    assert set(both.world.things) != before
    for engine in ("embedded", "upstream"):
        assert not both.run(engine, "up", program()).changed
    both.run(then, "destroy", None)


def test_exports_are_masked_inside_and_special_floats_are_read(both: Both) -> None:
    canary = "nested-canary-5"

    def run() -> None:
        hidden = pulumi.Output.secret(canary)
        pulumi.export("settings", {"key": hidden, "port": 1, "more": [hidden, {"x": hidden}]})
        pulumi.export("whole", pulumi.Output.secret({"a": canary}))
        pulumi.export("numbers", [math.nan, -math.inf, 1.5])

    result = both.run("upstream", "up", run)
    for kind in ("upstream", "embedded"):
        found = both.engine(kind).outputs()
        assert isinstance(found["settings"]["key"], Secret)
        assert isinstance(found["settings"]["more"][1]["x"], Secret)
        assert found["settings"]["port"] == 1
        assert found["numbers"] == ["NaN", "-Infinity", 1.5]
        assert canary not in repr(found)
        shown = both.engine(kind).outputs(show_secrets=True)
        assert shown["settings"] == {"key": canary, "port": 1, "more": [canary, {"x": canary}]}
        assert shown["whole"] == {"a": canary}
    assert canary not in repr(result.outputs)
    assert not both.run("embedded", "up", run).changed
    assert not both.run("upstream", "up", run).changed


def test_plain_pulumi_shows_our_plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without elysium around it, the CLI prints what changes by name and value."""
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "pw")
    plugin = tmp_path / "plugin"
    for folder in (plugin, tmp_path / "s"):
        folder.mkdir()
    script = plugin / "pulumi-resource-elysium"
    command = f"{sys.executable} {SUPPORT / 'plan_plugin.py'}"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={SUPPORT.parents[1]} exec {command} "$@"\n')
    script.chmod(0o755)
    project = {
        "name": "proj",
        "runtime": "python",
        "backend": {"url": f"file://{tmp_path / 's'}"},
        "plugins": {"providers": [{"name": "elysium", "path": str(plugin)}]},
    }
    (tmp_path / "Pulumi.yaml").write_text(json.dumps(project))
    said: list[str] = []

    def stack(port: int) -> automation.Stack:
        def program() -> None:
            files = {"/etc/rancher/k3s/config.yaml": f"port: {port}\nname: kyrion\n"}
            pulumi.CustomResource("elysium:node:K3sServer", "kyrion-k3s", {"files": files})

        options = automation.LocalWorkspaceOptions(work_dir=str(tmp_path))
        return automation.create_or_select_stack(
            "dev", project_name="proj", program=program, opts=options
        )

    stack(1).up(color="never")
    for diff in (False, True):
        said.clear()
        stack(2).preview(color="never", diff=diff, on_output=said.append, on_error=said.append)
        text = "\n".join(said)
        assert "update: write /etc/rancher/k3s/config.yaml" in text
        assert "-port: 1" in text and "+port: 2" in text
        assert "elysium plan" not in text and '"property"' not in text
