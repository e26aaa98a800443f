"""The plans that ``pulumi-resource-elysium`` sends along: for elysium, and for plain `pulumi`."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2, provider_pb2_grpc

from provision import change
from provision.provider import connections

ROOT = Path(__file__).parents[3]
URN = "urn:pulumi:dev::home::elysium:node:K3sServer::k3s"
PATH = "/etc/rancher/k3s/config.yaml"


class Engine(engine_pb2_grpc.EngineServicer):
    """The engine's side: keeps what the provider logs."""

    def __init__(self) -> None:
        self.logged: list[Any] = []

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.logged.append(request)
        return empty_pb2.Empty()


def ask(environment: dict[str, str], method: str, request: Any) -> tuple[Any, list[Any]]:
    """Call a provider that has files in its plan; return the answer and what it logged."""
    engine = Engine()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    script = ROOT / "tests/support/plan_plugin.py"
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    arguments = [sys.executable, str(script), f"127.0.0.1:{port}"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=variables) as process:
        try:
            assert process.stdout is not None
            address = f"127.0.0.1:{int(process.stdout.readline())}"
            with grpc.insecure_channel(address) as channel:
                stub = provider_pb2_grpc.ResourceProviderStub(channel)
                answer = getattr(stub, method)(request)
        finally:
            process.kill()
    server.stop(None)
    return answer, engine.logged


def struct(**values: Any) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


def diff() -> provider_pb2.DiffRequest:
    olds = struct(files={PATH: "port: 1\nname: kyrion\n"})
    news = struct(files={PATH: "port: 2\nname: kyrion\n"})
    return provider_pb2.DiffRequest(urn=URN, id="kyrion", olds=olds, news=news)


def test_plain_pulumi_shows_the_names_and_values_of_changes() -> None:
    answer, (logged,) = ask({}, "Diff", diff())
    assert logged.urn == URN
    # A message that is ephemeral is not on the screen when the command is over.
    assert not logged.ephemeral
    assert logged.message.splitlines()[0] == f"update: write {PATH}"
    assert "    -port: 1" in logged.message and "    +port: 2" in logged.message
    for noise in ("urn:", "{", "property", "elysium plan"):
        assert noise not in logged.message
    # As a path, the name of the property would end at its first dot.
    assert list(answer.detailedDiff) == [f'["files.{PATH}"]']


def test_a_creation_is_shown_in_a_preview() -> None:
    properties = struct(files={PATH: "port: 1\n"})
    request = provider_pb2.CreateRequest(urn=URN, properties=properties, preview=True)
    _, (logged,) = ask({}, "Create", request)
    assert logged.message.splitlines()[0] == f"create: write {PATH}"
    assert "    +port: 1" in logged.message


def test_elysium_gets_the_plan_as_it_is() -> None:
    environment = connections.Live(pins=None).environment()
    answer, (logged,) = ask(environment, "Diff", diff())
    (planned,) = change.load(logged.message) or ()
    assert planned.property == f"files.{PATH}" and "+port: 2" in planned.diff
    assert logged.ephemeral
    assert list(answer.detailedDiff) == [f"files.{PATH}"]


@pytest.mark.parametrize(
    ("diff", "lines"),
    [("", ["stop: stop k3s"]), ("-a\n+b", ["stop: stop k3s", "    -a", "    +b"])],
)
def test_a_change_in_words(diff: str, lines: list[str]) -> None:
    one = change.Change(property="unit.k3s", action="stop", summary="stop k3s", diff=diff)
    assert change.describe([one]).splitlines() == lines
    assert change.describe([]) == ""
