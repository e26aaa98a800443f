"""Every call to the Kubernetes API against a server that answers as no API server does."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from provision import errors, transfer
from provision.kube import client, kubeconfig, wire
from tests.support import hostile
from tests.support.hostile import Reply, reply

NS = "/api/v1/namespaces/default/configmaps"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
OBJECT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
WIDGET = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}}
DISCOVERY = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {"name": "example.com"},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {
                            "resource": "widgets",
                            "scope": "Namespaced",
                            "responseKind": {"kind": "Widget"},
                        }
                    ],
                }
            ],
        }
    ],
}
GOOD: dict[str, Reply] = {
    f"GET {NS}/a": reply(OBJECT),
    f"GET {NS}": reply({"kind": "ConfigMapList", "metadata": {}, "items": [OBJECT]}),
    "GET /version": reply({"gitVersion": "v1.36.3"}),
    f"PATCH {NS}/a": reply(OBJECT),
    f"POST {NS}": reply(OBJECT, 201),
    f"DELETE {NS}/a": reply({"kind": "Status", "status": "Success"}),
    "GET /apis": reply(DISCOVERY),
    f"GET {WIDGETS}/a": reply(WIDGET),
}
Call = Callable[[client.KubeClient], object]
CALLS: dict[str, list[Call]] = {
    f"GET {NS}/a": [lambda kube: kube.get("v1", "ConfigMap", "a")],
    f"GET {NS}": [lambda kube: kube.list("v1", "ConfigMap", "default")],
    "GET /version": [lambda kube: kube.version()],
    f"PATCH {NS}/a": [
        lambda kube: kube.apply(OBJECT, field_manager="t"),
        lambda kube: kube.patch("v1", "ConfigMap", "a", None, {"data": {}}),
    ],
    f"POST {NS}": [lambda kube: kube.create(OBJECT, field_manager="t")],
    f"DELETE {NS}/a": [lambda kube: kube.delete("v1", "ConfigMap", "a")],
    "GET /apis": [lambda kube: kube.namespaced("example.com/v1", "Widget")],
}
TABLE = [(name, call) for name, calls in CALLS.items() for call in calls]
CASES = pytest.mark.parametrize(("name", "call"), TABLE, ids=[name for name, _ in TABLE])


def good(method: str, path: str) -> Reply:
    return GOOD[f"{method} {path.partition('?')[0]}"]


@pytest.fixture
def server() -> Iterator[hostile.Server]:
    with hostile.serve(good) as found:
        yield found


@pytest.fixture
def kube(server: hostile.Server) -> Iterator[client.KubeClient]:
    endpoint = kubeconfig.Endpoint(server=server.url, headers={"Authorization": "Bearer canary"})
    with client.KubeClient(endpoint, timeout=5) as made:
        yield made


def attack(server: hostile.Server, name: str, answer: Reply) -> None:
    server.answer = lambda method, path: (
        answer if f"{method} {path.partition('?')[0]}" == name else good(method, path)
    )


def refused(server: hostile.Server, kube: client.KubeClient, name: str, call: Call) -> str:
    with pytest.raises(errors.KubeError) as caught:
        call(kube)
    address = f"{server.url}{name.partition(' ')[2]}"
    assert address in caught.value.summary + caught.value.detail
    return str(caught.value)


@CASES
def test_the_calls_of_the_table_are_made(server, kube, name, call):
    call(kube)
    assert name in [made.partition("?")[0] for made in server.calls]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@CASES
def test_a_redirect_is_an_error_and_not_followed(server, kube, name, call, status):
    with hostile.serve(good) as other:
        target = f"{other.url}{name.partition(' ')[2]}"
        # What a success would bring: the status alone makes it an error.
        body = b"" if status == 304 else GOOD[name].body
        attack(server, name, Reply(status=status, body=body, headers={"Location": target}))
        assert str(status) in refused(server, kube, name, call)
        assert other.calls == []


@pytest.mark.parametrize("status", [201, 202, 203, 204, 205, 206])
@CASES
def test_an_unexpected_status_is_an_error(server, kube, name, call, status):
    if status in (201, 202) and not name.startswith("GET"):
        return
    attack(server, name, Reply(status=status, body=b"" if status == 204 else GOOD[name].body))
    assert str(status) in refused(server, kube, name, call)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(hostile.HTML.body, id="html"),
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"1", id="number"),
        pytest.param(b"{}", id="nothing"),
        pytest.param(b'{"kind": "Status", "status": "Failure"}', id="failure"),
        pytest.param(b'{"kind": 1, "metadata": {"name": "a"}, "gitVersion": 1}', id="kind"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"\xff\xfe", id="no text"),
    ],
)
@CASES
def test_a_body_of_another_kind_is_an_error(server, kube, name, call, body):
    if name.startswith("DELETE") and b'"metadata"' in body:
        return  # an object that is going
    attack(server, name, Reply(status=GOOD[name].status, body=body))
    refused(server, kube, name, call)


WRONG: list[dict[str, Any]] = [
    {"kind": "Secret"},
    {"metadata": None},
    {"metadata": []},
    {"metadata": {}},
    {"metadata": {"name": 1}},
    {"metadata": {"name": "b"}},
    {"metadata": {"name": "a", "labels": []}},
    {"metadata": {"name": "a", "labels": {"a": 1}}},
    {"metadata": {"name": "a", "annotations": {"a": {}}}},
    {"metadata": {"name": "a", "resourceVersion": 5}},
    {"metadata": {"name": "a", "ownerReferences": {}}},
    {"metadata": {"name": "a", "ownerReferences": ["x"]}},
    {"metadata": {"name": "a", "managedFields": [1]}},
    {"metadata": {"name": "a", "finalizers": [1]}},
    {"spec": []},
    {"status": "up"},
    {"status": {"conditions": {}}},
    {"status": {"conditions": ["x"]}},
    {"data": []},
    {"data": {"k": 1}},
]


@pytest.mark.parametrize("change", WRONG, ids=repr)
@pytest.mark.parametrize("name", [f"GET {NS}/a", f"GET {NS}", f"PATCH {NS}/a", f"POST {NS}"])
def test_an_object_of_other_types_is_an_error(server, kube, name, change):
    body: Any = {**OBJECT, **change}
    if name == f"GET {NS}":
        if change in ({"kind": "Secret"}, {"metadata": {"name": "b"}}):
            return
        body = {"kind": "ConfigMapList", "metadata": {}, "items": [body]}
    attack(server, name, reply(body, GOOD[name].status))
    refused(server, kube, name, CALLS[name][0])


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "SecretList", "items": []},
        {"kind": "ConfigMapList", "items": {}},
        {"kind": "ConfigMapList", "items": [1]},
        {"kind": "ConfigMapList", "metadata": [], "items": []},
        {"kind": "ConfigMapList", "metadata": {"continue": 1}, "items": []},
        {"kind": "ConfigMapList", "metadata": {"continue": "again"}, "items": []},
    ],
)
def test_a_list_of_other_types_or_without_an_end_is_an_error(server, kube, body):
    attack(server, f"GET {NS}", reply(body))
    told = refused(server, kube, f"GET {NS}", CALLS[f"GET {NS}"][0])
    token = (body.get("metadata") or {}).get("continue")
    assert ("metadata.continue is not a text" in told) == isinstance(token, int)


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "APIGroupDiscoveryList", "items": [1]},
        {"kind": "APIGroupDiscoveryList", "items": 5},
        {"kind": "APIGroupDiscoveryList", "items": [{"metadata": {}, "versions": ["v1"]}]},
        {"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": 1}, "versions": 1}]},
        {"kind": "APIResourceList", "resources": [{"name": 1}]},
        {"kind": "Other"},
    ],
)
def test_a_discovery_of_other_types_is_an_error(server, kube, body):
    attack(server, "GET /apis", reply(body))
    refused(server, kube, "GET /apis", CALLS["GET /apis"][0])


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b"not found", b'{"kind": "X"}'])
@pytest.mark.parametrize("name", [f"GET {NS}/a", f"GET {NS}", f"DELETE {NS}/a", "GET /apis"])
def test_a_404_of_a_proxy_is_not_taken_for_absent(server, kube, name, body):
    attack(server, name, Reply(status=404, body=body))
    assert "404" in refused(server, kube, name, CALLS[name][0])


def test_a_404_of_the_api_is_absent(server, kube):
    for answer in (
        reply({"kind": "Status", "status": "Failure", "code": 404}, 404),
        Reply(status=404, body=b"404 page not found\n"),
    ):
        for name in (f"GET {NS}/a", f"DELETE {NS}/a"):
            attack(server, name, answer)
            assert not CALLS[name][0](kube)


@pytest.mark.parametrize(
    "body", [b"<html>", b'{"kind": "Status", "details": [], "message": 5}', b"[1]", b""]
)
@pytest.mark.parametrize("status", [400, 401, 403, 409, 418, 422, 500, 503])
@CASES
def test_a_refusal_with_an_odd_body_is_an_error(server, kube, name, call, status, body):
    attack(server, name, Reply(status=status, body=body))
    with pytest.raises(errors.KubeError) as caught:
        call(kube)
    assert caught.value.status == status
    assert "not as a Kubernetes API" not in str(caught.value)
    if b"Status" not in body:
        assert server.url in str(caught.value)


@CASES
def test_a_body_above_the_limit_is_an_error(server, kube, name, call, monkeypatch):
    monkeypatch.setattr(wire, "LIMIT", 4096)
    for answer in (
        Reply(body=b" " * 65536, endless=True),
        Reply(status=500, body=b" " * 65536, endless=True),
        Reply(status=301, body=b" " * 65536, endless=True),
        hostile.bomb(10_000_000),
    ):
        attack(server, name, answer)
        assert "4 KiB" in refused(server, kube, name, call)


def test_a_body_above_the_real_limit_is_not_kept(server, kube):
    attack(server, f"GET {NS}/a", Reply(body=b" " * (1 << 20), endless=True))
    assert "64 MiB" in refused(server, kube, f"GET {NS}/a", CALLS[f"GET {NS}/a"][0])


def test_many_large_objects_come_in_smaller_pages(server, kube, monkeypatch):
    monkeypatch.setattr(wire, "LIMIT", 6000)
    large = [{**OBJECT, "data": {"k": "v" * 100}}] * 40

    def answer(method: str, path: str) -> Reply:
        size = 25 if "limit=25" in path else 500
        start = 25 if "continue" in path else 0
        more = "next" if start + size < len(large) else ""
        body = {"metadata": {"continue": more}, "items": large[start : start + size]}
        return reply({"kind": "ConfigMapList", **body})

    server.answer = answer
    assert len(kube.list("v1", "ConfigMap", "default")) == 40


def test_an_answer_that_drips_is_given_up(server, kube, monkeypatch):
    monkeypatch.setattr(wire, "BODY_TIME", -4.5)
    attack(server, f"GET {NS}/a", Reply(body=b"{" + b" " * 60 + b"}", drip=0.1))
    with pytest.raises(errors.KubeError, match="not complete") as caught:
        CALLS[f"GET {NS}/a"][0](kube)
    assert caught.value.status == 0
    for thread in threading.enumerate():
        if thread.name == "elysium-transfer":
            thread.join(20)


def test_a_compressed_answer_is_read(server, kube):
    body = gzip.compress(json.dumps(OBJECT).encode())
    attack(server, f"GET {NS}/a", Reply(body=body, headers={"Content-Encoding": "gzip"}))
    assert kube.get("v1", "ConfigMap", "a") == OBJECT
    attack(server, f"GET {NS}/a", Reply(body=body, headers={"Content-Encoding": "br"}))
    refused(server, kube, f"GET {NS}/a", CALLS[f"GET {NS}/a"][0])


@pytest.mark.parametrize("text", ["..", ".", "a/../b", "a?b", "a#b", "a%2fb", "ä"])
def test_every_segment_is_quoted(server, kube, text):
    server.answer = lambda method, path: Reply(status=404, body=b"404 page not found")
    calls: list[Call] = [
        lambda kube: kube.get("v1", "ConfigMap", text),
        lambda kube: kube.get("v1", "ConfigMap", "a", text),
        lambda kube: kube.namespaced(text, "Widget"),
        lambda kube: kube.namespaced(f"{text}/v1", "Widget"),
        lambda kube: kube.patch("v1", "ConfigMap", "a", None, {}, subresource=text),
    ]
    for call in calls:
        server.calls.clear()
        with contextlib.suppress(errors.KubeError):
            call(kube)
        # A group and version are two segments; anything else arrives as one.
        if text.strip(".") and "/" not in text:
            assert any(urllib.parse.quote(text, safe="") in made for made in server.calls)
        for made in server.calls:
            path = made.partition(" ")[2]
            assert ".." not in path.split("/") and "." not in path.split("/")


def test_a_slow_line_has_the_time_that_it_needs(server, kube, monkeypatch):
    monkeypatch.setattr(wire, "BODY_TIME", -4.7)
    monkeypatch.setattr(transfer, "RATE", 10)
    body = json.dumps(OBJECT).encode()
    attack(server, f"GET {NS}/a", Reply(body=body, drip=0.02))
    assert kube.get("v1", "ConfigMap", "a") == OBJECT
