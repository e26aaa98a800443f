"""Provider resources: the default ones, and those the program makes itself.

They live in the state like any resource, with an id that is made once and
kept, since every resource remembers the one it was made with.
"""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any, Final

from pulumi.provider.experimental import provider as protocol

from provision import errors
from provision.engine.embedded import providers, registration, run, wire
from provision.engine.embedded.steps import crud, outcomes, replace
from provision.engine.state import property_paths, record, urns, values

_DISABLED: Final = "pulumi:disable-default-providers"


class ProviderSteps:
    """Takes the steps of provider resources."""

    def __init__(
        self, context: run.Run, calls: providers.Providers, replacer: replace.Replacer
    ) -> None:
        self._run = context
        self._calls = calls
        self._replacer = replacer
        self._lock = threading.Lock()
        self._default: dict[tuple[str, str], str | Exception] = {}

    def default(self, package: str, version: str, user: str) -> str:
        """Return the reference of the package's default provider, registered at first use.

        Raises `errors.StackError`, naming the resource `user`, where the configuration
        disables it.
        """
        self._require_enabled(package, user)
        with self._lock:
            key = (package, version)
            if key not in self._default:
                try:
                    self._default[key] = self._register_default(package, version)
                except Exception as error:  # noqa: BLE001 - raised below, for every user of it
                    self._default[key] = error
            found = self._default[key]
        if isinstance(found, Exception):
            raise found
        return found

    def register(
        self, new: record.Record, asked: registration.Goal, old: run.Old | None
    ) -> run.New:
        """Check, compare and configure a provider; return it as it is then."""
        package = urns.package_of(new.type)
        instance = providers.Instance(package=package, provider=self._calls.make(package))
        config = self._check(new, old, instance)
        inputs = dict(config)
        if asked.version:
            inputs |= {"version": asked.version, providers.INTERNAL: {}}
        instance.inputs = config
        instance.unknown = values.has_unknown(config)
        new = new.but(inputs=inputs, outputs=_public(inputs))
        if old is None:
            return self._create(new, asked, instance)
        known = old.record
        new = new.but(id=known.id, created=known.created, modified=known.modified)
        diff = self._diff(new, known, instance)
        if diff.replaces or known.pending_replacement:
            return self._replace(new, asked, old, instance)
        self._configure(new, instance)
        if diff.changed:
            self._plan(new, "update", asked, diff)
            return self._run.put(new.but(modified=record.now()), asked, old)
        # "Nothing that matters" still leaves the new inputs to be recorded.
        self._plan(new, "same", asked)
        return self._run.put(new.but(outputs=known.outputs), asked, old, durable=False)

    def refresh_configuration(self, urn: str, asked: registration.Goal, old: run.Old) -> None:
        """Configure the state's provider `old` with what the program asks for now."""
        package = urns.package_of(asked.type)
        instance = providers.Instance(package=package, provider=self._calls.make(package))
        config = self._check(old.record.but(urn=urn, inputs=asked.inputs), old, instance)
        instance.inputs = config
        self._configure(old.record.but(urn=urn), instance)

    def _register_default(self, package: str, version: str) -> str:
        name = "default_" + version.replace(".", "_").replace("+", "_") if version else "default"
        type_ = urns.PROVIDER_PREFIX + package
        urn = urns.make(self._run.stack, self._run.project, "", type_, name)
        asked = registration.Goal(
            type=type_, name=name, custom=True, version=version, inputs=self._config(package)
        )
        old = self._run.olds.get(urn)
        if self._run.mode != "up" and old is not None:
            self.refresh_configuration(urn, asked, old)
            return old.record.reference
        new = record.Record(urn=urn, type=type_, custom=True, inputs=asked.inputs)
        return self.register(new, asked, old).record.reference

    def _require_enabled(self, package: str, user: str) -> None:
        options = self._run.options
        secret = options.secret_config.get(_DISABLED)
        text = secret.reveal() if secret is not None else options.config.get(_DISABLED, "")
        if not text:
            return
        try:
            names = json.loads(text)
        except ValueError:
            names = None
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            raise errors.StackError(
                f"{_DISABLED} is no list of package names",
                operation="provider",
                hint='write it as JSON in the configuration: ["*"] or ["kubernetes"]',
            )
        if {each.strip() for each in names} & {"*", package}:
            raise errors.StackError(
                f"{user} has no provider of its own, and {_DISABLED} disables the default "
                f"provider of '{package}'",
                operation="provider",
                hint="give it one with the option provider=, or its parent with providers=",
            )

    def _config(self, package: str) -> dict[str, Any]:
        """Return the stack's configuration of `package`, which its default provider gets."""
        prefix = f"{package}:"
        options = self._run.options
        found: dict[str, Any] = {
            key.removeprefix(prefix): text
            for key, text in options.config.items()
            if key.startswith(prefix)
        }
        for key, secret in options.secret_config.items():
            if key.startswith(prefix):
                found[key.removeprefix(prefix)] = values.Sealed(secret.reveal())
        return found

    def _check(
        self, new: record.Record, old: run.Old | None, instance: providers.Instance
    ) -> dict[str, Any]:
        inputs = _configuration(new.inputs)
        before = _configuration(old.record.inputs) if old else {}
        request = protocol.CheckRequest(
            new.urn, wire.to_properties(before), wire.to_properties(inputs), b""
        )
        answer = self._calls.call(
            new.urn, instance.provider.check_config(request), protocol.CheckResponse
        )
        return crud.checked(new.urn, answer, inputs)

    def _diff(
        self, new: record.Record, known: record.Record, instance: providers.Instance
    ) -> crud.Diff:
        request = protocol.DiffRequest(
            urn=new.urn,
            resource_id=known.id,
            old_state=wire.to_properties(_configuration(known.outputs)),
            new_inputs=wire.to_properties(_configuration(new.inputs)),
            ignore_changes=[],
        )
        answer = self._calls.call(
            new.urn, instance.provider.diff_config(request), protocol.DiffResponse
        )
        diffs = property_paths.describe(known.inputs, new.inputs)
        replaces = bool(answer.replaces)
        changed = bool(diffs) if answer.changes is None else bool(answer.changes)
        return crud.Diff(changed=changed or replaces, replaces=replaces, diffs=diffs)

    def _create(
        self, new: record.Record, asked: registration.Goal, instance: providers.Instance
    ) -> run.New:
        now = record.now()
        new = new.but(id=str(uuid.uuid4()), created=now, modified=now)
        self._configure(new, instance)
        self._plan(new, "create", asked)
        return self._run.put(new, asked, None)

    def _replace(
        self,
        new: record.Record,
        asked: registration.Goal,
        old: run.Old,
        instance: providers.Instance,
    ) -> run.New:
        known = old.record
        if known.protect and new.protect:
            raise replace.protected(new.urn, "replaced")
        now = record.now()
        new = new.but(id=str(uuid.uuid4()), created=now, modified=now)
        self._configure(new, instance)
        self._plan(new, "replace", asked, outcomes.because("configuration"))
        entry = self._replacer.delete_later(old, known)
        return self._run.put(new, asked, None, *([entry] if entry else []), replaced=True)

    def _configure(self, new: record.Record, instance: providers.Instance) -> None:
        if instance.unknown and not self._run.dry_run:
            raise errors.StackError(
                f"the configuration of {new.urn} is not known", operation="provider"
            )
        if not instance.unknown:
            self._calls.apply_configuration(new.urn, instance)
        self._calls.add(new.reference, instance)

    def _plan(
        self,
        new: record.Record,
        op: str,
        asked: registration.Goal,
        diff: crud.Diff | None = None,
    ) -> None:
        """Report a provider, unless it is a default one, which no user asked for."""
        if asked.name == "default" or asked.name.startswith("default_"):
            return
        diffs = diff.diffs if diff else ()
        self._run.planned(new, op, diffs=diffs)  # pyright: ignore[reportArgumentType]


def _configuration(inputs: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in inputs.items() if k not in ("version", providers.INTERNAL)}


def _public(inputs: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in inputs.items() if k != providers.INTERNAL}
