"""JSON that is damaged, or that Python cannot hold: each reader ends with an error of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provision import errors, safejson
from provision.artifacts import pins
from provision.engine import api
from provision.engine.state import checkpoint, lock, stacks
from provision.fileio import transaction
from provision.gitops.sealing import gotemplate
from provision.provider.media import files as media_files

DAMAGED = {
    "deep": b"[" * 100_000,
    "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "digits": b'{"version": ' + b"1" * 5000 + b"}",
    "infinite": b'{"startTime": 1e999, "version": 1e999}',
    "cut": b'{"a": ',
    "no text": b"\xff\xfe\x00",
    "empty": b"",
}
CASES = pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)


@pytest.mark.parametrize("kind", [kind for kind in DAMAGED if kind != "infinite"])
def test_it_is_a_decode_error_that_quotes_nothing(kind: str) -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        safejson.loads(DAMAGED[kind])
    assert "111" not in str(caught.value)


def _state(content: bytes, _folder: Path) -> Any:
    return checkpoint.parse(content.decode("utf-8", "replace"), "state.json", "p", "s")


def _media(content: bytes, _folder: Path) -> Any:
    return media_files.Before.parse(content.decode("utf-8", "replace"))


def _locks(content: bytes, folder: Path) -> Any:
    (folder / "a.json").write_bytes(content)
    return lock.held(folder)


def _history(content: bytes, folder: Path) -> Any:
    ref = api.StackRef(root=folder, project="p", stack="s", backend="file://.")
    place = folder / ".pulumi" / "history" / "p" / "s"
    place.mkdir(parents=True)
    (place / "s-1.history.json").write_bytes(content)
    return stacks.history(ref)


def _pins(content: bytes, folder: Path) -> Any:
    (folder / "pins.json").write_bytes(content)
    return pins.read(folder / "pins.json")


def _switch(content: bytes, folder: Path) -> Any:
    (folder / "record").write_bytes(content)
    return transaction._read(folder / "record")


@CASES
@pytest.mark.parametrize("read", [_state, _media, _locks, _history, _pins, _switch])
def test_a_reader_ends_with_an_error_of_ours(
    read: Callable[[bytes, Path], Any], damaged: bytes, tmp_path: Path
) -> None:
    try:
        read(damaged, tmp_path)
    except errors.ElysiumError as error:
        assert "111" not in str(error).replace(str(tmp_path), "")


GROWS = (
    '{{ repeat 3000000 "x" }}',
    '{{ repeat 2000 (repeat 2000 "x") }}',
    '{{ repeat 999999999999999999 "x" }}',
    '{{ indent 3000000 "x" }}',
    '{{ nindent 999999999999999999 "x" }}',
    '{{ replace "x" "' + "y" * 2000 + '" (repeat 2000 "x") }}',
    "{{ " + '"' + "x" * 2_000_000 + '"' + " | quote" * 3 + " | b64enc" * 30 + " }}",
)


@pytest.mark.parametrize("text", GROWS, ids=range(len(GROWS)))
def test_a_template_that_makes_more_than_a_secret_holds_is_an_error(text: str) -> None:
    with pytest.raises(gotemplate.TemplateError, match="more than 2 MiB"):
        gotemplate.render(text, {})


@pytest.mark.parametrize("text", [r'{{ "\q" }}', r'{{ "\x41" }}', "{{ " + "1" * 5000 + " }}"])
def test_a_literal_that_is_not_known_is_an_error_of_the_template(text: str) -> None:
    with pytest.raises(gotemplate.TemplateError):
        gotemplate.render(text, {})
