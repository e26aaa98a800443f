"""The tables of fields, beside the definitions of the pinned Flux and a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from provision import errors
from provision.gitops.build import fields, fluxfields, schema
from provision.gitops.documents import mapping
from provision.kube import wait
from provision.sandbox import build
from tests.support import fluxcluster, wrongfields, wrongkubernetes
from tests.support.kubefixtures import apiserver, client

__all__ = ["apiserver", "client"]
pytestmark = pytest.mark.sandbox

KINDS = [name.split() for name in fluxfields.SPECS if "extensions" not in name]
"""Without ArtifactGenerator: the sandbox has no definition of source-watcher."""
SHARED = {"install", "upgrade", "rollback", "uninstall"}
"""Actions of a HelmRelease: one list of fields stands for all of them."""


def definition(version: str, kind: str) -> Mapping[str, Any]:
    """Return the schema of `spec` in the definition of the pinned Flux."""
    group, _, number = version.partition("/")
    for path in fluxcluster.definitions(build.bin_dir()).glob(f"{group}_*.yaml"):
        spec = yaml.safe_load(path.read_text())["spec"]
        if spec["names"]["kind"] == kind:
            (served,) = [one for one in spec["versions"] if one["name"] == number]
            return served["schema"]["openAPIV3Schema"]["properties"]["spec"]
    raise AssertionError(f"no definition of {kind}")


CHECKED = ("like:", "scheme:")
TYPES = {"bool": "boolean", "int": "integer"}


def differences(ours: schema.Field, theirs: Mapping[str, Any], key: str = "") -> Iterator[str]:
    known: Mapping[str, Any] = theirs.get("properties") or {}
    more = set(ours.fields) - set(known)
    if more and not SHARED & {key.lstrip(".").partition(".")[0]}:
        yield f"{key}: {sorted(more)} are not theirs"
    required = set(theirs.get("required") or ())
    for name, field in known.items():
        path = f"{key}.{name}"
        if name not in ours.fields:
            yield f"{path} is not ours"
            continue
        one = ours.fields[name]
        if one.required != (name in required and "default" not in field):
            yield f"{path}: required differs"
        item = field["items"] if one.is_list else field
        if one.is_list != (field.get("type") == "array"):
            yield f"{path}: a list or none differs"
        elif one.type == "object":
            yield from differences(one, item, path)
        elif one.type == "texts":
            if item["additionalProperties"]["type"] != "string":
                yield f"{path}: no texts"
        elif one.type != "any":
            yield from scalar(one, item, path)


def scalar(one: schema.Field, item: Mapping[str, Any], path: str) -> Iterator[str]:
    if item.get("type") != TYPES.get(one.type, "string"):
        yield f"{path}: {one.type} is {item.get('type')}"
    pattern = item.get("pattern", "")
    hours = {"duration": "|h)" in pattern, "short": bool(pattern) and "|h)" not in pattern}
    if pattern.startswith("^([0-9]+") and not hours.get(one.type):
        yield f"{path}: {one.type} is {pattern}"
    elif pattern.endswith("://.*$"):
        schemes = pattern.removeprefix("^").removesuffix("://.*$").strip("()").split("|")
        if one.type != f"scheme:{','.join(schemes)}":
            yield f"{path}: {one.type} is {pattern}"
    elif pattern and one.type not in ("duration", "short") and not one.type.startswith(CHECKED):
        yield f"{path}: {one.type} is {pattern}"
    if "enum" in item and set(one.type.split("|")) != set(item["enum"]):
        yield f"{path}: {one.type} is {item['enum']}"


@pytest.mark.parametrize(("version", "kind"), KINDS)
def test_the_table_is_the_definition(version: str, kind: str) -> None:
    ours = fields.of(version, kind)
    assert ours is not None
    assert list(differences(ours, definition(version, kind))) == []


@pytest.mark.parametrize("name", wrongkubernetes.KUBERNETES)
def test_the_api_server_refuses_it_too(client, name: str) -> None:
    if "metadata.annotations" in name:
        pytest.skip("kustomize makes texts of annotations")
    obj = json.loads(wrongkubernetes.KUBERNETES[name])
    with pytest.raises(errors.KubeError) as caught:
        client.apply(obj, field_manager="test", dry_run=True)
    assert "expected" in f"{caught.value.summary} {caught.value.detail}"


@pytest.mark.parametrize("name", wrongkubernetes.RULES)
def test_the_api_server_holds_the_rule_too(client, name: str) -> None:
    obj = json.loads(wrongkubernetes.RULES[name])
    for port in mapping(obj.get("spec")).get("ports") or []:
        port.setdefault("protocol", "TCP")  # kustomize-controller writes it, too
    for one in containers(obj):
        for port in one.get("ports") or []:
            port.setdefault("protocol", "TCP")
    with pytest.raises(errors.KubeError):
        applied(client, json.dumps(obj))


def containers(obj: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the containers of a workload."""
    template = mapping(mapping(obj.get("spec")).get("template"))
    return list(mapping(template.get("spec")).get("containers") or [])


@pytest.mark.parametrize("name", wrongkubernetes.NAMES)
def test_the_api_server_refuses_the_name_too(client, name: str) -> None:
    with pytest.raises(errors.KubeError):
        applied(client, wrongkubernetes.NAMES[name])


@pytest.mark.parametrize("text", wrongkubernetes.RIGHT)
def test_the_api_server_takes_it_too(client, text: str) -> None:
    obj = json.loads(text)
    if obj["kind"] == "Pod":
        obj = {**json.loads(wrongkubernetes.workload()), "metadata": obj["metadata"]}
        obj["spec"]["template"]["spec"] |= json.loads(text)["spec"]  # no account is needed for it
    client.apply(obj, field_manager="test", dry_run=True)


FLUX = {name: text for name, text in wrongfields.FLUX.items() if "extensions" not in text}
TAKEN = [one for one in wrongfields.RIGHT if "toolkit" in one]


@pytest.fixture(scope="module")
def flux(client):
    """Return the client of an API server with the definitions of the pinned Flux."""
    made = []
    for path in sorted(fluxcluster.definitions(build.bin_dir()).glob("*.toolkit.*.yaml")):
        for obj in yaml.safe_load_all(path.read_text()):
            client.apply(obj, field_manager="test", force=True)
            made.append(wait.Ref.of(obj))
    wait.wait_ready(client, made, timeout=60)
    return client


@pytest.mark.parametrize("name", FLUX)
def test_the_definition_refuses_it_too(flux, name: str) -> None:
    """Applied as kustomize-controller applies it: server-side."""
    with pytest.raises(errors.KubeError):
        applied(flux, FLUX[name])


@pytest.mark.parametrize("text", TAKEN)
def test_the_definition_takes_it_too(flux, text: str) -> None:
    applied(flux, text)


def applied(client, text: str) -> None:
    client.apply(json.loads(text), field_manager="test", dry_run=True)
