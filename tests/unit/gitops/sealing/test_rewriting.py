"""Changing sealed values in a text: the values change, and not a byte besides."""

from __future__ import annotations

import base64
import copy
import re
from dataclasses import dataclass

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from provision import errors
from provision.gitops import yamltext
from provision.gitops.sealing import rewriting

EOLS = ("\n", "\r\n")
STYLES = ("plain", "single", "double", "literal", "wrapped", "folded", "escaped")


@dataclass(frozen=True)
class Hole:
    """The place of a sealed value in a text; `text` is the value as it is written."""

    text: str


def written(value: str, style: str, indent: str, eol: str) -> list[str | Hole]:
    lines = [value[:24], value[24:]]
    match style:
        case "single":
            return ["'", Hole(value), "'"]
        case "double":
            return ['"', Hole(value), '"']
        case "escaped":
            return ['"', Hole(f"{lines[0]}\\{eol}{indent}{lines[1]}"), '"']
        case "literal":
            return [f"|-  # kept{eol}{indent}", Hole(value)]
        case "wrapped":
            return [f"|{eol}{indent}", Hole(f"{eol}{indent}".join(lines))]
        case "folded":
            return [f">-{eol}{indent}", Hole(value)]
        case _:
            return [Hole(value)]


def secret_values() -> st.SearchStrategy[str]:
    """Values that begin as those of real keys do, with the length of the session key."""
    return st.binary(min_size=30, max_size=60).map(lambda raw: encoded(b"\x02\0" + raw))


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


COMMENT = st.sampled_from(["", "  # why", " #", "   "])
ABOVE = st.sampled_from(["", "# above{eol}", "    # deep{eol}", "{eol}", "  {eol}"])
KEYS = st.lists(
    st.sampled_from(["token", '"quoted"', "'no'", "tls.crt", "a-b_c"]), max_size=4, unique=True
)


@st.composite
def sealed_documents(draw, eol: str, *, margin: str = "") -> list[str | Hole]:
    """One SealedSecret, as somebody may have written it."""
    pieces: list[str | Hole] = []

    def line(text: str, *more: str | Hole) -> None:
        pieces.append(draw(ABOVE).format(eol=eol))
        pieces.extend([margin + text, *more])
        # A comment after a block scalar would belong to it.
        block = any(isinstance(one, str) and one[:1] in "|>" for one in more)
        pieces.append(("" if block else draw(COMMENT)) + eol)

    pieces.append(f"apiVersion: bitnami.com/v1alpha1{eol}")
    line("kind: 'SealedSecret'")
    line("metadata:")
    line(f"  name: {draw(st.sampled_from(['n', 'anchored', '&name n']))}")
    line("spec:")
    first = draw(st.booleans())
    if first:
        line("  template: {metadata: {name: n}, data: {x: '{{ .token }}'}}")
    keys = draw(KEYS)
    if not keys or draw(st.integers(0, 3)) == 0:
        flow: list[str | Hole] = ["{"]
        for number, key in enumerate(keys):
            value = written(draw(secret_values()), draw(st.sampled_from(STYLES[:3])), "", eol)
            flow += [", " if number else " ", f"{key}: ", *value]
        line("  encryptedData: ", *flow, " }" if keys else "}")
    else:
        line("  encryptedData:")
        for key in keys:
            value = written(
                draw(secret_values()), draw(st.sampled_from(STYLES)), margin + "      ", eol
            )
            bare = re.sub(r"\W", "", key)
            anchor = draw(st.sampled_from(["", f"&v_{bare} "]))
            line(f"    {key}: {anchor}", *value)
            if anchor and draw(st.booleans()):
                line(f"    {bare}-again: *v_{bare}")
    if not first and draw(st.booleans()):
        line("  template:")
        line("    metadata: {name: n, labels: {a: &label b, c: *label}}")
    return pieces


@st.composite
def texts(draw) -> list[str | Hole]:
    """A file of manifests in pieces."""
    eol = draw(st.sampled_from(EOLS))
    pieces: list[str | Hole] = [draw(st.sampled_from(["", "\ufeff"]))]
    pieces.append(draw(st.sampled_from(["", f"---{eol}", f"# first{eol}---  # {{x}}{eol}"])))
    ends = ["", f"---{eol}", "---", f"{eol}{eol}", "# end"]
    kind = ""
    for number in range(draw(st.integers(1, 3))):
        if number:
            pieces.append(
                draw(st.sampled_from([f"---{eol}", f"--- # next{eol}", f"---{eol}---{eol}"]))
            )
        kind = draw(st.sampled_from(["sealed", "sealed", "other", "list", "nothing"]))
        match kind:
            case "sealed":
                pieces += draw(sealed_documents(eol))
            case "other":
                pieces.append(
                    f"kind: ConfigMap{eol}apiVersion: v1{eol}data:{eol}  # keep{eol}"
                    f"  a: yes   {eol}  b: .nan{eol}  c: |+{eol}    SealedSecret{eol}{eol}"
                )
            case "list":
                pieces += [f"apiVersion: v1{eol}kind: List{eol}items:{eol}- "]
                pieces += draw(sealed_documents(eol, margin="  "))
            case _:
                pieces.append(f"# nothing{eol}")
    if kind != "nothing":
        ends.append(f"...{eol}")
    pieces.append(draw(st.sampled_from(ends)))
    return pieces


def joined(pieces: list[str | Hole]) -> str:
    return "".join(one.text if isinstance(one, Hole) else one for one in pieces)


