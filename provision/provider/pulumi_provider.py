"""The ``elysium`` provider: every resource type behind Pulumi's provider protocol.

One class serves both engines: the embedded engine calls it in this process,
the upstream engine through ``provision.provider.plugin``. It holds no logic of
its own: it turns Pulumi's calls into observe, plan, apply.

State: a resource's properties are its inputs plus its outputs, so that a
delete, which Pulumi gives the properties alone, knows where to look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pulumi.provider.experimental import provider as protocol

from provision import errors
from provision.change import Change
from provision.provider import registry, resource, values
from provision.provider.context import Context

Notify = Callable[[str, str, str], None]
"""Called with (urn, "info" or "warning", one sentence)."""


_ADOPTED = Change(
    property="", action="adopt", summary="it is there as configured, and is taken over as it is"
)


class Credentials(Protocol):
    """Who opens connections: `provision.provider.connections.Live`."""

    def configure(self, settings: str) -> None:
        """Take the settings, as JSON, that the provider resource carries."""
        ...

    def bind(self, notify: Callable[[str, str], None]) -> Context:
        """Return a context whose messages go to `notify` as (level, sentence)."""
        ...

    def cancel(self) -> None:
        """End every wait, and every command on a node."""
        ...


class PlannedDiff(protocol.DiffResponse):
    """A diff that also carries the plan it was made from, for people to read."""

    def __init__(self, planned: tuple[Change, ...], replaces: tuple[str, ...]) -> None:
        kinds = {
            "create": protocol.PropertyDiffKind.ADD,
            "delete": protocol.PropertyDiffKind.DELETE,
        }
        update = protocol.PropertyDiffKind.UPDATE
        super().__init__(
            changes=bool(planned or replaces),
            replaces=list(replaces),
            diffs=[change.property for change in planned],
            detailed_diff={
                change.property: protocol.PropertyDiff(
                    kinds.get(change.action, update), input_diff=False
                )
                for change in planned
            },
        )
        self.planned = planned


class PlannedCreate(protocol.CreateResponse):
    """A previewed creation that carries the plan."""

    def __init__(self, properties: values.Properties, planned: tuple[Change, ...]) -> None:
        super().__init__(resource_id="", properties=properties)
        self.planned = planned


class ElysiumProvider(protocol.Provider):
    """All ``elysium:*`` resources."""

    def __init__(self, credentials: Credentials, notify: Notify) -> None:
        """Serve every registered resource type.

        `credentials` opens connections at first use; `notify` is told what a
        resource is doing.
        """
        self._credentials = credentials
        self._notify = notify
        self._remarked: set[tuple[str, str]] = set()

    async def cancel(self) -> None:
        """End what the resources wait for; what was sent stays sent. The run ends then."""
        await asyncio.to_thread(self._credentials.cancel)

    async def check_config(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        """Accept the settings; they hold credentials, so they become a secret."""
        inputs = dict(request.new_inputs)
        if "settings" in inputs:
            inputs["settings"] = inputs["settings"].with_secret(True)
        return protocol.CheckResponse(inputs=inputs)

    async def diff_config(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        """New settings never replace the provider, nor anything it made."""
        changed = request.old_state.get("settings") != request.new_inputs.get("settings")
        return protocol.DiffResponse(changes=changed, diffs=["settings"] if changed else [])

    async def configure(self, request: protocol.ConfigureRequest) -> protocol.ConfigureResponse:
        """Take the settings; nothing is contacted yet."""
        settings = values.plain_map(request.args).get("settings")
        if isinstance(settings, str):
            self._credentials.configure(settings)
        return protocol.ConfigureResponse(
            accept_secrets=True, supports_preview=True, accept_resources=False, accept_outputs=False
        )

    async def check(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        """Validate the inputs of one resource and fill in defaults."""
        kind = registry.find(request.type)
        inputs, problems = kind.check(values.plain_map(request.new_inputs))
        secret = values.secret_keys(request.new_inputs) | kind.secret_inputs
        return protocol.CheckResponse(
            inputs=values.property_map(inputs, secret),
            failures=[protocol.CheckFailure(p.key, p.message) for p in problems],
        )

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        """Plan against what is really there."""
        kind = registry.find(request.type)
        state = values.plain_map(request.old_state)
        inputs = values.plain_map(request.new_inputs)
        if resource.has_unknown(inputs):
            return protocol.DiffResponse(changes=None)
        replaces = kind.replaces(state, inputs)
        ctx = self._context(request.urn)

        def work() -> tuple[Change, ...]:
            facts = kind.observe(ctx, inputs, state).facts
            self._remark(request.urn, kind.remarks(facts, inputs))
            return kind.plan(facts, inputs, state)

        return PlannedDiff(await asyncio.to_thread(work), replaces)

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        """Bring it about, whatever part of it is there already."""
        kind = registry.find(request.type)
        inputs = values.plain_map(request.properties)
        secret = values.secret_keys(request.properties)
        ctx = self._context(request.urn)
        if request.preview:
            planned, outputs, remarks = await asyncio.to_thread(_preview_create, kind, ctx, inputs)
            await asyncio.to_thread(self._remark, request.urn, remarks)
            return PlannedCreate(_properties(kind, inputs, outputs, secret), planned)
        outputs, remarks = await asyncio.to_thread(_converge, kind, ctx, inputs, {})
        await asyncio.to_thread(self._remark, request.urn, remarks)
        return protocol.CreateResponse(
            resource_id=kind.identity(inputs),
            properties=_properties(kind, inputs, outputs, secret),
        )

    async def update(self, request: protocol.UpdateRequest) -> protocol.UpdateResponse:
        """Bring it about again."""
        kind = registry.find(request.type)
        inputs = values.plain_map(request.news)
        state = values.plain_map(request.olds)
        secret = values.secret_keys(request.news)
        ctx = self._context(request.urn)
        if request.preview:
            if resource.has_unknown(inputs):
                outputs = kind.unknown_outputs(inputs)
            else:
                outputs = await asyncio.to_thread(_preview_update, kind, ctx, inputs, state)
        else:
            outputs, _ = await asyncio.to_thread(_converge, kind, ctx, inputs, state)
        return protocol.UpdateResponse(properties=_properties(kind, inputs, outputs, secret))

    async def read(self, request: protocol.ReadRequest) -> protocol.ReadResponse:
        """Look at what is there; nothing there means gone."""
        kind = registry.find(request.type)
        state = values.plain_map(request.properties)
        inputs = values.plain_map(request.inputs) or state
        secret = values.secret_keys(request.inputs) | values.secret_keys(request.properties)
        ctx = self._context(request.urn)
        known = resource.remembered(kind, inputs)
        observed = await asyncio.to_thread(kind.observe, ctx, known, state)
        if not observed.exists:
            return protocol.ReadResponse(resource_id="", properties={}, inputs={})
        outputs = kind.outputs(observed.facts, known, state)
        return protocol.ReadResponse(
            resource_id=request.resource_id,
            properties=_properties(kind, inputs, outputs, secret),
            inputs=values.property_map(inputs, secret | kind.secret_inputs),
        )

    async def delete(self, request: protocol.DeleteRequest) -> None:
        """Remove what it brought."""
        kind = registry.find(request.type)
        state = resource.remembered(kind, values.plain_map(request.properties))
        await asyncio.to_thread(kind.delete, self._context(request.urn), state, state)

    def _remark(self, urn: str, remarks: tuple[str, ...]) -> None:
        """Tell the user, once a run."""
        for remark in remarks:
            if (urn, remark) not in self._remarked:
                self._remarked.add((urn, remark))
                self._notify(urn, "warning", remark)

    def _context(self, urn: str) -> Context:
        return self._credentials.bind(lambda level, text: self._notify(urn, level, text))


def _properties(
    kind: resource.Resource[Any],
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    secret: frozenset[str],
) -> values.Properties:
    secret = secret | kind.secret_inputs | kind.secret_outputs
    return values.property_map({**inputs, **outputs}, secret)


def _converge(
    kind: resource.Resource[Any],
    ctx: Context,
    inputs: Mapping[str, Any],
    state: Mapping[str, Any],
) -> tuple[dict[str, Any], tuple[str, ...]]:
    observed, kept = resource.converge(kind, ctx, inputs, state)
    remarks = kind.remarks(observed.facts, inputs)
    return kind.outputs(observed.facts, inputs, kept), remarks


def _preview_create(
    kind: resource.Resource[Any], ctx: Context, inputs: Mapping[str, Any]
) -> tuple[tuple[Change, ...], dict[str, Any], tuple[str, ...]]:
    """Plan a creation as far as it can be known.

    Outputs stay unknown even where something is found, since creating it may
    change them; with nothing left to change they are what was found (adoption).
    """
    unknown = {key for key, value in inputs.items() if resource.has_unknown(value)}
    if not unknown <= kind.plans_without:
        return (), kind.unknown_outputs(inputs), ()
    observed = kind.observe(ctx, inputs, {})
    planned = kind.plan(observed.facts, inputs, {})
    remarks = kind.remarks(observed.facts, inputs)
    if observed.exists and all(change.action == "run" for change in planned):
        known = kind.outputs(observed.facts, inputs, {}) if not planned else {}
        return (_ADOPTED, *planned), known or kind.unknown_outputs(inputs), remarks
    return planned, kind.unknown_outputs(inputs), remarks


def _preview_update(
    kind: resource.Resource[Any],
    ctx: Context,
    inputs: Mapping[str, Any],
    state: Mapping[str, Any],
) -> dict[str, Any]:
    observed = kind.observe(ctx, inputs, state)
    return kind.preview_outputs(observed.facts, inputs, state)


def explain(error: BaseException) -> str:
    """Return what to tell a user about `error`, without a traceback."""
    if isinstance(error, errors.ElysiumError):
        return str(error)
    return f"{type(error).__name__}: {error}"
