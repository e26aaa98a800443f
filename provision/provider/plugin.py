"""``pulumi-resource-elysium``: the provider as the upstream engine launches it.

The SDK's own server appends tracebacks to errors and fails for values that a
preview does not know. This subclass answers the calls of custom resources itself:
values go through `wire`, an error is its sentence, progress goes to the engine's log.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, cast

import grpc
import grpc.aio
from google.protobuf import empty_pb2
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental import server
from pulumi.runtime import proto
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2_grpc

import provision
from provision import change, coredumps
from provision.provider import connections, pulumi_provider, wire

Method = TypeVar("Method", bound=Callable[..., Coroutine[Any, Any, Any]])

_KINDS: Final = {
    protocol.PropertyDiffKind.ADD: proto.PropertyDiff.ADD,
    protocol.PropertyDiffKind.ADD_REPLACE: proto.PropertyDiff.ADD_REPLACE,
    protocol.PropertyDiffKind.DELETE: proto.PropertyDiff.DELETE,
    protocol.PropertyDiffKind.DELETE_REPLACE: proto.PropertyDiff.DELETE_REPLACE,
    protocol.PropertyDiffKind.UPDATE: proto.PropertyDiff.UPDATE,
    protocol.PropertyDiffKind.UPDATE_REPLACE: proto.PropertyDiff.UPDATE_REPLACE,
}


def _plainly(method: Method) -> Method:
    """Answer an exception of `method` with its sentence, without a traceback."""

    @functools.wraps(method)
    async def call(self: Any, request: Any, context: Any) -> Any:
        try:
            return await method(self, request, context)
        except Exception as error:  # noqa: BLE001 - the boundary of the process
            await context.abort(grpc.StatusCode.UNKNOWN, pulumi_provider.explain(error))

    return cast("Method", call)


class Servicer(server.ProviderServicer):
    """The methods an engine calls for custom resources. Their names are the protocol's."""

    @_plainly
    async def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Check the provider's settings."""
        return _checked(await self._provider.check_config(_check_request(request)))

    async def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Settings never replace anything: upstream need not compare them."""
        del request, context
        return proto.DiffResponse(changes=proto.DiffResponse.DIFF_NONE)

    @_plainly
    async def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Take the settings."""
        answer = await self._provider.configure(
            protocol.ConfigureRequest(
                dict(request.variables),
                wire.from_struct(request.args),
                request.acceptSecrets,
                request.acceptResources,
            )
        )
        return proto.ConfigureResponse(
            acceptSecrets=answer.accept_secrets,
            acceptResources=answer.accept_resources,
            acceptOutputs=answer.accept_outputs,
            supportsPreview=answer.supports_preview,
        )

    @_plainly
    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Validate the inputs of a resource, and fill in defaults."""
        return _checked(await self._provider.check(_check_request(request)))

    @_plainly
    async def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Compare a resource with its inputs."""
        answer = await self._provider.diff(
            protocol.DiffRequest(
                request.urn,
                request.id,
                wire.from_struct(request.olds),
                wire.from_struct(request.news),
                list(request.ignoreChanges),
            )
        )
        changes = proto.DiffResponse.DIFF_UNKNOWN
        if answer.changes is not None:
            some, none = proto.DiffResponse.DIFF_SOME, proto.DiffResponse.DIFF_NONE
            changes = some if answer.changes else none
        return proto.DiffResponse(
            changes=changes,
            replaces=answer.replaces,
            stables=answer.stables,
            deleteBeforeReplace=answer.delete_before_replace,
            diffs=answer.diffs,
            detailedDiff={
                key: proto.PropertyDiff(kind=_KINDS[each.kind], inputDiff=each.input_diff)
                for key, each in answer.detailed_diff.items()
            },
            hasDetailedDiff=answer.changes is not None,
        )

    @_plainly
    async def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Create a resource, or preview that."""
        answer = await self._provider.create(
            protocol.CreateRequest(
                request.urn, wire.from_struct(request.properties), request.timeout, request.preview
            )
        )
        properties = wire.to_struct(answer.properties)
        return proto.CreateResponse(id=answer.resource_id or "", properties=properties)

    @_plainly
    async def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Update a resource, or preview that."""
        answer = await self._provider.update(
            protocol.UpdateRequest(
                request.urn,
                request.id,
                wire.from_struct(request.olds),
                wire.from_struct(request.news),
                timeout=request.timeout,
                ignore_changes=list(request.ignoreChanges),
                preview=request.preview,
            )
        )
        return proto.UpdateResponse(properties=wire.to_struct(answer.properties or {}))

    @_plainly
    async def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Read a resource."""
        answer = await self._provider.read(
            protocol.ReadRequest(
                request.urn,
                request.id,
                wire.from_struct(request.properties),
                wire.from_struct(request.inputs),
            )
        )
        return proto.ReadResponse(
            id=answer.resource_id or "",
            properties=wire.to_struct(answer.properties),
            inputs=wire.to_struct(answer.inputs),
        )

    @_plainly
    async def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Delete a resource."""
        properties = wire.from_struct(request.properties)
        await self._provider.delete(
            protocol.DeleteRequest(request.urn, request.id, properties, timeout=request.timeout)
        )
        return empty_pb2.Empty()


