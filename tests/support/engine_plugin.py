"""The test provider as a plugin process: its world in a file that all processes share.

engine_plugin.py WORLD.json [engine address]
"""

from __future__ import annotations

import fcntl
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import engine_provider


class FileWorld(engine_provider.World):
    """A world in a file; `failures` are (method, name) pairs that raise.

    With ``partial-`` before the method it does its work first.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        if not path.exists():
            self.save()
        self.load()

    def save(self) -> None:
        body = {
            "things": self.things,
            "calls": self.calls,
            "made": self.made,
            "counts": self.counts,
            "failures": getattr(self, "failures", []),
        }
        self.path.write_text(json.dumps(body))

    def load(self) -> None:
        body = json.loads(self.path.read_text())
        self.things, self.made, self.counts = body["things"], body["made"], body["counts"]
        self.calls = [tuple(each) for each in body["calls"]]
        self.failures = [tuple(each) for each in body["failures"]]

    def note(self, method: str, name: str) -> None:
        self._locked(lambda: self.calls.append((method, name)))
        if (method, name) in self.failures:
            raise RuntimeError(f"{method} of {name} went wrong")

    def is_partial(self, method: str, name: str) -> bool:
        return (f"partial-{method}", name) in self.failures

    def change(self, work: Callable[[], Any]) -> Any:
        return self._locked(work)

    def _locked(self, work: Callable[[], Any]) -> Any:
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.load()
            result = work()
            self.save()
            return result


def _diff_config(server: Any) -> Any:
    """The SDK's own answer to DiffConfig takes True for "no change"; this one does not."""
    from pulumi.provider.experimental import provider as protocol
    from pulumi.provider.experimental.property_value import PropertyValue
    from pulumi.runtime import proto

    async def diff_config(self: Any, request: Any, context: Any) -> Any:
        answer = await self._provider.diff_config(
            protocol.DiffRequest(
                request.urn,
                request.id,
                PropertyValue.unmarshal_map(request.olds),
                PropertyValue.unmarshal_map(request.news),
                list(request.ignoreChanges),
            )
        )
        kinds = proto.DiffResponse
        return kinds(
            replaces=answer.replaces,
            changes=kinds.DIFF_SOME if answer.changes else kinds.DIFF_NONE,
            diffs=answer.diffs,
        )

    server.ProviderServicer.DiffConfig = diff_config


def _say_partial(server: Any, name: str) -> None:
    """The SDK's server has no words for what was done partly; the protocol has."""
    inherited = getattr(server.ProviderServicer, name)

    async def call(self: Any, request: Any, context: Any) -> Any:
        try:
            return await inherited(self, request, context)
        except Exception as error:
            partial = error.__context__
            if not isinstance(partial, engine_provider.PartlyDoneError):
                raise
            await context.abort_with_status(_partial_status(partial))

    setattr(server.ProviderServicer, name, call)


def _partial_status(partial: engine_provider.PartlyDoneError) -> Any:
    import grpc
    from pulumi.provider.experimental.property_value import PropertyValue
    from pulumi.runtime.proto import provider_pb2, status_pb2

    found = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(partial))
    found.details.add().Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=partial.resource_id,
            properties=PropertyValue.marshal_map(partial.properties),
            reasons=partial.reasons,
        )
    )
    status = grpc.Status()
    status.code = grpc.StatusCode.UNKNOWN
    status.details = str(partial)
    status.trailing_metadata = (("grpc-status-details-bin", found.SerializeToString()),)
    return status


if __name__ == "__main__":
    from pulumi.provider.experimental import server

    _diff_config(server)
    for _name in ("Create", "Update"):
        _say_partial(server, _name)

    world = FileWorld(Path(sys.argv.pop(1)))
    server.main(sys.argv[1:], "1.0.0", engine_provider.Memory(world))
