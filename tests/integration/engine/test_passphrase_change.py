"""Another passphrase: everything opens with it, nothing with the old one, killed anywhere."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pulumi
import pytest
from engine_provider import Thing

from provision import config_file, crypter, errors
from provision.config_file import passphrase
from provision.engine import api
from provision.engine.state import rekey
from provision.fileio import atomic, transaction
from provision.operations.rotation import passphrase as rotation
from provision.secret import Secret

OLD, NEW = Secret("the old one"), Secret("the new one")
CANARY = "canary-77c1ab"
CONFIG = """\
# what a user wrote stays
encryptionsalt: {salt}
config:
  elysium:nodes:
    - name: kyrion   # the machine
      host: 192.168.1.5
      password: {{secure: {one}}}
  other:key:
    secure: "{two}"
"""
TOKEN = re.compile(r"v1:[A-Za-z0-9+/]+=*:[A-Za-z0-9+/]+=*(?![A-Za-z0-9+/=:])")


def program(value: str) -> Any:
    def run() -> None:
        secret = pulumi.Output.secret(CANARY)
        a = Thing("a", token=secret, value=value, nested={"deep": [secret]})
        pulumi.export("token", a.token)

    return run


@dataclasses.dataclass
class Lab:
    """A project folder with a stack that ran twice, and the user's own passphrase file."""

    bench: Any
    root: Path

    @property
    def ref(self) -> api.StackRef:
        return api.StackRef(root=self.root, project="proj", stack="dev", backend="file://./state")

    @property
    def config(self) -> Path:
        return self.root / "Pulumi.dev.yaml"

    @property
    def kept(self) -> Path:
        return config_file.passphrase_file(self.root, "dev")

    def rotate(self, new: Secret = NEW, environ: dict[str, str] | None = None) -> Any:
        old = config_file.find_passphrase(self.root, "dev", environ or {})
        return rotation.rotate(self.ref, old, new, environ or {})

    def opens(self, with_: Secret) -> dict[str, bool]:
        """Return, for each file that holds a salt, whether `with_` opens all of it."""
        found: dict[str, bool] = {}
        for path in self.files():
            text = path.read_text()
            salts = rekey.salts_of(text)
            if not salts:
                continue
            try:
                opened = [crypter.PassphraseCrypter.from_salt(salt, with_) for salt in salts]
                for token in TOKEN.findall(re.sub(r"v1:[^:]+:v1:[^\s\"]+", "", text)):
                    opened[0].decrypt(token)
            except errors.StackError:
                found[str(path)] = False
            else:
                found[str(path)] = True
        return found

    def files(self) -> list[Path]:
        """Return every file of the project but locks, and the passphrase file."""
        found = [p for p in self.root.rglob("*") if p.is_file() and "/locks/" not in str(p)]
        return [p for p in found if p.suffix != ".lock"]

    def secrets(self) -> list[str]:
        """Return the secrets as a command would read them now."""
        project = config_file.find_project(self.root)
        opened = config_file.stack_crypter(project, "dev", {})()
        text = self.config.read_text()
        ciphertexts = TOKEN.findall(text.partition("config:")[2])
        used = config_file.find_passphrase(self.root, "dev", {})
        engine = api.open_engine("embedded", self.ref, used, {})
        return [*map(opened.decrypt, ciphertexts), str(engine.outputs(show_secrets=True)["token"])]


@pytest.fixture
def lab(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Lab:
    root = bench.root / "lab"
    root.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(bench.root / "home"))
    bench.root, bench.passphrase = root, OLD
    made = crypter.PassphraseCrypter.new(OLD)
    (root / "Pulumi.yaml").write_text(
        "name: proj\nruntime: python\nbackend:\n  url: file://./state\n"
    )
    one, two = made.encrypt("first"), made.encrypt("second")
    found = Lab(bench=bench, root=root)
    found.config.write_text(CONFIG.format(salt=made.salt, one=one, two=two))
    found.config.chmod(0o640)
    found.kept.parent.mkdir(parents=True)
    found.kept.write_text(OLD.reveal() + "\n")
    found.kept.chmod(0o600)
    bench.up(program("1"))
    bench.up(program("2"))
    return found


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory where there is one: these tests sync many small files."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path_factory.mktemp("lab")
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


EXPECTED = ["first", "second", CANARY]