def reversed_values(obj: dict) -> dict:
    """The object with other values, one for each value."""
    made = copy.deepcopy(obj)
    made["spec"]["encryptedData"] = {
        key: encoded(b"\x02\0" + base64.b64decode(text)[::-1] * 2)
        for key, text in (obj["spec"]["encryptedData"] or {}).items()
    }
    return made


def meaning(text: str) -> list:
    """What the documents of a text say to another reader, sealed values without line breaks."""
    found = [one for one in yaml.safe_load_all(text) if one is not None]
    for doc in found:
        for obj in doc.get("items") or [doc]:
            if obj["kind"] == "SealedSecret":
                values = obj["spec"]["encryptedData"]
                obj["spec"]["encryptedData"] = {k: v.replace("\n", "") for k, v in values.items()}
    return found


@settings(max_examples=400, deadline=None)
@given(texts())
def test_only_the_sealed_values_change(pieces) -> None:
    text = joined(pieces)
    problems: list[errors.Problem] = []
    found = rewriting.find(text, "f.yaml", problems)
    assert problems == []
    wanted = {one.place: reversed_values(one.obj) for one in found}
    made = rewriting.replaced(text, wanted, "f.yaml")

    fixed = [r"[A-Za-z0-9+/=\s\\]+?" if isinstance(one, Hole) else re.escape(one) for one in pieces]
    assert re.fullmatch("".join(fixed), made), "something besides the values changed"
    expected = meaning(text)
    for one in found:
        document, item = one.place
        values = wanted[one.place]["spec"]["encryptedData"]
        obj = expected[document] if item < 0 else expected[document]["items"][item]
        obj["spec"]["encryptedData"] = values
    assert repr(meaning(made)) == repr(expected)
    assert len(made.splitlines()) - len(text.splitlines()) <= 4 * len(wanted) * 8
    assert rewriting.replaced(made, wanted, "f.yaml") == made, "a second time changes nothing"


@settings(max_examples=150, deadline=None)
@given(texts(), st.sampled_from(["added", "1e3", "true", "tls.key"]), st.booleans())
def test_what_is_added_leaves_every_line_that_is_there(pieces, name, labelled) -> None:
    text = joined(pieces)
    for one in rewriting.find(text, "f.yaml", []):
        obj = copy.deepcopy(one.obj)
        obj["spec"]["encryptedData"][name] = encoded(b"\x02\0" + name.encode() * 20)
        if labelled:
            template = obj["spec"].setdefault("template", {}).setdefault("metadata", {})
            template.setdefault("labels", {})["app"] = "yes: #1"
        made = rewriting.replaced(text, {one.place: obj}, "f.yaml")
        assert obj in [other.obj for other in rewriting.find(made, "f.yaml", [])]
        after = made.splitlines(keepends=True)
        changed = [line for line in text.splitlines(keepends=True) if line not in after]
        flow = [line for line in changed if "{" in line]
        last = [line for line in changed if not line.endswith("\n")]
        assert len(changed) == len(flow) + len(last) and len(flow) <= 2, changed
        assert made.count("\r") == (made.count("\n") if "\r" in text else 0)


HEAD = "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: n}\nspec:\n"
VALUE = base64.b64encode(b"x" * 30).decode()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (HEAD.replace("name: n", f"name: &x {VALUE}") + "  encryptedData: {a: *x, b: *x}\n", 0, ""),
        (
            HEAD + f"  encryptedData: {{a: &x {VALUE}}}\n  template: {{data: {{y: *x}}}}\n",
            1,
            "something else would change with it",
        ),
        (HEAD + f"  encryptedData: {{a: !!str {VALUE}}}\n", 5, "a value with a tag"),
        (HEAD + f"  encryptedData:\n    a: {VALUE}\n    a: {VALUE}\n", 7, "the key is there twice"),
        (HEAD + f"  encryptedData: {{a: {VALUE}}}\n--- {{b: c}}\n", 6, "something follows ---"),
        (HEAD + f"  encryptedData: {{a: {VALUE}}}\n---\n...\n", 7, "not YAML"),
        (HEAD + f"  encryptedData: {{a: {VALUE}}}\n---\n{{{{ x }}}}: [\n", 7, "not YAML"),
    ],
)
def test_what_cannot_be_changed_alone_is_refused_with_its_line(text, line, words) -> None:
    found = rewriting.find(text, "apps/a.yaml", [])
    wanted = {one.place: reversed_values(one.obj) for one in found}
    if not line:
        assert VALUE in rewriting.replaced(text, wanted, "apps/a.yaml"), "the name stays"
        return
    with pytest.raises(errors.GitOpsError) as caught:
        rewriting.replaced(text, wanted, "apps/a.yaml")
    problem = caught.value.problems[0]
    assert words in problem.message
    assert problem.where == f"apps/a.yaml:{line}"
    assert VALUE not in str(caught.value)


@pytest.mark.parametrize(
    "shape",
    ["metadata: [1]", "metadata: {annotations: x}", "spec: text", "spec: {encryptedData: [a]}"],
)
def test_a_malformed_object_is_named_and_not_stumbled_over(shape: str) -> None:
    problems: list[errors.Problem] = []
    text = f"apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\n{shape}\n"
    assert rewriting.find(text, "a.yaml", problems) == []
    assert problems[0].message == "a map is expected"
    assert problems[0].where == "a.yaml:1"


def test_maps_that_are_merged_into_each_other_end() -> None:
    (root,) = yamltext.compose("a: &a {x: &b {<<: *a, y: 1}, <<: *b}\n")
    assert set(root.entries()["a"].entries()) == {"x", "y"}
