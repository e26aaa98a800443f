"""Calls the command line as the console script does, with a stand-in for the operations."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from provision import config, errors
from provision.change import Change
from provision.cli import main, terminal
from provision.engine import api, events
from provision.gitops.sealing import keys as sealing_keys
from provision.secret import Secret
from tests.support import elysiumrepo
from tests.support.sealing import keys_of

CONFIG = """\
config:
  elysium:nodes:
    - name: kyrion
      host: 192.168.1.5
      hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA
  elysium:github:
    owner: me
    repository: elysium
"""


@dataclasses.dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


Call = Callable[..., Outcome]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one stack, which is the current folder; nothing of this machine's own."""
    root = tmp_path / "lab"
    root.mkdir()
    (root / "Pulumi.yaml").write_text("name: elysium\nruntime: python\n")
    (root / "Pulumi.kyrion.yaml").write_text(CONFIG)
    monkeypatch.chdir(root)
    for name in list(os.environ):
        if name.startswith(("PULUMI", "GITHUB", "GH_", "KUBECONFIG", "AZURE", "NO_COLOR", "FORCE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for kind in ("CONFIG", "STATE", "CACHE", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / "home" / kind.lower()))
    return root


@pytest.fixture
def call(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run ``elysium`` with arguments; `answers` are typed by a person who is there."""

    def run(*arguments: str, answers: str | None = None, stdin: str = "") -> Outcome:
        asks = property(lambda self: answers is not None and not self.json)
        monkeypatch.setattr(terminal.Terminal, "can_ask", asks)
        runner = CliRunner()
        with runner.isolation(input=answers if answers is not None else stdin) as streams:
            code = main.main(list(arguments))
        return Outcome(
            code,
            streams[0].getvalue().decode().replace("\r\n", "\n"),
            streams[1].getvalue().decode().replace("\r\n", "\n"),
        )

    return run


STACK = "urn:pulumi:kyrion::elysium::pulumi:pulumi:Stack::elysium-kyrion"
NODE = "urn:pulumi:kyrion::elysium::elysium:node:Node::kyrion"
K3S = "urn:pulumi:kyrion::elysium::elysium:node:Node$elysium:node:K3sServer::kyrion"
MEDIA = "urn:pulumi:kyrion::elysium::elysium:node:Node$elysium:node:MediaMount::media"
KEY = "urn:pulumi:kyrion::elysium::elysium:flux:GitAccess::flux"

DIFF = """\
--- /etc/rancher/k3s/config.yaml
+++ /etc/rancher/k3s/config.yaml
@@ -1 +1,2 @@
 node-name: kyrion
+disable: [traefik]
"""


def planned(urn: str, op: Any, parent: str = "", **more: Any) -> events.ResourcePlanned:
    types, _, name = urn.rpartition("::")
    token = types.rpartition("::")[2].rpartition("$")[2]
    return events.ResourcePlanned(urn=urn, type=token, name=name, parent=parent, op=op, **more)


def plan(operation: Any = "preview") -> list[events.Event]:
    """An update with a diff, a creation, a replacement, and what is as it should be."""
    change = Change(
        property="files./etc/rancher/k3s/config.yaml",
        action="update",
        summary="write /etc/rancher/k3s/config.yaml",
        diff=DIFF,
    )
    restart = Change(property="unit.k3s.service", action="restart", summary="restart k3s")
    replaced = events.PropertyDiff(
        path="algorithm", kind="update", replaces=True, old='"rsa"', new='"ed25519"'
    )
    return [
        events.Prelude(operation=operation, project="elysium", stack="kyrion"),
        planned(STACK, "same"),
        planned("urn:pulumi:kyrion::elysium::pulumi:providers:elysium::elysium", "create", STACK),
        planned(NODE, "same", STACK),
        planned(K3S, "update", NODE, changes=(change, restart)),
        planned(MEDIA, "create", NODE),
        planned(KEY, "replace", STACK, diffs=(replaced,)),
        events.Summary(counts={"same": 2, "update": 1, "create": 2, "replace": 1}, seconds=0.5),
    ]


def work() -> list[events.Event]:
    """The same, carried out."""
    begin, *middle, _ = plan("up")
    return [
        begin,
        *middle,
        events.ResourceStarted(urn=K3S, op="update"),
        events.ResourceProgress(urn=K3S, message="waiting until k3s is Ready"),
        events.Diagnostic(severity="warning", message="the clock is off by 3 s", urn=K3S),
        events.ResourceDone(urn=K3S, op="update", seconds=12.3),
        events.Summary(counts={"same": 3, "update": 1}, seconds=13.0),
    ]


def nothing(operation: Any = "preview") -> list[events.Event]:
    return [
        events.Prelude(operation=operation, project="elysium", stack="kyrion"),
        planned(STACK, "same"),
        planned(K3S, "same", STACK),
        events.Summary(counts={"same": 2}, seconds=0.2),
    ]


def drift() -> list[events.Event]:
    """A refresh that finds one value changed and one resource gone."""
    by_hand = events.PropertyDiff(path="options", kind="update", old='"ro"', new='"rw"')
    return [
        events.Prelude(operation="refresh", project="elysium", stack="kyrion"),
        planned(STACK, "same"),
        planned(NODE, "same", STACK),
        planned(MEDIA, "refresh", NODE, diffs=(by_hand,)),
        planned(KEY, "discard", STACK),
        events.Summary(counts={"same": 2, "refresh": 1, "discard": 1}, seconds=0.5),
    ]


OUTPUTS: dict[str, Any] = {
    "cluster": "kyrion",
    "nodeName": "kyrion",
    "k3sVersion": "v1.36.3+k3s1",
    "kubeconfig": Secret("apiVersion: v1\nclient-key-data: c2VjcmV0LWtleS1kYXRh\n"),
    "gpuAllocatable": 10,
    "fluxRevision": "main@sha1:abc",
    "kustomizations": [{"name": "flux-system", "revision": "main@sha1:abc"}, {"name": "apps"}],
}


@dataclasses.dataclass
class FakeStack:
    config: config.Config
    directory: Path
    warnings: tuple[errors.Problem, ...] = ()
    passphrase: Secret = dataclasses.field(default_factory=lambda: Secret("correct horse"))
    closed: bool = False

    def close(self) -> None:
        self.closed = True


class FakeOperations:
    """Plays given events; keeps what it was asked. Anything else is an AttributeError."""

    def __init__(self, folder: Path) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.stack = FakeStack(
            directory=folder,
            config=config.Config.model_validate(
                {
                    "cluster": "kyrion",
                    "nodes": [{"name": "kyrion", "host": "h", "sudoPassword": "sudo-swordfish"}],
                    "github": {"owner": "me", "repository": "elysium", "token": "ghp_canary"},
                }
            ),
        )
        self.fails: dict[str, BaseException] = {}
        self.preview_events = plan()
        self.up_events = work()
        self.refresh_events = drift()
        self.sections: Any = None
        self.values: dict[str, Any] = dict(OUTPUTS)
        self.kubeconfig_text = ""
        self.up_outputs: dict[str, Any] = dict(OUTPUTS)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def _called(self, name: str, **given: Any) -> None:
        self.calls.append((name, given))
        if name in self.fails:
            raise self.fails[name]

    def open_stack(self, directory: Path, stack: str | None, *, engine: str) -> FakeStack:
        self._called("open_stack", directory=directory, stack=stack, engine=engine)
        return self.stack

    def preflight(
        self, stack: FakeStack, progress: Callable[[str], None], **options: bool
    ) -> list[str]:
        progress("checking node, GitHub and repository")
        self._called("preflight", **options)
        return []

    def preview(
        self, stack: FakeStack, *, on_event: Any, options: api.Options, **more: bool
    ) -> api.Result:
        return self._play("preview", self.preview_events, on_event, options=options, **more)

    def up(self, stack: FakeStack, *, on_event: Any, options: api.Options, **more: bool) -> Any:
        from provision.operations import deploy

        result = self._play("up", self.up_events, on_event, options=options, **more)
        return deploy.UpResult(result=result, steps=(("kyrion", 12.3),))

    def refresh(
        self, stack: FakeStack, *, on_event: Any, options: api.Options, dry_run: bool = False
    ) -> api.Result:
        script = self.refresh_events
        return self._play("refresh", script, on_event, options=options, dry_run=dry_run)

    def destroy(
        self, stack: FakeStack, *, keep_data: bool, on_event: Any, options: api.Options
    ) -> api.Result:
        done = [
            events.Prelude(operation="destroy", project="elysium", stack="kyrion"),
            events.ResourceStarted(urn=K3S, op="delete"),
            events.ResourceDone(urn=K3S, op="delete", seconds=3.0),
            events.Summary(counts={"delete": 1}, seconds=3.1),
        ]
        return self._play("destroy", done, on_event, options=options, keep_data=keep_data)

    def losses(self, stack: FakeStack, *, keep_data: bool) -> list[str]:
        self._called("losses", keep_data=keep_data)
        return ["volume pvc-1 (media/plex) is deleted"]

    def status(self, stack: FakeStack) -> Any:
        self._called("status")
        return self.sections

    def outputs(self, stack: FakeStack, show_secrets: bool) -> dict[str, Any]:
        self._called("outputs", show_secrets=show_secrets)
        if not show_secrets:
            return self.values
        return {k: v.reveal() if isinstance(v, Secret) else v for k, v in self.values.items()}

    def kubeconfig(self, stack: FakeStack) -> str:
        self._called("kubeconfig")
        return self.kubeconfig_text

    def _play(self, name: str, script: list[events.Event], on_event: Any, **given: Any) -> Any:
        for event in script:
            on_event(event)
            if name in self.fails and isinstance(event, events.ResourceProgress):
                break
        self._called(name, **given)
        last = script[-1]
        counts = last.counts if isinstance(last, events.Summary) else {}
        outputs = self.up_outputs if name == "up" else OUTPUTS
        return api.Result(counts=counts, outputs=outputs, seconds=13.0)


@pytest.fixture
def operations(folder: Path, monkeypatch: pytest.MonkeyPatch) -> FakeOperations:
    fake = FakeOperations(folder)
    install(fake, monkeypatch.setattr)
    return fake


REPLACED = {
    "stack": ("open_stack",),
    "preflight": ("preflight",),
    "deploy": ("preview", "up", "refresh"),
    "destroy": ("destroy", "losses"),
    "status": ("status", "outputs", "kubeconfig"),
}
"""By module of `provision.operations`, the functions that `FakeOperations` stands in for."""


def install(fake: FakeOperations, set_attribute: Callable[[Any, str, Any], None]) -> None:
    """Put `fake` in the place of the operations."""
    for name, replaced in REPLACED.items():
        module = importlib.import_module(f"provision.operations.{name}")
        for function in replaced:
            set_attribute(module, function, functools.partial(_call, fake, function))


def _call(fake: FakeOperations, function: str, *args: Any, **given: Any) -> Any:
    """Look the function up when it is called: a test may replace it."""
    return getattr(fake, function)(*args, **given)


@pytest.fixture(scope="session")
def both() -> list[sealing_keys.SealingKey]:
    """Two keys, short ones, the first the newer."""
    original = sealing_keys.KEY_BITS
    sealing_keys.KEY_BITS = 2048
    try:
        now = datetime.datetime.now(datetime.UTC)
        return [
            sealing_keys.make_key(now=now),
            sealing_keys.make_key(now=now - datetime.timedelta(days=30)),
        ]
    finally:
        sealing_keys.KEY_BITS = original


@pytest.fixture
def checkout(folder: Path, both: list[sealing_keys.SealingKey]) -> Path:
    """The Elysium repository with its three deadlocks, its certificate, and the keys beside it."""
    root = folder / "repo"
    files = elysiumrepo.deadlocked(both[0])
    files["etc/certs/pub-sealed-secrets.pem"] = both[0].certificate_pem
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "keys.yaml").write_text(keys_of(*both))
    (folder / "other.yaml").write_text(keys_of(both[1]))
    return root
