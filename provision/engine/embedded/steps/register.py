"""Registrations: from what the program asks for to the step that is taken.

A registration is refused, or finds its earlier self (by URN, then by
aliases) and its provider, and goes to `custom`, `provider`, or is a
component, which no provider knows.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from provision import errors
from provision.engine.embedded import providers, registration, run
from provision.engine.embedded.steps import crud, custom, outcomes, provider, replace
from provision.engine.state import property_paths, record, urns, values


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the program is told. `unknown`: the resource was skipped."""

    urn: str
    id: str = ""
    outputs: dict[str, Any]
    unknown: bool = False


class Registrar:
    """Takes registrations. Safe from any thread."""

    def __init__(self, context: run.Run, calls: providers.Providers) -> None:
        self._run = context
        self._crud = crud.Crud(calls, dry_run=context.dry_run)
        replacer = replace.Replacer(context, calls, self._crud)
        self._calls = calls
        self._providers = provider.ProviderSteps(context, calls, replacer)
        self._custom = custom.CustomSteps(context, calls, self._crud, replacer)

    def register(self, asked: registration.Goal) -> Reply:
        """Take one registration.

        Raises `run.Stopped` when the run is coming to an end, and what the
        step raised, which is then noted in the run's failures.
        """
        self._run.open()
        urn = urns.make(self._run.stack, self._run.project, asked.parent, asked.type, asked.name)
        try:
            return self._register(urn, asked)
        except run.Stopped:
            raise
        except Exception as error:
            self._run.fail(urn, "create", run.fault(f"{asked.type} '{asked.name}'", error))
            raise

    def read(self, asked: registration.Goal) -> Reply:
        """Take one ``.get``: read what is there, own nothing."""
        self._run.open()
        urn = urns.make(self._run.stack, self._run.project, asked.parent, asked.type, asked.name)
        try:
            return self._read(urn, asked)
        except run.Stopped:
            raise
        except Exception as error:
            self._run.fail(urn, "read", run.fault(f"{asked.type} '{asked.name}'", error))
            raise

    def outputs(self, urn: str, outputs: dict[str, Any]) -> None:
        """Take the outputs of a component.

        An output of a resource that was not made is unknown: the state keeps the earlier value,
        or has none. A preview shows it as unknown.
        """
        found = self._run.news.get(urn)
        if found is None:
            if self._run.mode != "up":
                return
            raise errors.StackError(
                f"outputs came for {urn}, which was not registered", operation="register"
            )
        if found.skipped:
            return
        if found.record.type == urns.ROOT_TYPE:
            self._run.stack_outputs = outputs
            return
        if not self._run.dry_run:
            before = found.record.outputs
            outputs = {
                key: before[key] if values.has_unknown(value) else value
                for key, value in outputs.items()
                if key in before or not values.has_unknown(value)
            }
        self._run.edit(found, found.record.but(outputs=outputs))

    def _register(self, urn: str, asked: registration.Goal) -> Reply:
        above = self._run.news.get(asked.parent)
        asked = asked.inherit(above.goal if above else None)
        self._claim(urn)
        old, alias = self._find(urn, asked)
        if old is not None:
            self._run.take(old)
            self._forget({urn, old.record.urn})
        if self._run.mode != "up":
            return self._only_configure(urn, asked, old)
        new = _record(urn, asked)
        self._require_known(new)
        if alias and not self._run.dry_run:
            self._run.keeper.commit({"do": "rename", "old": alias, "new": urn}, durable=False)
        if not self._run.targets.include(urn) or self._is_idle(new):
            return self._leave(new, asked, old)
        self._require_unskipped(new)
        if not asked.custom:
            self._component(new, asked, old)
            return Reply(urn=urn, outputs={})
        if new.is_provider:
            done = self._providers.register(new, asked, old)
        else:
            new = new.but(provider=self._provider_of(asked))
            done = self._custom.register(new, asked, old)
        return Reply(urn=urn, id=done.record.id, outputs=done.record.outputs)

    def _claim(self, urn: str) -> None:
        with self._run.lock:
            if urn in self._run.claimed:
                raise errors.StackError(
                    f"two resources have the URN {urn}",
                    operation="register",
                    hint="give one of them another name or parent",
                )
            self._run.claimed.add(urn)

    def _find(self, urn: str, asked: registration.Goal) -> tuple[run.Old | None, str]:
        """Return the earlier self of a resource, and the alias it was found by."""
        with self._run.lock:
            if urn in self._run.renamed:
                raise errors.StackError(
                    f"{urn} is registered although {self._run.renamed[urn]} has it as an alias",
                    operation="register",
                )
            if urn in self._run.olds:
                return self._run.olds[urn], ""
            for alias in self._aliases(asked):
                old = self._run.olds.get(alias)
                if old is None:
                    continue
                if alias in self._run.claimed or alias in self._run.renamed:
                    raise errors.StackError(
                        f"the alias {alias} of {urn} is another resource of the program",
                        operation="register",
                    )
                self._run.renamed[alias] = urn
                return old, alias
        return None, ""

    def _aliases(self, asked: registration.Goal) -> list[str]:
        stack, project = self._run.stack, self._run.project
        found = [
            registration.alias_urn(
                each, asked, stack, project, self._was(each.parent or asked.parent)
            )
            for each in asked.aliases
        ]
        was = self._was(asked.parent)
        if asked.parent and was != asked.parent:
            # A child named after its parent was named after the parent's old name.
            parent_name, old_name = urns.name_of(asked.parent), urns.name_of(was)
            names = [(asked.type, asked.name)]
            names += [(urns.type_of(urn), urns.name_of(urn)) for urn in list(found)]
            for type_, name in names:
                if name.startswith(parent_name):
                    name = old_name + name.removeprefix(parent_name)
                found.append(urns.make(stack, project, was, type_, name))
        return found

    def _was(self, urn: str) -> str:
        """Return the URN that `urn` had in the state."""
        for old, new in self._run.renamed.items():
            if new == urn:
                return old
        return urn

    def _provider_of(self, asked: registration.Goal) -> str:
        package = urns.package_of(asked.type)
        if asked.provider:
            return self._known_reference(asked.provider)
        if package in asked.providers:
            return self._known_reference(asked.providers[package])
        if asked.type.count(":") != 2:
            raise errors.StackError(
                f"'{asked.type}' is not a type token (package:module:name)", operation="register"
            )
        return self._providers.default(package, asked.version, f"{asked.type} '{asked.name}'")

    def _known_reference(self, reference: str) -> str:
        urn, id_ = urns.split_reference(reference)
        found = self._run.news.get(urn)
        if found is not None and id_ in ("", values.UNKNOWN_TEXT):
            return found.record.reference
        return reference

    def _require_known(self, new: record.Record) -> None:
        for urn in sorted(new.needs()):
            if urn not in self._run.news:
                raise errors.StackError(
                    f"{new.urn} depends on {urn}, which the program has not registered before",
                    operation="register",
                )

    def _is_idle(self, new: record.Record) -> bool:
        """Return whether `new` is a provider of resources that cannot exist yet.

        Its configuration comes from a resource that was not made and is no target.
        """
        needs = [self._run.news[urn] for urn in new.needs()]
        return new.is_provider and any(need.skipped for need in needs)

    def _require_unskipped(self, new: record.Record) -> None:
        for urn in sorted(new.needs()):
            if self._run.news[urn].skipped:
                name = urns.name_of(urn)
                raise errors.StackError(
                    f"{urns.name_of(new.urn)} needs {name}, which does not exist yet and is not "
                    "among the targets",
                    operation="target",
                    hint=f"add it: --target {shlex.quote(name)}",
                )

    def _component(self, new: record.Record, asked: registration.Goal, old: run.Old | None) -> None:
        if old is None:
            now = record.now()
            self._run.planned(new, "create")
            self._run.put(new.but(created=now, modified=now), asked, None, durable=False)
            return
        known = old.record
        if known.custom:
            raise errors.StackError(
                f"{new.urn} was a custom resource and is a component now",
                operation="register",
                hint="give the component another name, so that the old resource is deleted",
            )
        new = new.but(outputs=known.outputs, created=known.created, modified=known.modified)
        diffs = property_paths.describe(known.inputs, new.inputs)
        if diffs:
            self._run.planned(new, "update", diffs=diffs)
            new = new.but(modified=record.now())
        else:
            self._run.planned(new, "same")
        self._run.put(new, asked, old, durable=False)

    def _leave(self, new: record.Record, asked: registration.Goal, old: run.Old | None) -> Reply:
        """Leave a resource that is not among the targets as it is."""
        if old is None:
            with self._run.lock:
                self._run.news[new.urn] = run.New(cell=-1, record=new, goal=asked, skipped=True)
            return Reply(urn=new.urn, outputs={}, unknown=True)
        above = self._run.news.get(new.parent)
        made = above is None or not above.skipped
        kept = old.record.but(urn=new.urn, parent=new.parent if made else old.record.parent)
        self._run.planned(kept, "same")
        done = self._run.put(kept, asked, old, durable=False)
        with self._run.lock:
            self._run.left.append(done)
            if kept.severable() - self._run.news.keys():
                self._run.ahead.append(done)
        outputs = done.record.outputs if asked.custom else {}
        return Reply(urn=new.urn, id=done.record.id, outputs=outputs)

    def _forget(self, names: set[str]) -> None:
        """Let what was left as it was need nothing that the program registers only now.

        Neither by way of something that stays without being registered. What
        is registered now may need it, and a circle is no state.
        """
        with self._run.lock:
            for each in self._run.ahead:
                gone = {urn for urn in each.record.severable() if self._leads_to(names, urn)}
                if gone:
                    self._run.edit(each, each.record.without(gone))

    def _leads_to(self, names: set[str], urn: str) -> bool:
        """Return whether `urn`, or what it needs in the state and is not registered, is a name."""
        waiting, seen = [urn], {urn}
        while waiting:
            found = waiting.pop()
            if found in names:
                return True
            old = self._run.olds.get(found)
            if old is not None and not old.taken:
                further = old.record.needs() - seen
                waiting += further
                seen |= further
        return False

    def _only_configure(self, urn: str, asked: registration.Goal, old: run.Old | None) -> Reply:
        """Answer from the state; in a refresh or destroy only providers look at the program."""
        known = old.record if old is not None else None
        shown = known or record.Record(urn=urn, type=asked.type, custom=asked.custom)
        with self._run.lock:
            self._run.news[urn] = run.New(cell=-1, record=shown, goal=asked, skipped=known is None)
        if known is None or old is None:
            return Reply(urn=urn, outputs={}, unknown=True)
        if known.is_provider:
            self._providers.refresh_configuration(urn, asked, old)
        elif (
            asked.custom
            and not asked.provider
            and urns.package_of(asked.type) not in (asked.providers)
        ):
            self._providers.default(
                urns.package_of(asked.type), asked.version, f"{asked.type} '{asked.name}'"
            )
        return Reply(urn=urn, id=known.id, outputs=known.outputs if asked.custom else {})

    def _read(self, urn: str, asked: registration.Goal) -> Reply:
        above = self._run.news.get(asked.parent)
        asked = asked.inherit(above.goal if above else None)
        self._claim(urn)
        old = self._run.olds.get(urn)
        if old is not None:
            self._run.take(old)
        if self._run.mode != "up":
            return self._only_configure(urn, asked, old)
        new = _record(urn, asked).but(external=True, id=asked.read_id)
        self._require_known(new)
        new = new.but(provider=self._provider_of(asked))
        instance = self._calls.get(new.provider)
        unknown = asked.read_id == values.UNKNOWN_TEXT or values.has_unknown(asked.inputs)
        if instance.unknown or unknown:
            self._run.planned(new, "read")
            self._run.put(new, asked, old)
            return Reply(urn=urn, outputs={}, unknown=True)
        found = self._crud.read(instance, new.but(outputs=asked.inputs))
        if found is None:
            raise errors.StackError(
                f"{urn} does not exist: there is no '{asked.read_id}'", operation="read"
            )
        self._run.planned(new, "read")
        new = new.but(id=found.id)
        new, _ = outcomes.settled(new, found.outputs)
        if old is not None and not old.record.external and old.record.id != found.id:
            raise errors.StackError(
                f"{urn} is owned by this stack with another id, and is only read now",
                operation="read",
                hint="give what is read another name",
            )
        self._run.put(new, asked, old)
        return Reply(urn=urn, id=found.id, outputs=new.outputs)


def _record(urn: str, asked: registration.Goal) -> record.Record:
    return record.Record(
        urn=urn,
        type=asked.type,
        custom=asked.custom,
        inputs=asked.inputs,
        parent=asked.parent,
        protect=bool(asked.protect),
        dependencies=asked.dependencies,
        property_dependencies=asked.property_dependencies if asked.custom else {},
        provider=asked.provider if asked.custom else "",
        additional_secret_outputs=asked.additional_secret_outputs,
        custom_timeouts=asked.custom_timeouts,
        import_id=asked.import_id,
        retain_on_delete=bool(asked.retain_on_delete),
        deleted_with=asked.deleted_with,
        source_position=asked.source_position,
        ignore_changes=asked.ignore_changes,
        replace_on_changes=asked.replace_on_changes,
        replacement_trigger=asked.replacement_trigger,
    )