def test_everything_opens_with_the_new_one_and_nothing_with_the_old(lab: Lab) -> None:
    salted = set(lab.opens(OLD))
    names = {Path(p).name for p in salted}
    assert {"Pulumi.dev.yaml", "dev.json", "dev.json.bak"} <= names
    assert len(salted) >= 6, "backups and history are among them"
    shape = TOKEN.sub("", re.sub(r"v1:\S+", "", lab.config.read_text()))

    done = lab.rotate()

    assert lab.opens(NEW) == dict.fromkeys(salted, True)
    assert lab.opens(OLD) == dict.fromkeys(salted, False)
    assert done.left == () and done.kept_in == lab.kept
    assert lab.kept.read_text() == NEW.reveal() + "\n"
    assert lab.kept.stat().st_mode & 0o777 == 0o600
    assert lab.config.stat().st_mode & 0o777 == 0o640
    assert lab.secrets() == EXPECTED
    assert TOKEN.sub("", re.sub(r"v1:\S+", "", lab.config.read_text())) == shape
    with pytest.raises(errors.StackError, match="passphrase is wrong"):
        api.open_engine("embedded", lab.ref, OLD, {}).outputs()


def test_the_next_run_changes_nothing_and_goes_on(lab: Lab) -> None:
    lab.rotate()
    lab.bench.passphrase = NEW
    before = (lab.root / "state/.pulumi/stacks/proj/dev.json").read_bytes()
    assert not lab.bench.up(program("2")).changed
    assert (lab.root / "state/.pulumi/stacks/proj/dev.json").read_bytes() == before
    assert lab.bench.up(program("3")).changed


def test_no_file_holds_the_passphrase_but_its_own(lab: Lab) -> None:
    lab.rotate()
    for path in lab.files():
        assert NEW.reveal().encode() not in path.read_bytes(), path


class _Lines:
    """Follows the lines of the modules that change files; ends the process before number `at`."""

    def __init__(self, at: int = 0) -> None:
        self._at = at
        self._names = {transaction.__file__, rotation.__file__, atomic.__file__}
        self.seen: list[str] = []

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename not in self._names:
            return None
        if event == "line":
            self.seen.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
            if len(self.seen) == self._at:
                os._exit(9)
        return self


def _child(lab: Lab, lines: _Lines, seen: Path) -> int:
    """Rotate in a child that `lines` may end; what it saw goes to `seen`."""
    pid = os.fork()
    if pid == 0:
        try:
            sys.settrace(lines)
            lab.rotate()
            sys.settrace(None)
            seen.write_text(json.dumps(lines.seen))
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a child never comes back
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _points(lines: list[str]) -> list[int]:
    """Return where each line of the code is run for the first and the last time."""
    found = set[int]()
    for line in set(lines):
        runs = [i for i, each in enumerate(lines, 1) if each == line]
        found |= {runs[0], runs[-1]}
    return sorted(found)


