"""Building with the real Go: a module of a few lines instead of Kubernetes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from provision import errors
from provision.sandbox import build, files, goparts, jobs

pytestmark = pytest.mark.sandbox
MAIN = 'package main\n\nimport "fmt"\n\nvar VERSION = "none"\n\nfunc main() { fmt.Println(%s) }\n'


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small module in place of ours, a cache of its own; Go's own cache stays."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("GOCACHE", "GOMODCACHE"):
        value = jobs.run(("go", "env", name), what="Asking Go").strip()
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(goparts, "GOLANG", tmp_path / "golang")
    monkeypatch.setattr(goparts, "SETS", (goparts.STANDIN,))
    module = tmp_path / "golang"
    (module / "cmd/standin").mkdir(parents=True)
    (module / "go.mod").write_text("module example.invalid/box\n\ngo 1.21\n")
    (module / "go.sum").write_text("")
    main = module / "cmd/standin/main.go"
    main.write_text(MAIN % '"first"')
    return main


def _answer(parts: build.Parts) -> str:
    return subprocess.run([parts.bin / "standin"], capture_output=True, text=True).stdout.strip()


def test_what_is_built_is_said_and_built_once(source: Path) -> None:
    assert source.exists()
    said: list[str] = []
    parts = build.ensure(said.append)
    assert _answer(parts) == "first"
    assert said[0] == "standin 1/1"
    assert all(re.fullmatch(r"standin 1/1, \d+ packages compiled", x) for x in said[1:])
    spoken = len(said)
    assert parts.bin == build.bin_dir()
    before = (parts.bin / "standin").stat()
    assert build.ensure(said.append) == parts
    assert len(said) == spoken
    assert (parts.bin / "standin").stat().st_mtime_ns == before.st_mtime_ns


def test_changed_sources_are_another_entry_of_the_cache(source: Path) -> None:
    first = build.ensure()
    source.write_text(MAIN % '"second"')
    second = build.ensure()
    assert (_answer(first), _answer(second)) == ("first", "second")


def test_a_failed_build_shows_the_compiler_and_publishes_nothing(source: Path) -> None:
    source.write_text(MAIN % "undefinedName")
    with pytest.raises(errors.ElysiumError) as caught:
        build.ensure()
    assert "standin" in caught.value.summary
    assert "undefinedName" in caught.value.detail
    assert "internal/" not in caught.value.detail  # the progress of the build is no error
    assert not build.bin_dir().exists()
    source.write_text(MAIN % '"repaired"')
    assert _answer(build.ensure()) == "repaired"


def test_what_a_killed_build_left_is_no_hindrance(source: Path) -> None:
    assert source.exists()
    key = goparts.key_of(goparts.STANDIN, build.goarch())
    left = files.cache_root() / f".building-standin-{key}"
    left.mkdir(parents=True)
    (left / "standin").write_text("half")
    assert _answer(build.ensure()) == "first"


def test_two_at_once_build_once(source: Path) -> None:
    assert source.exists()
    said: list[str] = []
    jobs.together({name: lambda: build.ensure(said.append) for name in ("one", "two")})
    assert len([line for line in said if line == "standin 1/1"]) == 1
