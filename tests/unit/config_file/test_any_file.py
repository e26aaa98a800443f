"""Whatever the file holds, reading it ends in a configuration or a `ConfigError`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision import config_file, errors
from provision.config_file import document, paths, schema

NAMES = [part for key in schema.every() for part in key.path if part not in ("[]", "*")]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["v1.36.3+k3s1", "azureblob", "kyrion", "v1:a:b", "1m"]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from([*NAMES, "secure"]) | st.text(max_size=8), inner, max_size=5
        ),
    ),
    max_leaves=25,
)
keys = st.sampled_from([f"elysium:{n}" for n in schema.top_level()]) | st.text(max_size=12)
quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Refuses:
    def encrypt(self, text: str) -> str:
        return text

    def decrypt(self, text: str) -> str:
        if text.startswith("v1:"):
            return text
        raise errors.StackError("malformed", operation="decrypt")


def read(path: Path) -> None:
    with contextlib.suppress(errors.ConfigError):
        config_file.read(path, Refuses)


@quick
@given(raw=st.binary(max_size=300))
def test_any_bytes(tmp_path, raw):
    path = tmp_path / "Pulumi.kyrion.yaml"
    path.write_bytes(raw)
    read(path)


@quick
@given(text=st.text(alphabet="config:elysum-nodk3 \n\t\"'{}[]&*!|>%@#,?<0~", max_size=120))
def test_any_yaml_like_text(tmp_path, text):
    path = tmp_path / "Pulumi.kyrion.yaml"
    path.write_text("config:\n  elysium:nodes: " + text, encoding="utf-8")
    read(path)


@quick
@given(block=st.dictionaries(keys, values, max_size=6))
def test_any_structure(tmp_path, block):
    path = tmp_path / "Pulumi.kyrion.yaml"
    _dump(path, {"config": block})
    read(path)


@quick
@given(
    key=st.text(max_size=20) | st.sampled_from([k.name for k in schema.every()]), value=st.text()
)
def test_any_edit_keeps_a_valid_file_valid(tmp_path, key, value):
    path = tmp_path / "Pulumi.kyrion.yaml"
    new = config_file.NewStack(cluster="kyrion", host="h", owner="o", repository="r")
    path.write_text(config_file.render_new(new), encoding="utf-8")
    with contextlib.suppress(errors.ConfigError):
        config_file.set_value(path, key.replace("[]", "[0]"), value)
    config_file.load(path, None)


@quick
@given(path=st.lists(st.text(min_size=1, max_size=6) | st.integers(0, 99), min_size=1, max_size=5))
def test_key_paths_survive_being_written(path):
    whole: Any = ("k", *path)
    assert paths.parse(paths.text(whole)) == whole


def test_deep_nesting(tmp_path):
    path = tmp_path / "Pulumi.kyrion.yaml"
    for text in ("[" * 1000, "{a: " * 1000, "config:\n  elysium:k3s: " + "[" * 200 + "]" * 200):
        path.write_text(text)
        read(path)


def test_a_bomb_of_anchors_is_refused(tmp_path):
    path = tmp_path / "Pulumi.kyrion.yaml"
    lines = ["config:", "  elysium:k3s:", "    options:", "      a0: &a0 [x, x, x, x, x, x, x, x]"]
    lines += [f"      a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    path.write_text("\n".join(lines))
    with contextlib.suppress(errors.ConfigError):
        config_file.load(path, None)
        raise AssertionError("accepted")


def _dump(path: Path, value: Any) -> None:
    from ruamel.yaml import YAML

    with contextlib.suppress(Exception), path.open("w", encoding="utf-8") as file:
        YAML().dump(document.block(value), file)