def test_killed_before_any_line_the_stack_opens_with_one_known_passphrase(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a kill takes nothing from the page cache
    kept, home, lines = tmp_path / "kept", lab.kept.parents[3], tmp_path / "lines"
    shutil.copytree(lab.root, kept / "lab", symlinks=True)
    shutil.copytree(home, kept / "home")

    def restore() -> None:
        for target, name in ((lab.root, "lab"), (home, "home")):
            shutil.rmtree(target)
            shutil.copytree(kept / name, target, symlinks=True)

    assert _child(lab, _Lines(), lines) == 0
    points = _points(json.loads(lines.read_text()))
    assert len(points) > 100
    seen = set[str]()
    for at in points:
        restore()
        assert _child(lab, _Lines(at), lines) == 9
        record = passphrase.switch_record(lab.root, "dev")
        state = json.loads(record.read_text())["state"] if record.exists() else "none"

        assert lab.secrets() == EXPECTED, at  # what any next command does

        inside = lab.kept.read_text().strip()
        opens_new, opens_old = set(lab.opens(NEW).values()), set(lab.opens(OLD).values())
        assert (inside, opens_new, opens_old) in (
            (OLD.reveal(), {False}, {True}),
            (NEW.reveal(), {True}, {False}),
        ), at
        if state != "none":
            assert inside == (NEW if state == "committed" else OLD).reveal(), at
        seen.add(f"{state}: {inside}")
        assert not record.exists(), at
        assert not [p for p in (*lab.root.rglob("*"), *home.rglob("*")) if "switching" in p.name]
    assert seen == {
        "none: the old one",
        "preparing: the old one",
        "committed: the new one",
        "none: the new one",
    }


def test_after_a_kill_the_rotation_can_be_done_again(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = transaction._stage
    count = 0

    def stage(wanted: transaction.NewFile) -> None:
        nonlocal count
        count += 1
        if count == 3:
            os._exit(9)
        real(wanted)

    monkeypatch.setattr(transaction, "_stage", stage)
    assert _child(lab, _Lines(), tmp_path / "lines") == 9
    monkeypatch.setattr(transaction, "_stage", real)
    lab.rotate()
    assert set(lab.opens(OLD).values()) == {False}
    assert lab.secrets() == EXPECTED


def test_what_another_wrote_after_the_decision_is_not_lost(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "_put", lambda *_: os._exit(9))
    assert _child(lab, _Lines(), tmp_path / "lines") == 9
    monkeypatch.undo()
    path = lab.root / "state/.pulumi/stacks/proj/dev.json"
    path.write_text(path.read_text() + "\n")
    with pytest.raises(errors.StackError, match="was changed after") as caught:
        passphrase.settle(lab.root, "dev")
    assert "keep one of them" in caught.value.hint


def test_a_file_named_by_the_environment_is_replaced_too(lab: Lab) -> None:
    named = lab.root.parent / "words"
    named.write_text(OLD.reveal())
    lab.kept.unlink()
    environ = {"PULUMI_CONFIG_PASSPHRASE_FILE": str(named)}
    assert lab.rotate(environ=environ).kept_in == named
    assert named.read_text().strip() == NEW.reveal()
    assert not lab.kept.exists()


def test_a_passphrase_of_the_environment_is_the_users_to_change(lab: Lab) -> None:
    done = lab.rotate(environ={"PULUMI_CONFIG_PASSPHRASE": OLD.reveal()})
    assert done.kept_in is None
    assert lab.kept.read_text().strip() == OLD.reveal()
    assert set(lab.opens(NEW).values()) == {True}


def test_a_file_that_opens_another_stack_too_is_not_changed(lab: Lab) -> None:
    other = lab.root / "Pulumi.second.yaml"
    other.write_text(f"encryptionsalt: {crypter.PassphraseCrypter.new(OLD).salt}\n")
    named = lab.root.parent / "words"
    named.write_text(OLD.reveal())
    with pytest.raises(errors.StackError, match="stack second"):
        lab.rotate(environ={"PULUMI_CONFIG_PASSPHRASE_FILE": str(named)})
    assert set(lab.opens(OLD).values()) == {True}


@pytest.mark.parametrize("words", ["", "  ", " a", "a\nb", OLD.reveal()])
def test_a_passphrase_that_will_not_do_is_refused(lab: Lab, words: str) -> None:
    with pytest.raises(errors.StackError, match="new passphrase"):
        lab.rotate(Secret(words))
    assert set(lab.opens(OLD).values()) == {True}


def test_a_backup_of_another_passphrase_is_left_and_named(lab: Lab) -> None:
    stray = lab.root / "state/.pulumi/backups/proj/dev/dev.1.json"
    foreign = crypter.PassphraseCrypter.new(Secret("a third one"))
    stray.write_text(json.dumps({"salt": foreign.salt, "x": foreign.encrypt("y")}))
    before = stray.read_bytes()
    assert lab.rotate().left == (stray,)
    assert stray.read_bytes() == before


def test_a_value_that_the_old_one_does_not_open_stops_it(lab: Lab) -> None:
    foreign = crypter.PassphraseCrypter.new(Secret("a third one"))
    text = lab.config.read_text()
    lab.config.write_text(text + f"  elysium:x: {{secure: {foreign.encrypt('y')}}}\n")
    with pytest.raises(errors.StackError, match=r"Pulumi\.dev\.yaml holds an encrypted value"):
        lab.rotate()
    assert lab.kept.read_text().strip() == OLD.reveal()


def test_a_locked_stack_is_left_alone(lab: Lab) -> None:
    with rekey.locked(lab.ref), pytest.raises(errors.StackError, match="is locked by"):
        lab.rotate()


def test_state_elsewhere_names_the_way(lab: Lab) -> None:
    ref = dataclasses.replace(lab.ref, backend="s3://bucket")
    with pytest.raises(errors.StackError, match="does not write") as caught:
        rotation.rotate(ref, OLD, NEW, {})
    assert "change-secrets-provider" in caught.value.hint
