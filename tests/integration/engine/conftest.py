"""What engine tests share: a stack on disk, a world, and short ways to run programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_SUPPORT = Path(__file__).parents[2] / "support"
if str(_SUPPORT) not in sys.path:
    sys.path.append(str(_SUPPORT))

import engine_provider as support  # noqa: E402 - found where it lies

from provision import crypter  # noqa: E402
from provision.engine import api, events  # noqa: E402
from provision.engine.state import integrity  # noqa: E402
from provision.secret import Secret  # noqa: E402

PASSPHRASE = Secret("test passphrase")


@dataclass
class Bench:
    """One stack and its world."""

    root: Path
    world: Any = field(default_factory=lambda: support.World())
    events: list[events.Event] = field(default_factory=list)
    passphrase: Secret = PASSPHRASE

    @property
    def path(self) -> Path:
        return self.root / "state/.pulumi/stacks/proj/dev.json"

    def engine(self) -> Any:
        ref = api.StackRef(root=self.root, project="proj", stack="dev", backend="file://./state")
        providers = {"mem": lambda: support.Memory(self.world)}
        return api.open_engine("embedded", ref, self.passphrase, providers)

    def run(self, operation: str, program: Callable[[], Any] | None, **options: Any) -> Any:
        """Run one operation; the events of this one are in `events`."""
        self.events = []
        self.world.calls.clear()
        method = getattr(self.engine(), operation)
        return method(program, options=api.Options(**options), on_event=self.events.append)

    def up(self, program: Callable[[], Any], **options: Any) -> Any:
        result = self.run("up", program, **options)
        self.require_valid()
        return result

    def preview(self, program: Callable[[], Any], **options: Any) -> Any:
        return self.run("preview", program, **options)

    def destroy(self, **options: Any) -> Any:
        return self.run("destroy", None, **options)

    def document(self) -> dict[str, Any]:
        return json.loads(self.path.read_text())

    def require_valid(self) -> None:
        assert integrity.check(self.document()) == []

    def resources(self) -> dict[str, dict[str, Any]]:
        """Living resources of the state by name (the stack and providers too)."""
        found = self.document()["checkpoint"]["latest"].get("resources", [])
        return {each["urn"].split("::")[-1]: each for each in found if not each.get("delete")}

    def ops(self) -> dict[str, str]:
        """What was planned, by name, without the stack itself."""
        planned = [each for each in self.events if isinstance(each, events.ResourcePlanned)]
        return {each.name: each.op for each in planned if each.type != "pulumi:pulumi:Stack"}

    def said(self) -> str:
        return "\n".join(
            each.message for each in self.events if isinstance(each, events.Diagnostic)
        )


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive keys with few rounds: strength is not what is tested here."""
    monkeypatch.setattr(crypter, "_ROUNDS", 1000)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(root=tmp_path)


@pytest.fixture
def make_bench() -> type[Bench]:
    """Give the class itself: a property test needs a stack of its own for every example."""
    return Bench
