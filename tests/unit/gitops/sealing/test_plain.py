"""Secrets in clear, read as kubeseal reads them; the contract tests ask kubeseal itself."""

from __future__ import annotations

import pytest

from provision import errors
from provision.gitops import documents
from provision.gitops.sealing import plain, sealed

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\n"


def values(text: str) -> dict[str, bytes]:
    problems: list[errors.Problem] = []
    (doc,) = plain.read(SECRET + text, "a.yaml", problems)
    found, wrong = plain.values(doc.obj)
    assert problems == [] and wrong == []
    return found


@pytest.mark.parametrize(
    ("written", "sealed"),
    [
        ("true", "true"), ("no", "false"), ("y", "true"), ("", ""), ("~", ""),
        ("0755", "493"), ("0123", "83"), ('"0123"', "0123"), ("08", "8"), ("1_000", "1000"),
        ("1e3", "1000"), ("1e6", "1e+06"), ("1.10", "1.1"), ("1e-7", "1e-07"), ("-0.0", "-0"),
        ("12345678901234567890", "12345678901234567890"),
        ("123456789012345678901234567890", "1.2345679e+29"),
        ("190:20:30.15", "190:20:30.15"), ("2001-01-01", "2001-01-01"), ("=", "="),
        (".inf", "+Inf"), ("-.inf", "-Inf"), (".nan", "NaN"), ("1e300", "+Inf"),
    ],
)  # fmt: skip
def test_a_plain_scalar_is_the_text_that_go_makes_of_it(written: str, sealed: str) -> None:
    assert values(f"stringData:\n  x: {written}\n") == {"x": sealed.encode()}


def test_line_breaks_in_base64_and_values_that_are_null() -> None:
    text = "data:\n  a: |\n    YWJj\n    ZGVm\n  b:\n  c: ''\n  1: YQ==\nstringData:\n  c: over\n"
    assert values(text) == {"a": b"abcdef", "b": b"", "c": b"over", "1": b"a"}


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("stringData: {a: [b]}", "stringData.a", "not a list or a map"),
        ("stringData: {a: {b: c}}", "stringData.a", "not a list or a map"),
        ("data: {a: 1234}", "data.a", "put it into quotes"),
        ("data: {a: true}", "data.a", "put it into quotes"),
        ("data: {a: 'YW Jj'}", "data.a", "the value is not base64"),
        ("data: {a: 'ü'}", "data.a", "the value is not base64"),
        ("data: text", "data", "a map is expected"),
    ],
)
def test_what_is_no_text_is_refused(text: str, key: str, words: str) -> None:
    (doc,) = plain.read(SECRET + text + "\n", "a.yaml", [])
    found, problems = plain.values(doc.obj)
    assert found == {}
    assert problems[0].key == key and words in problems[0].message


def test_every_document_and_every_item_is_read() -> None:
    second = SECRET.replace("name: a", "name: c")
    items = "kind: List\nitems:\n- kind: Secret\n  metadata: {name: d}\n- kind: ConfigMap\n"
    problems: list[errors.Problem] = []
    found = plain.read(f"{SECRET}---\r\n---\n{second}---\n{items}", "a.yaml", problems)
    assert [one.obj["metadata"]["name"] for one in found] == ["a", "c", "d"]
    assert [one.where for one in found] == ["a.yaml:1", "a.yaml:6", "a.yaml:10"]
    assert str(problems[0]) == "a.yaml:10: a Secret is expected, not ConfigMap"


@pytest.mark.parametrize("text", ["y", "N", "1e3", "08", "0o17", "1_0.5", ".5", "-1e+3"])
def test_a_text_that_go_would_take_for_something_else_is_written_in_quotes(text: str) -> None:
    assert documents.dump({"a": text}) == f"a: '{text}'\n"
    assert plain.read(f"kind: Secret\na: {text}\n", "", [])[0].obj["a"] != text


def test_type_and_immutable_are_what_the_api_takes(sealing_key) -> None:
    def sealed_with(line: str) -> dict:
        (doc,) = plain.read(f"{SECRET}{line}\nstringData: {{a: b}}\n", "a.yaml", [])
        return sealed.seal(doc.obj, sealing_key.certificate_pem)["spec"]["template"]

    assert sealed_with("type: 5")["type"] == "5"
    assert sealed_with("immutable: yes")["immutable"] is True
    for line, key in (("immutable: 'true'", "immutable"), ("type: [a]", "type")):
        with pytest.raises(errors.GitOpsError) as caught:
            sealed_with(line)
        assert [problem.key for problem in caught.value.problems] == [key]
