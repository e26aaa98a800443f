"""``pulumi-resource-elysium``: the provider as the upstream engine launches it.

The SDK's own server appends tracebacks to errors and cannot say that a
resource was made but is not ready; this small subclass says errors as they
are and sends progress to the engine's log.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import grpc
import grpc.aio
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental import server
from pulumi.runtime import proto
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2_grpc

import provision
from provision import change, coredumps
from provision.provider import connections, pulumi_provider

_METHODS = ("Check", "Diff", "Create", "Update", "Delete", "Read", "CheckConfig", "Configure")


class Servicer(server.ProviderServicer):
    """The SDK's servicer, with errors as people should read them."""

    async def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Settings never replace anything: upstream need not compare them."""
        del request, context
        return proto.DiffResponse(changes=proto.DiffResponse.DIFF_NONE)


def _plainly(name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    inherited = getattr(server.ProviderServicer, name)
    method = getattr(inherited, "__wrapped__", inherited)

    async def call(self: Servicer, request: Any, context: Any) -> Any:
        try:
            return await method(self, request, context)
        except Exception as error:  # noqa: BLE001 - the boundary of the process
            # The SDK's wrapper raises a bare Exception whose text is a traceback.
            original = error.__context__ if type(error) is Exception else None
            await context.abort(grpc.StatusCode.UNKNOWN, pulumi_provider.explain(original or error))

    call.__name__ = name
    return call


for _name in _METHODS:
    setattr(Servicer, _name, _plainly(_name))


class Provider(pulumi_provider.ElysiumProvider):
    """Sends its plans along as messages: the protocol has no place for them."""

    def __init__(
        self, credentials: pulumi_provider.Credentials, notify: pulumi_provider.Notify
    ) -> None:
        super().__init__(credentials, notify)
        self._say = notify

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        """Plan, and tell the plan."""
        answer = await super().diff(request)
        await self._tell(request.urn, answer)
        return answer

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        """Create, or preview that and tell the plan."""
        answer = await super().create(request)
        await self._tell(request.urn, answer)
        return answer

    async def _tell(self, urn: str, answer: Any) -> None:
        planned = getattr(answer, "planned", ())
        if planned:
            await asyncio.to_thread(self._say, urn, "info", change.dump(planned))


class _EngineLog:
    """Sends a resource's progress to the engine that launched us."""

    def __init__(self, address: str) -> None:
        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def __call__(self, urn: str, level: str, text: str) -> None:
        severity = proto.LogSeverity.WARNING if level == "warning" else proto.LogSeverity.INFO
        self._stub.Log(
            proto.LogRequest(severity=severity, message=text, urn=urn, ephemeral=level != "warning")
        )


async def _serve(engine_address: str) -> None:
    provider = Provider(connections.Live.of_environment(os.environ), _EngineLog(engine_address))
    grpc_server = grpc.aio.server(options=server._GRPC_CHANNEL_OPTIONS)  # pyright: ignore
    servicer = Servicer([], provision.__version__, provider, engine_address)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, grpc_server)
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    await grpc_server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await grpc_server.wait_for_termination()


def main() -> None:
    """Serve until the engine ends us. The engine's address is the first argument."""
    coredumps.forbid()
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if not arguments:
        sys.stderr.write("pulumi-resource-elysium is started by a Pulumi engine, not by hand\n")
        raise SystemExit(2)
    try:
        asyncio.run(_serve(arguments[0]))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
