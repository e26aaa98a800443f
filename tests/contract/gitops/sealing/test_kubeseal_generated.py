"""Generated Secrets: ours and kubeseal seal the same, or neither seals anything."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision import errors
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import plain, sealed
from tests.support import apiserver

pytestmark = pytest.mark.sandbox

EXAMPLES = 40


@pytest.fixture(scope="module")
def kubeseal() -> Path:
    return apiserver.binaries("kubeseal") / "kubeseal"


@pytest.fixture(scope="module")
def key() -> sealing_keys.SealingKey:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing_keys, "KEY_BITS", 2048)
        return sealing_keys.make_key()


@pytest.fixture(scope="module")
def certificate(key: sealing_keys.SealingKey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("certificate") / "pub.pem"
    path.write_text(key.certificate_pem)
    return path


# -- YAML of Secrets ------------------------------------------------------------

printable = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cc"))
)
numbers = st.one_of(
    st.integers().map(str),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(0, 10**6).map(oct).map(lambda text: text.replace("0o", "0")),
    st.integers(0, 10**6).map(hex),
    st.from_regex(r"[-+]?[0-9_]{1,6}\.?[0-9_]{0,4}(?:e[-+]?[0-9]{1,2})?", fullmatch=True),
)
WORDS = """
true false yes no on off y n ~ null Null NULL True 2001-01-01 1:30 .inf -.Inf .nan = a-b
"""
words = st.sampled_from(WORDS.split())
quoted = printable.map(lambda text: json.dumps(text, ensure_ascii=False))
scalars = st.one_of(numbers, words, quoted, st.just(""), st.just('""'))
names = st.from_regex(r"[a-zA-Z][-._a-zA-Z0-9]{0,8}", fullmatch=True).filter(
    lambda name: name.lower() not in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
)


@st.composite
def encoded(draw: st.DrawFn) -> str:
    """Return base64 as it is written in files: whole, wrapped, quoted, or damaged."""
    text = base64.b64encode(draw(st.binary(max_size=60))).decode()
    form = draw(st.sampled_from(["plain", "quoted", "block", "folded", "damaged", "escaped"]))
    width = draw(st.integers(4, 40))
    lines = [text[at : at + width] for at in range(0, len(text), width)] or [""]
    if form == "plain":
        return text
    if form == "damaged":
        return json.dumps(draw(printable) + text[1:])
    if form == "escaped":
        return json.dumps("\r\n".join(lines) + "\n")
    if form in ("block", "folded") and text:
        sign = "|" if form == "block" else ">-"
        return sign + "".join(f"\n      {line}" for line in lines)
    return json.dumps(text)


def mapping(key: str, entries: dict[str, str]) -> str:
    return f"{key}:\n" + "".join(f"    {name}: {value}\n" for name, value in entries.items())


@st.composite
def secrets(draw: st.DrawFn) -> str:
    text = "apiVersion: v1\nkind: Secret\n"
    if draw(st.booleans()):
        text += f"type: {draw(st.sampled_from(['Opaque', 'kubernetes.io/tls', '5', 'null']))}\n"
    if draw(st.booleans()):
        text += f"immutable: {draw(st.sampled_from(['true', 'false', 'null', 'yes']))}\n"
    data = draw(st.dictionaries(names, st.one_of(encoded(), st.sampled_from(["", "null", "12"]))))
    strings = draw(st.dictionaries(names, scalars, max_size=4))
    if data:
        text += mapping("data", data)
    if strings:
        text += mapping("stringData", strings)
    text += "metadata:\n  name: app\n  namespace: arkham\n"
    for part in ("labels", "annotations"):
        entries = draw(st.dictionaries(names, scalars, max_size=2))
        if entries:
            lines = "".join(f"    {name}: {value}\n" for name, value in entries.items())
            text += f"  {part}:\n{lines}"
    return text


# -- comparing --------------------------------------------------------------------


def ours(text: str, key: sealing_keys.SealingKey) -> list[dict[str, Any]] | None:
    problems: list[errors.Problem] = []
    found = plain.read(text, "secret.yaml", problems)
    made, more = sealed.seal_all(found, key.certificate_pem)
    return None if problems or more else made


def theirs(text: str, kubeseal: Path, certificate: Path) -> list[dict[str, Any]] | None:
    done = subprocess.run(
        [str(kubeseal), "--cert", str(certificate), "--format", "json"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return None
    decoder, at, made = json.JSONDecoder(), 0, []
    while done.stdout[at:].strip():
        at += len(done.stdout[at:]) - len(done.stdout[at:].lstrip())
        obj, at = decoder.raw_decode(done.stdout, at)
        made.append(obj)
    return made


def told(made: dict[str, Any], key: sealing_keys.SealingKey) -> dict[str, Any]:
    """Return what a SealedSecret says, without what differs each time and what says nothing."""
    template = made["spec"]["template"]
    metadata = {k: v for k, v in template["metadata"].items() if v not in (None, {})}
    return {
        "values": sealed.values(made, [key]),
        "name": made["metadata"]["name"],
        "namespace": made["metadata"].get("namespace"),
        "metadata": metadata,
        "type": template.get("type") or None,
        "immutable": template.get("immutable"),
    }


def compare(text: str, kubeseal: Path, certificate: Path, key: sealing_keys.SealingKey) -> None:
    mine, other = ours(text, key), theirs(text, kubeseal, certificate)
    if other is None or mine is None:
        assert mine == other, text
        return
    assert [told(one, key) for one in mine] == [told(one, key) for one in other], text


generated = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@generated
@given(text=secrets())
def test_a_secret(kubeseal, certificate, key, text: str) -> None:
    compare(text, kubeseal, certificate, key)


@generated
@given(texts=st.lists(secrets(), min_size=2, max_size=3))
def test_several_documents(kubeseal, certificate, key, texts: list[str]) -> None:
    compare("---\n" + "---\n".join(texts), kubeseal, certificate, key)


@generated
@given(text=secrets())
def test_kubeseal_opens_what_ours_seals(kubeseal, key, tmp_path_factory, text: str) -> None:
    made = ours(text, key)
    if made is None:
        return
    pem = tmp_path_factory.getbasetemp() / "key.pem"
    pem.write_text(key.private_pem.reveal())
    for one in made:
        done = subprocess.run(
            [
                str(kubeseal),
                *("--recovery-unseal", "--recovery-private-key", str(pem), "--format", "json"),
            ],
            input=json.dumps(one),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        values = {k: base64.b64decode(v or "") for k, v in json.loads(done.stdout)["data"].items()}
        assert values == sealed.values(one, [key])
