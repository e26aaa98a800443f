"""What the API server refuses in the fields of an object."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision.gitops import documents
from provision.gitops.build import flux, validity
from tests.support import wrongfields, wrongkubernetes

ROOT = flux.root("clusters/home")


def told(text: str, **given: Any) -> list[str]:
    docs = documents.read_text(text, "a.yaml", [])
    return [str(one) for doc in docs for one in validity.problems(doc, ROOT, **given)]


@pytest.mark.parametrize(("name", "text"), wrongkubernetes.KUBERNETES.items())
def test_a_field_of_kubernetes_has_its_type(name: str, text: str) -> None:
    (found,) = told(text)
    assert wrongfields.key_of(name) in found
    assert "expected" in found


@pytest.mark.parametrize(("name", "text"), wrongkubernetes.RULES.items())
def test_a_rule_between_fields_is_held(name: str, text: str) -> None:
    (found,) = told(text)
    assert f" {wrongfields.key_of(name)}: " in found


@pytest.mark.parametrize(("name", "text"), wrongkubernetes.NAMES.items())
def test_a_name_is_one_that_kubernetes_takes(name: str, text: str) -> None:
    (found,) = told(text)
    assert f" {wrongfields.key_of(name)}: " in found


@pytest.mark.parametrize(("name", "text"), wrongfields.FLUX.items())
def test_a_field_of_flux_is_as_its_definition_says(name: str, text: str) -> None:
    (found,) = told(text)
    assert wrongfields.key_of(name) in found


@pytest.mark.parametrize("text", [*wrongkubernetes.RIGHT, *wrongfields.RIGHT])
def test_what_is_right_is_taken(text: str) -> None:
    assert told(text) == []


def test_the_hints_say_what_to_write() -> None:
    (found,) = told(wrongfields.kustomization(interval="1d"))
    assert "'1d' is no duration that Flux takes" in found and "such as 24h" in found
    (found,) = told(wrongfields.kustomization(dependson=[{"name": "x"}]))
    assert "there is no such field" in found and "write dependsOn" in found
    (found,) = told(wrongfields.kustomization(prune="true"))
    assert "write it without quotes" in found


def test_a_newer_flux_may_have_more_fields() -> None:
    text = wrongfields.kustomization(somethingNew=1)
    assert told(text) != []
    assert told(text, release=(2, 10)) == []
    assert told(wrongfields.kustomization(interval="1d"), release=(2, 10)) != []


def test_a_value_that_is_not_known_may_be_any() -> None:
    assert told(wrongfields.kustomization(prune="${PRUNE}", interval="${INTERVAL}")) == []


def test_what_sops_encrypted_is_not_looked_at() -> None:
    spec = {"interval": "ENC[AES256_GCM,data:aa,iv:aa,tag:aa,type:str]"}
    text = json.loads(wrongfields.kustomization()) | {"spec": spec, "sops": {"mac": "x"}}
    found = [one for one in told(json.dumps(text)) if "spec.decryption" not in one]
    assert found == []


def test_a_number_is_not_quoted() -> None:
    """A substitution may have taken it of a Secret."""
    (found,) = told(wrongkubernetes.workload(env=[{"name": "PIN", "value": 73519}]))
    assert "a number where a text is expected" in found
    assert "73519" not in found
