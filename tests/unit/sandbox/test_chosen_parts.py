"""Which parts a sandbox is made of: the official releases, or programs built here."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http import server
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from provision import config, errors
from provision.artifacts import catalog
from provision.sandbox import build, lifecycle, official, requirements, services

BROKEN = errors.ArtifactError("the way out did not start", hint="look at its log")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[bool]:
    """Which starts there were: True for one with the releases. Nothing is really started."""
    starts: list[bool] = []

    def start(name: str, options: Any, say: Any, *, releases: bool) -> None:
        starts.append(releases)

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(requirements, "ensure", lambda say: None)
    monkeypatch.setattr(lifecycle, "_start", start)
    monkeypatch.setattr(lifecycle, "_clean", lambda name: False)
    return starts


def up(parts: services.Parts) -> list[str]:
    said: list[str] = []
    lifecycle.up("t-parts", lifecycle.Options(parts=parts), said.append)
    return said


def test_reachable_releases_are_taken(started: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "why_not", lambda releases: "")
    assert up("auto") == ["parts: the official releases"]
    assert started == [True]


def test_unreachable_ones_are_named_and_the_parts_built(
    started: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(official, "why_not", lambda releases: "no route")
    (said,) = up("auto")
    assert "built here" in said and "no route" in said
    assert started == [False]


def test_a_start_that_fails_is_followed_by_one_with_built_parts(
    started: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = lifecycle._start  # pyright: ignore[reportPrivateUsage]

    def start(name: str, options: Any, say: Any, *, releases: bool) -> Any:
        made = begin(name, options, say, releases=releases)
        if releases:
            raise BROKEN
        return made

    monkeypatch.setattr(official, "why_not", lambda releases: "")
    monkeypatch.setattr(lifecycle, "_start", start)
    assert BROKEN.summary in up("auto")[-1]
    assert started == [True, False]


def test_an_interrupted_start_builds_nothing(
    started: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(name: str, options: Any, say: Any, *, releases: bool) -> None:
        started.append(releases)
        raise errors.InterruptedByUser("waiting was interrupted", hint="run it again")

    monkeypatch.setattr(official, "why_not", lambda releases: "")
    monkeypatch.setattr(lifecycle, "_start", start)
    with pytest.raises(errors.InterruptedByUser):
        up("auto")
    assert started == [True]


@pytest.mark.parametrize(("parts", "releases"), [("official", True), ("built", False)])
def test_a_choice_asks_nobody(
    started: list[bool], monkeypatch: pytest.MonkeyPatch, parts: services.Parts, releases: bool
) -> None:
    monkeypatch.delattr(official, "why_not")
    assert up(parts) == []
    assert started == [releases]


@pytest.mark.parametrize(("parts", "real"), [("built", True), ("official", False)])
def test_a_sandbox_of_other_parts_is_not_given_out(
    started: list[bool], monkeypatch: pytest.MonkeyPatch, parts: services.Parts, real: bool
) -> None:
    """The one that runs is never replaced without being asked to."""
    there = SimpleNamespace(forge=object(), real_k3s=real)
    now = SimpleNamespace(healthy=True, sandbox=there)
    monkeypatch.setattr(lifecycle, "status", lambda name: now)
    with pytest.raises(errors.ElysiumError, match="other parts") as caught:
        up(parts)
    assert "--fresh" in caught.value.hint
    assert up("auto") == ["sandbox t-parts: is up"]
    assert started == []


# -- whether the releases answer ----------------------------------------------------------------


def test_a_folder_without_the_release_says_what_is_missing(tmp_path: Path) -> None:
    assert "sha256sum" in official.why_not(tmp_path)
    asset = catalog.k3s(config.K3s().version).asset(build.goarch())
    listing = tmp_path / asset.checksums.removeprefix("https://").replace("%2B", "+")
    listing.parent.mkdir(parents=True)
    listing.write_text("")
    assert official.why_not(tmp_path) == ""


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and answers none."""
    held = threading.Event()

    class Silent(server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            held.wait(30)

    with server.ThreadingHTTPServer(("127.0.0.1", 0), Silent) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        held.set()
        listening.shutdown()


def test_a_host_that_says_nothing_is_given_up(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = catalog.Asset(url=f"{silent}/k3s", checksums=f"{silent}/sums.txt")
    made = catalog.Artifact(name="k3s", version="v1", assets={catalog.ANY: asset})
    monkeypatch.setattr(catalog, "k3s", lambda version: made)
    monkeypatch.setattr(official, "ANSWER", 0.2)
    assert f"{silent}/sums.txt does not answer within 0.2 s" in official.why_not()
