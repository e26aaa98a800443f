"""Property values: marks, state encoding, ciphertexts, rendering."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision import crypter, errors
from provision.engine.state import values
from provision.secret import Secret

SECRET = values.Sealed({"deep": [1, values.Sealed("inner"), None]})


@pytest.fixture(scope="module")
def crypt() -> Any:
    return crypter.PassphraseCrypter.new(Secret("x"))


def plain_json() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5)
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=4), inner, max_size=3)
            | inner.map(values.Sealed)
        ),
        max_leaves=8,
    )


@given(value=plain_json())
def test_what_is_written_is_read_again(value: Any) -> None:
    vault = values.Vault(lambda: KEY)
    assert values.from_state(values.to_state(value, vault, "p"), vault, "p") == value


KEY = crypter.PassphraseCrypter.new(Secret("k"))


def test_form_of_a_secret(crypt: Any) -> None:
    vault = values.Vault(lambda: crypt)
    found = values.to_state(SECRET, vault, "p")
    assert found[values.SIGNATURE] == values.SEALED_SIGNATURE
    inside = json.loads(crypt.decrypt(found["ciphertext"]))
    assert inside["deep"][1] == {
        values.SIGNATURE: values.SEALED_SIGNATURE,
        "plaintext": '"inner"',
    }
    assert values.to_state(values.Sealed("x"), vault, "q")["ciphertext"] != found["ciphertext"]
    assert crypt.decrypt(values.to_state(values.Sealed("x"), vault, "q")["ciphertext"]) == '"x"'


def test_plaintext_secrets_of_an_export_are_read(crypt: Any) -> None:
    vault = values.Vault(lambda: crypt)
    raw = {values.SIGNATURE: values.SEALED_SIGNATURE, "plaintext": '{"a":1}'}
    assert values.from_state(raw, vault, "p") == values.Sealed({"a": 1})


def test_ciphertexts_are_kept_by_place_and_text(crypt: Any) -> None:
    first = values.Vault(lambda: crypt)
    raw = values.to_state({"a": values.Sealed("x"), "b": values.Sealed("x")}, first, "p")
    assert raw["a"] != raw["b"]
    again = values.Vault(lambda: crypt)
    read = values.from_state(raw, again, "p")
    assert values.to_state(read, again, "p") == raw
    assert values.to_state({"a": values.Sealed("y")}, again, "p")["a"] != raw["a"]


def test_the_order_of_keys_is_nothing_that_changed(crypt: Any) -> None:
    """Maps that come over the wire have none; a file of earlier may have had any."""
    text = '{"b":1,"a":{"d":2,"c":3}}'
    known = {values.SIGNATURE: values.SEALED_SIGNATURE, "ciphertext": crypt.encrypt(text)}
    vault = values.Vault(lambda: crypt)
    assert values.from_state(known, vault, "p") == values.Sealed(json.loads(text))
    again = values.Sealed({"a": {"c": 3, "d": 2}, "b": 1})
    assert values.to_state(again, vault, "p") == known
    fresh = values.to_state(again, vault, "q")
    assert crypt.decrypt(fresh["ciphertext"]) == '{"a":{"c":3,"d":2},"b":1}'
    assert list(values.to_state({"b": 1, "a": {"d": 2, "c": 3}}, vault, "p")) == ["a", "b"]


def test_the_vault_is_not_opened_without_a_secret() -> None:
    def never() -> Any:
        raise AssertionError

    vault = values.Vault(never)
    assert values.from_state(values.to_state({"a": [1]}, vault, "p"), vault, "p") == {"a": [1]}


def test_unknowns_are_not_saved(crypt: Any) -> None:
    for value in (values.UNKNOWN, [values.UNKNOWN], values.Sealed(values.UNKNOWN)):
        with pytest.raises(errors.StackError, match="unknown"):
            values.to_state(value, values.Vault(lambda: crypt), "p")


def test_rendering_hides() -> None:
    text = values.render({"a": SECRET, "b": values.UNKNOWN, "c": [values.Sealed("zzz")]})
    assert text == '{"a": "[secret]", "b": "[unknown]", "c": ["[secret]"]}'
    assert "zzz" not in repr(values.Sealed("zzz"))
    assert len(values.render("x" * 500)) == 120


def test_exposed() -> None:
    value = {"a": values.Sealed("x"), "b": values.Sealed([1]), "c": values.UNKNOWN}
    assert values.exposed(value, show_secrets=False) == {
        "a": Secret("x"),
        "b": Secret("[1]"),
        "c": None,
    }
    assert values.exposed(value, show_secrets=True) == {"a": "x", "b": [1], "c": None}


def test_questions() -> None:
    assert values.has_unknown(values.Sealed([values.UNKNOWN]))
    assert not values.has_unknown(SECRET)
    assert values.plain(SECRET) == {"deep": [1, "inner", None]}
