"""The ``kubernetes`` provider of the embedded engine.

It serves the types of `pulumi_kubernetes` that `provision.kube.tokens` lists
and every custom resource, and keeps the state that the upstream provider
would have written, so that either engine can go on with the other's stack.
It always writes with server-side apply and changes Secrets and ConfigMaps in
place.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pulumi.provider.experimental import provider as protocol

from provision import cancellation, errors
from provision.kube import (
    diff,
    kubeconfig,
    managers,
    normal,
    objects,
    outcome,
    properties,
    settings,
    tokens,
    wire,
)
from provision.kube.client import KubeClient

Notify = Callable[[str, str, str], None]
"""Called with (urn, "info" or "warning", one sentence)."""

_KINDS = {
    ("add", False): protocol.PropertyDiffKind.ADD,
    ("add", True): protocol.PropertyDiffKind.ADD_REPLACE,
    ("delete", False): protocol.PropertyDiffKind.DELETE,
    ("delete", True): protocol.PropertyDiffKind.DELETE_REPLACE,
    ("update", False): protocol.PropertyDiffKind.UPDATE,
    ("update", True): protocol.PropertyDiffKind.UPDATE_REPLACE,
}


def _silent(_urn: str, _level: str, _text: str) -> None:
    """Tell no one."""


class KubernetesProvider(protocol.Provider):
    """All ``kubernetes:*`` objects of one provider resource, so of one cluster."""

    def __init__(self, notify: Notify = _silent, *, tunnel: wire.Tunnel | None = None) -> None:
        """Serve one cluster; `notify` is told what is being waited for.

        `tunnel` knows another way to its API than a connection of its own.
        """
        self._notify = notify
        self._tunnel = tunnel
        self._settings = settings.Settings()
        self._client: KubeClient | None = None
        self._lock = threading.Lock()
        self._cancellation = cancellation.Cancellation()
        self._in_the_way: set[str] = set()
        """URNs whose object has the very name that a replacement of it would have."""

    # -- the provider itself ----------------------------------------------

    async def check_config(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        """Refuse what is not supported; the kubeconfig becomes a secret."""
        inputs = dict(request.new_inputs)
        if "kubeconfig" in inputs:
            inputs["kubeconfig"] = inputs["kubeconfig"].with_secret(True)
        found = settings.problems(properties.to_object(inputs))
        return protocol.CheckResponse(
            inputs=inputs, failures=[protocol.CheckFailure(key, why) for key, why in found]
        )

    async def diff_config(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        """Say whether the provider now means another cluster."""
        changed, replaces = settings.differences(
            properties.to_object(request.old_state), properties.to_object(request.new_inputs)
        )
        return protocol.DiffResponse(changes=bool(changed), diffs=changed, replaces=replaces)

    async def configure(self, request: protocol.ConfigureRequest) -> protocol.ConfigureResponse:
        """Take the settings; nothing is contacted yet."""
        taken = settings.read(properties.to_object(request.args))
        with self._lock:
            if self._client is not None and taken != self._settings:
                self._client.close()
                self._client = None
            self._settings = taken
        return protocol.ConfigureResponse(
            accept_secrets=True, supports_preview=True, accept_resources=False, accept_outputs=False
        )

    # -- objects ----------------------------------------------------------

    async def check(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        """Normalise the inputs, give them a name and a namespace."""
        try:
            kind = tokens.parse(request.type)
        except tokens.UnservedError as error:
            failure = protocol.CheckFailure("", str(error))
            return protocol.CheckResponse(inputs=request.new_inputs, failures=[failure])
        inputs = normal.normalise(properties.to_object(request.new_inputs))
        inputs.setdefault("apiVersion", kind.api_version)
        inputs.setdefault("kind", kind.kind)
        failures = outcome.failures(kind, inputs)
        if not failures:
            old = properties.to_object(request.old_inputs or {})
            seed = request.random_seed or b""
            inputs = normal.named(inputs, request.name, old, seed)
            inputs = self._placed(kind, inputs)
        return protocol.CheckResponse(
            inputs=properties.from_object(inputs, outcome.source(request.new_inputs)),
            failures=failures,
        )

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        """Compare what the program wants with what was last seen of our fields."""
        state = properties.from_state(request.old_state)
        new = normal.normalise(properties.to_object(request.new_inputs))
        found = [
            one
            for one in diff.compare(tokens.parse(request.type), state.live, state.inputs, new)
            if not outcome.ignored(one.text, request.ignore_changes or [])
        ]
        replaces = [one.text for one in found if one.replace]
        same_place = (
            normal.name_of(new) == normal.name_of(state.live)
            and (normal.namespace_of(new) or normal.namespace_of(state.live))
            == normal.namespace_of(state.live)
            and not normal.autonamed(new)
        )
        if same_place:
            self._in_the_way.add(request.urn)
        return protocol.DiffResponse(
            changes=bool(found),
            replaces=replaces,
            # Said of changes in place too: the program may want a replacement for them.
            delete_before_replace=same_place,
            diffs=[one.text for one in found],
            detailed_diff={
                one.text: protocol.PropertyDiff(_KINDS[one.action, one.replace], input_diff=False)
                for one in found
            },
        )

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        """Create or adopt the object and wait until it is ready."""
        return await asyncio.to_thread(self._create, request)

    async def update(self, request: protocol.UpdateRequest) -> protocol.UpdateResponse:
        """Apply the new inputs over the object and wait until it is ready."""
        return await asyncio.to_thread(self._update, request)

    async def read(self, request: protocol.ReadRequest) -> protocol.ReadResponse:
        """Look at the object; an absent one is gone."""
        return await asyncio.to_thread(self._read, request)

    async def delete(self, request: protocol.DeleteRequest) -> None:
        """Delete the object and wait until it is gone."""
        await asyncio.to_thread(self._delete, request)

    async def cancel(self) -> None:
        """End every wait; what was sent to the API stays sent."""
        self._cancellation.cancel()

    # -- in a thread ------------------------------------------------------

    def _create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        inputs = normal.normalise(properties.to_object(request.properties))
        manager = managers.manager(inputs, "")
        how = self._writing(request.urn, inputs, manager, request.timeout)
        if request.preview:
            live = None
            known = not normal.has_unknown(inputs) and self._settings.kubeconfig is not None
            # A replacement is made when the object is gone; a dry run would meet it.
            if known and request.urn not in self._in_the_way:
                live = objects.preview_create(self._connect(), inputs, how)
            if live is None:
                return protocol.CreateResponse(resource_id="", properties=request.properties)
            state = outcome.state(inputs, live, manager, request.properties)
            return protocol.CreateResponse(resource_id="", properties=state)
        try:
            live = objects.create(self._connect(), inputs, how)
        except objects.UnreadyError as error:
            raise outcome.init_failed(error, inputs, manager, request.properties) from error
        return protocol.CreateResponse(
            resource_id=outcome.identity(live),
            properties=outcome.state(inputs, live, manager, request.properties),
        )

    def _update(self, request: protocol.UpdateRequest) -> protocol.UpdateResponse:
        inputs = normal.normalise(properties.to_object(request.news))
        old = properties.from_state(request.olds)
        manager = managers.manager(inputs, old.field_manager)
        how = self._writing(request.urn, inputs, manager, request.timeout)
        initial = old.initial_api_version
        if request.preview:
            live = None
            if not normal.has_unknown(inputs) and self._settings.kubeconfig is not None:
                live = objects.preview_update(self._connect(), inputs, how)
            if live is None:
                return protocol.UpdateResponse(properties=request.news)
            state = outcome.state(inputs, live, manager, request.news, initial)
            return protocol.UpdateResponse(properties=state)
        try:
            live = objects.update(self._connect(), inputs, how)
        except objects.UnreadyError as error:
            raise outcome.init_failed(error, inputs, manager, request.news, initial) from error
        return protocol.UpdateResponse(
            properties=outcome.state(inputs, live, manager, request.news, initial)
        )

    def _read(self, request: protocol.ReadRequest) -> protocol.ReadResponse:
        if self._settings.kubeconfig is None:  # nothing can be known in this preview
            return protocol.ReadResponse(
                resource_id=request.resource_id,
                properties=request.properties,
                inputs=request.inputs,
            )
        kind = tokens.parse(request.type)
        state = properties.from_state(request.properties)
        api_version = str(state.live.get("apiVersion") or kind.api_version)
        namespace, _, name = request.resource_id.rpartition("/")
        try:
            live = self._connect().get(api_version, kind.kind, name, namespace or None)
        except errors.KubeError as error:
            if not (error.status == 0 and self._settings.delete_unreachable):
                raise
            live = None
        if live is None:
            return protocol.ReadResponse(resource_id="", properties={}, inputs={})
        source = request.inputs or request.properties
        given = normal.normalise(properties.to_object(request.inputs))
        # An import has no inputs: all that a program could have said becomes them.
        inputs = normal.prune(live, given) if given else outcome.importable(live)
        manager = managers.manager(inputs, state.field_manager)
        initial = state.initial_api_version or str(live["apiVersion"])
        return protocol.ReadResponse(
            resource_id=request.resource_id,
            properties=outcome.state(inputs, live, manager, source, initial),
            inputs=properties.from_object(inputs, source),
        )

    def _delete(self, request: protocol.DeleteRequest) -> None:
        kind = tokens.parse(request.type)
        state = properties.from_state(request.properties)
        namespace, _, name = request.resource_id.rpartition("/")
        metadata = {**(state.inputs.get("metadata") or {}), "name": name}
        target = {
            "apiVersion": state.live.get("apiVersion") or kind.api_version,
            "kind": kind.kind,
            "metadata": metadata | {"namespace": namespace or None},
        }
        try:
            how = self._writing(request.urn, target, state.field_manager, request.timeout)
            objects.delete(self._connect(), target, how)
        except errors.KubeError as error:
            if not (error.status == 0 and self._settings.delete_unreachable):
                raise

    def _writing(
        self, urn: str, inputs: Mapping[str, Any], manager: str, timeout: float
    ) -> objects.Writing:
        return objects.Writing(
            manager=manager,
            force=managers.forced(inputs) or self._settings.force,
            upsert=self._settings.upsert,
            timeout=objects.seconds(inputs, timeout),
            progress=lambda text: self._notify(urn, "info", text),
            clock=self._cancellation,
        )

    def _connect(self) -> KubeClient:
        with self._lock:
            if self._client is None:
                chosen = self._settings
                if chosen.kubeconfig is None:
                    raise errors.KubeError(
                        "the cluster's kubeconfig is not known yet", reason="Unreachable"
                    )
                self._client = KubeClient(
                    kubeconfig.parse(
                        chosen.kubeconfig,
                        context=chosen.context,
                        cluster=chosen.cluster,
                        own=chosen.own,
                    ),
                    tunnel=self._tunnel,
                )
            return self._client

    def _placed(self, kind: tokens.Kind, inputs: normal.Object) -> normal.Object:
        """Return `inputs` in the provider's namespace, where they name none and live in one."""
        namespace = self._settings.namespace
        if not namespace or normal.namespace_of(inputs):
            return inputs
        if kind.builtin or self._settings.kubeconfig is None:
            scoped = kind.kind not in tokens.CLUSTER_SCOPED
        else:
            scoped = self._connect().namespaced(kind.api_version, kind.kind) is not False
        if not scoped:
            return inputs
        return {**inputs, "metadata": {**inputs["metadata"], "namespace": namespace}}
