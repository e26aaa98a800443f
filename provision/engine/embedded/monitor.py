"""What the SDK calls: resource monitor and engine, as objects in this process.

The SDK takes any object in place of a gRPC stub and calls its methods from
threads of its own. The features that are not announced make the SDK itself
refuse them (transforms, hooks, parameterized packages).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, NoReturn

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, resource_pb2

from provision import errors
from provision.engine import events
from provision.engine.embedded import registration, run, wire
from provision.engine.embedded.steps import register as register_steps

_FEATURES: Final = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
)
_GET_RESOURCE: Final = "pulumi:pulumi:getResource"
_INVOKED: Final = re.compile(r"Invoking function: tok=(\S+)")


class StepFailed(Exception):
    """A step failed; the run has noted why. Ends the program."""


class _Closed(grpc.RpcError):
    """Tells the SDK that the run is over, the way a closed connection would."""

    def code(self) -> grpc.StatusCode:
        """Return the status of a server that is gone."""
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        """Return what the SDK may show."""
        return "no further step begins"


class Monitor:
    """The resource monitor. Method names are those of the protocol."""

    def __init__(
        self, context: run.Run, registrar: register_steps.Registrar, root: Path, parallel: int
    ) -> None:
        self._run = context
        self._registrar = registrar
        self._root = root
        self._parallel = parallel

    def GetDeploymentInfo(self, request: Any) -> resource_pb2.DeploymentInfo:  # noqa: N802
        """Say what this engine can do."""
        del request
        return resource_pb2.DeploymentInfo(
            project=self._run.project,
            stack=self._run.stack,
            organization="organization",
            dryRun=self._run.dry_run,
            parallel=self._parallel,
            supportedFeatures=_FEATURES,
        )

    def RegisterResource(  # noqa: N802
        self, request: resource_pb2.RegisterResourceRequest
    ) -> resource_pb2.RegisterResourceResponse:
        """Bring one resource about."""
        reply = self._reply(lambda: registration.from_register(request, self._root), register=True)
        return resource_pb2.RegisterResourceResponse(
            urn=reply.urn,
            id=reply.id,
            object=wire.to_struct(reply.outputs, keep_unknown=self._run.dry_run),
            unknown=reply.unknown,
        )

    def ReadResource(  # noqa: N802
        self, request: resource_pb2.ReadResourceRequest
    ) -> resource_pb2.ReadResourceResponse:
        """Read one resource."""
        reply = self._reply(lambda: registration.from_read(request, self._root), register=False)
        return resource_pb2.ReadResourceResponse(
            urn=reply.urn,
            id=reply.id,
            properties=wire.to_struct(reply.outputs, keep_unknown=self._run.dry_run),
            unknown=reply.unknown,
        )

    def RegisterResourceOutputs(  # noqa: N802
        self, request: resource_pb2.RegisterResourceOutputsRequest
    ) -> empty_pb2.Empty:
        """Take the outputs of a component."""
        self._registrar.outputs(request.urn, wire.from_struct(request.outputs))
        return empty_pb2.Empty()

    def Invoke(  # noqa: N802
        self, request: resource_pb2.ResourceInvokeRequest
    ) -> Any:
        """Answer the one function that is built in; no provider functions here."""
        if request.tok != _GET_RESOURCE:
            self._refuse(f"the function {request.tok}")
        urn = str(wire.from_struct(request.args).get("urn", ""))
        found = self._run.news.get(urn)
        if found is None:
            raise StepFailed(f"there is no resource {urn}")
        known = found.record
        answer = {"urn": urn, "id": known.id, "state": known.outputs}
        struct = wire.to_struct(answer, keep_unknown=self._run.dry_run)
        return resource_pb2.ResourceInvokeResponse(**{"return": struct})  # pyright: ignore

    def SignalAndWaitForShutdown(self, request: Any) -> empty_pb2.Empty:  # noqa: N802
        """Return at once: deletes come after the program's end."""
        del request
        return empty_pb2.Empty()

    def Call(self, request: Any) -> NoReturn:  # noqa: N802
        """Refuse a method of a remote component."""
        self._refuse(f"the method {request.tok}")

    def RegisterPackage(self, request: Any) -> NoReturn:  # noqa: N802
        """Refuse a parameterized package."""
        self._refuse(f"the parameterized package {request.name}")

    def RegisterStackTransform(self, request: Any) -> NoReturn:  # noqa: N802
        """Refuse a transform."""
        del request
        self._refuse("transforms")

    def RegisterStackInvokeTransform(self, request: Any) -> NoReturn:  # noqa: N802
        """Refuse a transform."""
        del request
        self._refuse("invoke transforms")

    def RegisterResourceHook(self, request: Any) -> NoReturn:  # noqa: N802
        """Refuse a hook."""
        self._refuse(f"the resource hook {request.name}")

    def RegisterErrorHook(self, request: Any) -> NoReturn:  # noqa: N802
        """Refuse a hook."""
        self._refuse(f"the error hook {request.name}")

    def ExistsResource(self, request: Any) -> NoReturn:  # noqa: N802
        """Refuse a question for existence."""
        self._refuse(f"the question whether {request.type} '{request.id}' exists")

    def _reply(self, ask: Any, *, register: bool) -> register_steps.Reply:
        try:
            self._run.open()
            try:
                asked: registration.Goal = ask()
            except errors.ElysiumError as error:
                self._run.failures.append(error)
                raise
            if register:
                return self._registrar.register(asked)
            return self._registrar.read(asked)
        except run.Stopped:
            raise _Closed from None
        except Exception as error:
            raise StepFailed(str(error)) from error

    def _refuse(self, what: str) -> NoReturn:
        raise refused(self._run, what)


def refused(context: run.Run, what: str) -> StepFailed:
    """Note in the run that the program uses `what`, and return the exception that ends it."""
    error = run.refusal(what)
    context.failures.append(error)
    return StepFailed(str(error))


class Log:
    """The engine service: the program's log messages."""

    _SEVERITY: Final[dict[int, events.Severity]] = {
        engine_pb2.INFO: "info",
        engine_pb2.WARNING: "warning",
        engine_pb2.ERROR: "error",
    }

    def __init__(self, context: run.Run) -> None:
        self._run = context

    def Log(self, request: engine_pb2.LogRequest) -> empty_pb2.Empty:  # noqa: N802
        """Pass on a message; debug messages of the SDK are dropped.

        One of them is read. A function whose arguments are not known yet does not reach the
        monitor, so a preview would pass what `up` refuses; the SDK logs each function first.
        """
        function = _INVOKED.match(request.message)
        if function and request.severity == engine_pb2.DEBUG and function[1] != _GET_RESOURCE:
            raise refused(self._run, f"the function {function[1]}")
        severity = self._SEVERITY.get(request.severity)
        if severity is not None:
            self._run.say(severity, request.message.rstrip(), request.urn)
        return empty_pb2.Empty()

    def RequirePulumiVersion(self, request: Any) -> NoReturn:  # noqa: N802
        """Refuse to answer for a version that this engine does not have."""
        error = errors.StackError(
            f"the program requires Pulumi {request.pulumi_version_range}; the embedded engine "
            "has no such version",
            operation="program",
            hint="put `pulumi` on PATH and add --engine upstream",
        )
        self._run.failures.append(error)
        raise StepFailed(str(error))
