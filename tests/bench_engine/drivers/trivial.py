"""A provider that does nothing at once, and a program of its resources.

As a program it serves the provider as a plugin: ``trivial.py [engine address]``.
"""

from __future__ import annotations

import os
import sys
from typing import Literal

import pulumi
from pulumi.provider.experimental import provider as protocol

PACKAGE = "bench"
TYPE = "bench:index:Thing"
CHAIN = 10
"""Resources in a chain; chains stand beside each other."""

Shape = Literal["chained", "fanned out"]


class Trivial(protocol.Provider):
    """Keeps nothing: whatever it is asked for is there, as it was asked for."""

    async def configure(self, request: protocol.ConfigureRequest) -> protocol.ConfigureResponse:
        del request
        return protocol.ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def check_config(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        return protocol.CheckResponse(inputs=request.new_inputs)

    async def diff_config(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        del request
        return protocol.DiffResponse(changes=False)

    async def check(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        return protocol.CheckResponse(inputs=request.new_inputs)

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        old = {key: value for key, value in request.old_state.items() if key != "echo"}
        return protocol.DiffResponse(changes=old != dict(request.new_inputs))

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        outputs = {**request.properties, "echo": request.properties["value"]}
        return protocol.CreateResponse("" if request.preview else "it", outputs)

    async def update(self, request: protocol.UpdateRequest) -> protocol.UpdateResponse:
        return protocol.UpdateResponse({**request.news, "echo": request.news["value"]})

    async def read(self, request: protocol.ReadRequest) -> protocol.ReadResponse:
        return protocol.ReadResponse(request.resource_id, request.properties, request.inputs)

    async def delete(self, request: protocol.DeleteRequest) -> None:
        del request


class Thing(pulumi.CustomResource):
    """A resource of `Trivial`: two texts and a secret in, one more out."""

    echo: pulumi.Output[str]

    def __init__(self, name: str, value: pulumi.Input[str], needs: list[pulumi.Resource]) -> None:
        inputs = {"value": value, "label": f"the thing {name}", "token": None, "echo": None}
        inputs["token"] = pulumi.Output.secret(f"secret of {name}")
        super().__init__(TYPE, name, inputs, pulumi.ResourceOptions(depends_on=needs))


def make(count: int, shape: Shape) -> None:
    """Register `count` things: in chains of `CHAIN`, or all but the first after the first."""
    before: Thing | None = None
    for number in range(count):
        starts = number == 0 if shape == "fanned out" else number % CHAIN == 0
        if starts or before is None:
            here = Thing(f"thing-{number}", "first", [])
        else:
            here = Thing(f"thing-{number}", before.echo, [before])
        if shape == "chained" or starts:
            before = here


def make_as_told() -> None:
    """Register what the environment says."""
    shape: Shape = "chained" if os.environ["BENCH_SHAPE"] == "chained" else "fanned out"
    make(int(os.environ["BENCH_COUNT"]), shape)


if __name__ == "__main__":
    from pulumi.provider.experimental import server

    server.main(sys.argv[1:], "1.0.0", Trivial())
