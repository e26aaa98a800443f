"""Inputs made of valid ones: bytes changed, and values of JSON and YAML replaced."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from hypothesis import strategies as st

from provision.gitops import documents
from tests.torture.fuzz.target import Target

PIECES: Final[tuple[bytes, ...]] = (
    *(b"\0", b"\n", b"\r\n", b"\t", b" ", b"\\", b'"', b"'", b"`", b"#", b"%", b"&a ", b"*a", b"@"),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b"(",
        b")",
        b"{{",
        b"}}",
        b"${",
        b"$",
        b"<<: *a",
        b"- ",
        b": ",
        b"? ",
    ),
    *(b"---\n", b"...\n", b"|\n", b">-\n", b"!!bool ", b"!!int ", b"!!binary ", b"!x ", b"=", b"+"),
    *(
        b"/",
        b"//",
        b"..",
        b"../",
        b".",
        b":",
        b";",
        b",",
        b"~",
        b"*",
        b"?",
        b"!",
        b"-",
        b"--",
        b"|",
    ),
    *(b"0", b"-1", b"1e999", b"NaN", b"Infinity", b"0x10", b"1_0", b"1:30", b"2020-01-01", b"null"),
    *(
        b"true",
        b"yes",
        b"None",
        b"9" * 20,
        b"9" * 5000,
        b"-" + b"9" * 400,
        b"\xd9\xa3",
        b"\xc2\xb2",
    ),
    *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\x1b[2K"),
    *(b"\xf0\x9d\x95\x8f", b"A" * 300, b"[" * 3000, b'{"a":' * 3000, b"- " * 300, b"(" * 3000),
    *(
        b"%s",
        b"%d%n",
        b"-----BEGIN CERTIFICATE-----\n",
        b"secure: x\n",
        b"v1:",
        b"\x7f",
        b"\v",
        b"\f",
    ),
)
VALUES: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**64, 10**30, 1.5, float("inf"), float("nan"), "", " "),
    *(
        "x",
        "\0",
        "true",
        "1",
        "-1",
        "null",
        "..",
        "/",
        "../../x",
        "a/b",
        "\u2028",
        "\ud83d",
        "é" * 300,
    ),
    *(
        [],
        {},
        [[]],
        [None],
        [{}],
        {"": None},
        {"a": {"b": []}},
        [0, "x"],
        "9" * 5000,
        "a\nb",
        "*",
        "=+",
    ),
    *(
        "2020-13-45T99:00:00Z",
        "2020-01-01T00:00:00",
        "AAAA",
        "====",
        {"secure": "v1:x:y"},
        {"1": 1},
    ),
)

_Edit = tuple[int, int, int, int]
_edits: Final = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.integers(0, 1 << 14),
        st.integers(0, 1 << 14),
        st.integers(0, (1 << 10) - 1),
    ),
    max_size=6,
)


def strategy(target: Target) -> st.SearchStrategy[bytes]:
    """Return the inputs for `target`: its seeds, changed in up to six places, and any bytes."""
    raw = st.builds(_changed, st.sampled_from(target.seeds), _edits, st.just(target.seeds))
    ways = [raw, st.binary(max_size=64)]
    if target.form != "text":
        values = [_values(seed, target.form) for seed in target.seeds]
        dump = _json if target.form == "json" else _yaml
        shaped = st.builds(_replaced, st.sampled_from(values), _edits)
        ways = [shaped.map(dump), raw, shaped.map(dump), ways[1]]
    return st.one_of(*ways)


def _changed(seed: bytes, edits: Sequence[_Edit], others: Sequence[bytes]) -> bytes:
    data = bytearray(seed)
    for kind, first, second, which in edits:
        at = first % (len(data) + 1)
        length = second % 24 + 1
        piece = PIECES[which % len(PIECES)]
        if kind == 0:
            data[at:at] = piece
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at : at + length] = piece
        elif kind == 3 and at < len(data):
            data[at] ^= 1 << (which % 8)
        elif kind == 4:
            data[at:at] = data[at : at + length * 4] * (which % 5 + 1)
        elif kind == 5:
            other = others[which % len(others)]
            start = second % (len(other) + 1)
            data[at : at + length] = other[start : start + length * 3]
        elif kind == 6:
            del data[at:]
    return bytes(data)


def _values(seed: bytes, form: str) -> list[Any]:
    if form == "json":
        return [json.loads(seed)]
    return documents.load_all(seed.decode())


def _json(values: list[Any]) -> bytes:
    return json.dumps(values[0]).encode()


def _yaml(values: list[Any]) -> bytes:
    return "---\n".join(json.dumps(value) + "\n" for value in values).encode()


def _replaced(values: list[Any], edits: Sequence[_Edit]) -> list[Any]:
    """Return a copy of `values` with other values in some places, and with keys renamed or gone."""
    made = copy.deepcopy(values)
    for kind, first, second, which in edits:
        places = list(_places(made))
        container, key = places[first % len(places)]
        value = copy.deepcopy(VALUES[which % len(VALUES)])
        if kind <= 3:
            container[key] = value
        elif kind == 4:
            del container[key]
        elif kind == 5 and isinstance(container, dict):
            container[str(value)[:40]] = container.pop(key)
        else:
            container[key] = [container[key]] if second % 2 else {"a": container[key]}
        if not made:
            return [value]
    return made


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place below `value`, as a container and the key in it."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])
