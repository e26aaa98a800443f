"""The least that the SDK costs: the program against a monitor that answers at once.

It imports the SDK, derives a key as the passphrase asks for, and runs the
program. No provider is called, nothing is compared, nothing is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import Any


def main() -> None:
    """Run the program that the environment names."""
    deriving = threading.Thread(target=_derive)
    deriving.start()
    from pulumi.runtime import settings, stack

    from tests.bench_engine.drivers import trivial

    deriving.join()
    settings.configure(
        settings.Settings(project="bench", stack="dev", monitor=_monitor(), engine=_Log())
    )
    loop = asyncio.new_event_loop()
    loop.run_until_complete(stack.run_in_stack(trivial.make_as_told))
    loop.close()


def _derive() -> None:
    hashlib.pbkdf2_hmac("sha256", b"bench", b"8 bytes.", 1_000_000, 32)


class _Log:
    def Log(self, request: Any) -> Any:  # noqa: N802
        from google.protobuf import empty_pb2

        del request
        return empty_pb2.Empty()


def _monitor() -> Any:
    from google.protobuf import empty_pb2
    from pulumi.runtime.proto import resource_pb2

    features = (
        resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
        resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    )

    class Monitor:
        def GetDeploymentInfo(self, request: Any) -> Any:  # noqa: N802
            del request
            return resource_pb2.DeploymentInfo(
                project="bench", stack="dev", parallel=8, supportedFeatures=features
            )

        def RegisterResource(self, request: Any) -> Any:  # noqa: N802
            urn = f"urn:pulumi:dev::bench::{request.type}::{request.name}"
            answer = resource_pb2.RegisterResourceResponse(urn=urn, id="it")
            answer.object.CopyFrom(request.object)
            if "value" in answer.object.fields:
                answer.object.fields["echo"].CopyFrom(answer.object.fields["value"])
            return answer

        def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
            del request
            return empty_pb2.Empty()

        def SignalAndWaitForShutdown(self, request: Any) -> Any:  # noqa: N802
            del request
            return empty_pb2.Empty()

    return Monitor()


if __name__ == "__main__":
    main()