def _check_request(request: Any) -> protocol.CheckRequest:
    olds, news = wire.from_struct(request.olds), wire.from_struct(request.news)
    return protocol.CheckRequest(request.urn, olds, news, request.randomSeed)


def _checked(answer: protocol.CheckResponse) -> Any:
    return proto.CheckResponse(
        inputs=wire.to_struct(answer.inputs or {}),
        failures=[
            proto.CheckFailure(property=each.property, reason=each.reason)
            for each in answer.failures or ()
        ],
    )


class Provider(pulumi_provider.ElysiumProvider):
    """Sends its plans along as messages: the protocol has no place for them.

    `for_elysium` says who reads them: elysium, which shows them itself, or who types `pulumi`.
    """

    def __init__(
        self,
        credentials: pulumi_provider.Credentials,
        notify: pulumi_provider.Notify,
        *,
        for_elysium: bool,
    ) -> None:
        super().__init__(credentials, notify)
        self._say = notify
        self._for_elysium = for_elysium

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        """Plan, and tell the plan."""
        answer = await super().diff(request)
        await self._tell(request.urn, answer)
        if not self._for_elysium:
            # The CLI reads each key as a path into the properties.
            answer.detailed_diff = {
                _as_path(key): each for key, each in answer.detailed_diff.items()
            }
        return answer

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        """Create, or preview that and tell the plan."""
        answer = await super().create(request)
        await self._tell(request.urn, answer)
        return answer

    async def _tell(self, urn: str, answer: Any) -> None:
        planned = getattr(answer, "planned", ())
        if planned and self._for_elysium:
            await asyncio.to_thread(self._say, urn, "info", change.dump(planned))
        elif planned:
            await asyncio.to_thread(self._say, urn, "plan", change.describe(planned))


def _as_path(key: str) -> str:
    """Return the path of the one property `key`, quoted where it is no plain name."""
    return key if key.isidentifier() else f"[{json.dumps(key)}]"


class _EngineLog:
    """Sends a resource's progress to the engine that launched us."""

    def __init__(self, address: str) -> None:
        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def __call__(self, urn: str, level: str, text: str) -> None:
        severity = proto.LogSeverity.WARNING if level == "warning" else proto.LogSeverity.INFO
        # Progress is gone once the step is over; a plan and a warning stay on the screen.
        self._stub.Log(
            proto.LogRequest(severity=severity, message=text, urn=urn, ephemeral=level == "info")
        )


async def _serve(engine_address: str) -> None:
    provider = Provider(
        connections.Live.of_environment(os.environ),
        _EngineLog(engine_address),
        for_elysium=connections.is_driven_by_elysium(os.environ),
    )
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
