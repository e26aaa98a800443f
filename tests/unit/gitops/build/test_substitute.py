"""Substitution as Flux does it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.gitops.build import substitute

VALUES = {
    "name": "kyrion",
    "path": "/home/bozo/ideas/thoughts.for.today",
    "file": "bash.string.txt",
    "dir": "path/to/file",
    "abc": "abcABC123ABCabc",
    "upper": "ABC",
    "empty": "",
    "n": "3",
    "uml": "ß-ä",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain $name {name} $", "plain $name {name} $"),
        ("${name}", "kyrion"),
        ("a${name}b${name}", "akyrionbkyrion"),
        ("${missing}", ""),
        ("${missing:=word}", "word"),
        ("${missing:-word}", "word"),
        ("${missing=word}", "word"),
        ("${missing:-}", ""),
        ("${empty:=word}", "word"),
        ("${name:=word}", "kyrion"),
        ("${missing:=pre-${name}-post}", "pre-kyrion-post"),
        ("${missing:=${name^^}}", "KYRION"),
        ("$${name}", "${name}"),
        ("a$$b", "a$b"),
        ("$$$${name}", "$${name}"),
        ("$$${name}", "$kyrion"),
        ("${name}$${a$${name}$name${name}", "kyrion${a${name}$namekyrion"),
        ("something $${var=${name}}", "something ${var=kyrion}"),
        ("${#name}", "6"),
        ("${#uml}", "5"),
        ("${name^}", "Kyrion"),
        ("${name^^}", "KYRION"),
        ("${upper,}", "aBC"),
        ("${upper,,}", "abc"),
        ("${uml^^}", "ß-Ä"),
        ("${path:11}", "ideas/thoughts.for.today"),
        ("${path:11:5}", "ideas"),
        ("${name:0:3}", "kyr"),
        ("${name:-3}", "kyrion"),
        ("${name: -3}", "kyrion"),
        ("${name:99}", ""),
        ("${name:2:99}", "rion"),
        ("${name:${n}}", "ion"),
        ("${file#*.}", "string.txt"),
        ("${file##*.}", "txt"),
        ("${file%.*}", "bash.string"),
        ("${file%%.*}", "bash"),
        ("${dir#*/}", "to/file"),
        ("${dir##*/}", "file"),
        ("${path#*/}", "home/bozo/ideas/thoughts.for.today"),
        ("${name#xyz}", "kyrion"),
        ("${abc/abc/xyz}", "xyzABC123ABCabc"),
        ("${abc//abc/xyz}", "xyzABC123ABCxyz"),
        ("${abc/#abc/XYZ}", "XYZABC123ABCabc"),
        ("${abc/%abc/XYZ}", "abcABC123ABCXYZ"),
        ("${abc/%abc/}", "abcABC123ABCabc"),
        ("${file/./}", "bashstring.txt"),
        (r"${dir/\//-}", "path-to/file"),
        (r"${dir//\//-}", "path-to-file"),
        ("\\\\x ${name}", "\\\\x kyrion"),
        ("${abc//abc/${name}}", "kyrionABC123ABCkyrion"),
    ],
)
def test_expressions(text: str, expected: str) -> None:
    assert substitute.evaluate(text, VALUES.get) == expected


@pytest.mark.parametrize(
    "text",
    [
        "${",
        "${}",
        "${name",
        "${name-word}",
        "${name!x}",
        "a ${name:=word",
        "${name:}",
        "${name#}",
        "${a b}",
        "${name/x}",
        "${name:0:}",
    ],
)
def test_what_flux_refuses(text: str) -> None:
    with pytest.raises(substitute.SubstitutionError) as caught:
        substitute.evaluate(text, VALUES.get)
    assert caught.value.position == text.index("${")


def test_line_breaks_go() -> None:
    assert substitute.clean({"a": "b\n", "c": "d\ne"}) == {"a": "b", "c": "de"}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text("ab{}:$-/#", max_size=30))
def test_text_without_an_opening_stays(text: str) -> None:
    text = text.replace("$", "")
    assert substitute.evaluate(text, VALUES.get) == text


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text("ab{}:$-/#^,= ", max_size=30))
def test_never_anything_but_its_own_error(text: str) -> None:
    try:
        substitute.evaluate(text, VALUES.get)
    except substitute.SubstitutionError as error:
        assert 0 <= error.position < len(text)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text("ab{}:$-/# \n", max_size=30))
def test_escaping_keeps_any_text(text: str) -> None:
    assert substitute.evaluate(text.replace("$", "$$"), VALUES.get) == text
