"""``pulumi-resource-elysium`` as an engine talks to it: gRPC, in a process of its own, no CLI."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Mapping
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2, provider_pb2_grpc

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWN_LIST = "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2"
UNKNOWN_BOOL = "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7"
SIGNATURE = "4dabf18193072939515e22adb298388d"
SEALED = "1b47061264138c4ac30d75fd1eb44270"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
URN = "urn:pulumi:dev::home::elysium:node:K3sServer::k3s"
SYNC = "urn:pulumi:dev::home::elysium:flux:Sync::sync"
K3S = {"node": "kyrion", "version": "v1.34.3+k3s1"}


class Engine(engine_pb2_grpc.EngineServicer):
    """The engine's side: notes what the provider logs."""

    def __init__(self) -> None:
        self.logged: list[Any] = []

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.logged.append(request)
        return empty_pb2.Empty()


@pytest.fixture(scope="module")
def provider() -> Generator[Any]:
    """The stub of a running provider."""
    engine = grpc.server(futures.ThreadPoolExecutor(2))
    engine_pb2_grpc.add_EngineServicer_to_server(Engine(), engine)
    port = engine.add_insecure_port("127.0.0.1:0")
    engine.start()
    program = Path(sys.executable).parent / "pulumi-resource-elysium"
    with subprocess.Popen([program, f"127.0.0.1:{port}"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            address = f"127.0.0.1:{int(process.stdout.readline())}"
            with grpc.insecure_channel(address) as channel:
                yield provider_pb2_grpc.ResourceProviderStub(channel)
        finally:
            process.kill()
    engine.stop(None)


def sealed(value: Any) -> dict[str, Any]:
    return {SIGNATURE: SEALED, "value": value}


def output(**fields: Any) -> dict[str, Any]:
    return {SIGNATURE: OUTPUT, **fields}


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


def plain(found: struct_pb2.Struct) -> dict[str, Any]:
    return json_format.MessageToDict(found)


def check(provider: Any, **inputs: Any) -> dict[str, Any]:
    """Return the inputs as `Check` gives them back."""
    request = provider_pb2.CheckRequest(urn=URN, olds=struct({}), news=struct(inputs))
    answer = provider.Check(request)
    assert not answer.failures
    return plain(answer.inputs)


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (UNKNOWN, UNKNOWN),
        (UNKNOWN_LIST, UNKNOWN),
        ({"deep": {"er": UNKNOWN_BOOL}}, {"deep": {"er": UNKNOWN}}),
        (["a", UNKNOWN, {"b": UNKNOWN}], ["a", UNKNOWN, {"b": UNKNOWN}]),
        (output(), UNKNOWN),
        (output(dependencies=["urn:x"]), UNKNOWN),
        (output(value="known"), "known"),
        (output(value=UNKNOWN, dependencies=[]), UNKNOWN),
        ([output(value=["x", output()])], [["x", UNKNOWN]]),
    ],
)
def test_inputs_come_back_as_they_were_sent(provider: Any, sent: Any, received: Any) -> None:
    assert check(provider, **K3S, tlsSan=sent)["tlsSan"] == received


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (sealed(UNKNOWN), UNKNOWN),
        (sealed({"a": [UNKNOWN]}), {"a": [UNKNOWN]}),
        ({"a": sealed(UNKNOWN)}, {"a": UNKNOWN}),
        (output(secret=True), UNKNOWN),
        (output(value="s3cr3t", secret=True, dependencies=["urn:x"]), "s3cr3t"),
        (sealed(sealed("s3cr3t")), "s3cr3t"),
    ],
)
def test_a_secret_input_stays_secret(provider: Any, sent: Any, received: Any) -> None:
    assert check(provider, **K3S, tokenRotation=sent)["tokenRotation"] == sealed(received)


def test_unknown_settings_and_settings_that_are_secret(provider: Any) -> None:
    for sent, received in (
        (UNKNOWN, UNKNOWN),
        (output(secret=True), UNKNOWN),
        (sealed("{}"), "{}"),
    ):
        news = struct({"settings": sent, "version": "1"})
        answer = provider.CheckConfig(provider_pb2.CheckRequest(urn=URN, news=news))
        assert plain(answer.inputs) == {"settings": sealed(received), "version": "1"}


def test_a_creation_with_unknown_inputs_is_previewed(provider: Any) -> None:
    properties = struct({**K3S, "tlsSan": [UNKNOWN], "registries": sealed({"a": UNKNOWN})})
    request = provider_pb2.CreateRequest(urn=URN, properties=properties, preview=True)

    answer = provider.Create(request)

    found = plain(answer.properties)
    assert found["kubeconfig"] == found["token"] == sealed(UNKNOWN)
    assert found["contentHash"] == UNKNOWN
    assert found["tlsSan"] == [UNKNOWN]
    assert found["registries"] == sealed({"a": UNKNOWN})
    assert found["nodeName"] == "kyrion"


def test_an_update_with_unknown_inputs_is_previewed(provider: Any) -> None:
    news = struct({"name": "flux-system", "kubeconfig": sealed(UNKNOWN)})
    olds = struct({"name": "flux-system", "kubeconfig": sealed("old"), "revision": "main@1"})
    request = provider_pb2.UpdateRequest(urn=SYNC, olds=olds, news=news, preview=True)

    found = plain(provider.Update(request).properties)

    assert found["kubeconfig"] == sealed(UNKNOWN)
    assert found["revision"] == found["kustomizations"] == UNKNOWN


def test_a_comparison_with_unknown_inputs_is_left_to_the_engine(provider: Any) -> None:
    request = provider_pb2.DiffRequest(
        urn=URN, olds=struct(K3S), news=struct({**K3S, "options": sealed({"a": [UNKNOWN]})})
    )

    answer = provider.Diff(request)

    assert answer.changes == provider_pb2.DiffResponse.DIFF_UNKNOWN
    assert not answer.hasDetailedDiff


def test_a_value_of_another_kind_is_refused_by_its_place(provider: Any) -> None:
    asset = {SIGNATURE: ASSET, "text": "s3cr3t"}

    with pytest.raises(grpc.RpcError) as caught:
        check(provider, **K3S, options={"a": [1, asset]})

    said = str(caught.value)
    assert "the input options.a[1] is an asset" in said
    assert "Traceback" not in said
    assert "s3cr3t" not in said
