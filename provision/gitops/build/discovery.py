"""All Flux Kustomizations of a cluster, found from its path, with their objects.

The objects are as the controller would apply them once everything is there:
values for substitution come from the ConfigMaps, Secrets and SealedSecrets of
the same repository, wherever in it they are. A value may decide which objects
there are, so that everything is read again until nothing changes any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from provision import errors, gitpaths, secret
from provision.gitops import documents
from provision.gitops.build import findings, flux, kustomize, rules, sources, validity, values
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.tree import Tree

_ROUNDS: Final = 50
"""Rounds until nothing changes: each follows one more level of Kustomizations or of values."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One Kustomization and what it applies.

    `parent` is the key of the one that makes it, None for the root. `unseen`
    is why its files are not seen, so that nothing is known of its objects.
    `remote` are the bases that its build leaves out because they lie elsewhere.
    `problems` are why it cannot be built or applied; `Discovered.problems` has each once.
    """

    kustomization: flux.Kustomization
    objects: tuple[documents.Document, ...]
    parent: flux.Key | None
    unseen: str = ""
    remote: tuple[str, ...] = ()
    problems: tuple[errors.Problem, ...] = ()

    @property
    def failed(self) -> bool:
        """Return whether it cannot be built or applied."""
        return bool(self.problems)


@dataclass(kw_only=True)
class Discovered:
    """What was found. `units` begin with the root; `problems` is what does not build.

    `own` is the source that stands for the repository itself, `expected` the one that bootstrap
    makes.
    """

    units: list[Unit]
    problems: list[errors.Problem]
    own: flux.Source
    expected: flux.Source
    rules: rules.Rules
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    trees: Mapping[flux.Source, Tree] = field(default_factory=dict[flux.Source, Tree])
    """The files of each source that is seen and that a Helm chart may lie in."""
    unconfined: str = ""
    """Why the kernel gave the builds no namespaces, so that only checks of the text protected."""
    opened: frozenset[str] = frozenset()
    """Every value that was decrypted for it, in clear."""


def discover(
    tree: Tree,
    path: str,
    *,
    keys: Sequence[sealing_keys.SealingKey] = (),
    root: flux.Root = flux.BOOTSTRAPPED,
    flux_version: str = "",
    given: Mapping[str, Tree] | None = None,
    addresses: Collection[str] = (),
    conceals: bool = False,
) -> Discovered:
    """Return every Kustomization that follows from the cluster folder `path`.

    The root is what bootstrap would make for `path` with the names `root`; where the repository
    itself holds the root's object, that is taken. `flux_version` decides the
    rules of the build. `given` are the files of other sources by name,
    `addresses` the repository's own URLs. `conceals`: a variable of a Secret stays as it
    is written, ``${NAME}``, so that no object shows its value. Never raises for what is
    wrong in the repository: that is in `problems`.
    """
    with _Builders() as builders:
        return _Discovery(
            tree,
            flux.root(path, root),
            values.Values(keys, conceals=conceals),
            sources.Sources(tree, given=given, addresses=addresses),
            rules.of(flux_version, tree, gitpaths.normal(path)),
            builders,
        ).run()


class _Builders:
    """One builder for each tree that is built from. A context manager."""

    def __init__(self) -> None:
        self._open: dict[int, kustomize.Builder] = {}
        self._built: dict[tuple[int, object], kustomize.Built] = {}

    def __enter__(self) -> _Builders:
        return self

    def __exit__(self, *_: object) -> None:
        for builder in self._open.values():
            builder.close()

    def build(self, wanted: Sequence[tuple[Tree, flux.Kustomization]]) -> list[kustomize.Built]:
        """Return what each Kustomization builds to from its tree; each is built once."""
        todo: dict[int, dict[str, tuple[Tree, flux.Kustomization]]] = {}
        for tree, one in wanted:
            if (id(tree), repr(one.overlay)) not in self._built:
                todo.setdefault(id(tree), {}).setdefault(repr(one.overlay), (tree, one))
        for number, found in todo.items():
            ones = list(found.values())
            builder = self._open.setdefault(number, kustomize.Builder(ones[0][0]))
            results = builder.build([one.overlay for _, one in ones])
            for (_, one), built in zip(ones, results, strict=True):
                self._built[number, repr(one.overlay)] = built
        return [self._built[id(tree), repr(one.overlay)] for tree, one in wanted]


@dataclass(frozen=True, kw_only=True)
class _Substituted:
    docs: list[documents.Document]
    problems: list[errors.Problem]


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A Kustomization, the one that makes it, and what was built for it, if it can be seen."""

    one: flux.Kustomization
    parent: flux.Key | None
    unseen: str = ""
    built: kustomize.Built | None = None


class _Discovery:
    def __init__(
        self,
        tree: Tree,
        root: flux.Kustomization,
        known: values.Values,
        origins: sources.Sources,
        ruled: rules.Rules,
        builders: _Builders,
    ) -> None:
        self._tree = tree
        self._root = root
        self._expected = root.source
        self._values = known
        self._sources = origins
        self._rules = ruled
        self._builders = builders
        self._kept: dict[flux.Key, tuple[object, _Substituted]] = {}

    def run(self) -> Discovered:
        written = sources.written_in(self._tree, self._root.source, self._root.path)
        self._sources.learn([written] if written else [], self._root.source)
        found = self._read([_Found(one=self._root, parent=None)])
        for _ in range(_ROUNDS):
            docs = [doc for key in found for doc in self._docs(found[key])]
            learnt = self._values.learn(docs)
            self._sources.learn(docs or ([written] if written else []), self._root.source)
            self._sources.follow([one.one for one in found.values()], self._root)
            again = self._read(self._followed(found))
            if again == found and not learnt:
                break
            found = again
        units = [self._unit(one) for one in found.values()]
        problems = [(p, unit.kustomization) for unit in units for p in unit.problems]
        built = [one.built for one in found.values() if one.built is not None]
        return Discovered(
            units=units,
            problems=findings.named(problems),
            own=self._sources.own,
            expected=self._expected,
            rules=self._rules,
            left_out=self._tree.left_out,
            trees=self._trees(units),
            unconfined=next((one.unconfined for one in built if one.unconfined), ""),
            opened=frozenset(self._values.opened),
        )

    def _trees(self, units: Sequence[Unit]) -> dict[flux.Source, Tree]:
        """Return the files of the sources in `units` and of the repository's own."""
        places = {documents.place_of(doc.obj) for unit in units for doc in unit.objects}
        wanted = [place for place in places if place[0] in sources.KINDS]
        views = {place: self._sources.of(place) for place in (*wanted, self._sources.own)}
        return {place: view.tree for place, view in views.items() if view.tree is not None}

    def _read(self, ones: Sequence[_Found]) -> dict[flux.Key, _Found]:
        """Return `ones` with their builds, by key."""
        views = [self._view(one.one) for one in ones]
        seen = [
            (view.tree, one.one)
            for one, view in zip(ones, views, strict=True)
            if view.tree is not None
        ]
        results = iter(self._builders.build(seen))
        return {
            one.one.key: replace(
                one, unseen=view.unseen, built=next(results) if view.tree is not None else None
            )
            for one, view in zip(ones, views, strict=True)
        }

    def _view(self, one: flux.Kustomization) -> sources.View:
        if one.key == self._root.key and not self._root.line:
            return self._sources.of(self._sources.own)
        if values.UNKNOWN.search(one.path):
            return sources.View(unseen=f"its path {one.path} holds a value that is not known")
        view = self._sources.of(one.source)
        reason = view.tree.submodule(one.path) if view.tree else ""
        if reason and self._sources.recurses(one.source):
            return sources.View(unseen=f"{reason} is a Git submodule, which is not looked into")
        return view

    def _followed(self, found: Mapping[flux.Key, _Found]) -> list[_Found]:
        """Return the root and every Kustomization that follows from it, as they are read now."""
        followed: dict[flux.Key, _Found] = {}
        for key in found:
            for doc in self._docs(found[key]):
                if flux.is_kustomization(doc.obj):
                    self._adopt(flux.read(doc))
        followed[self._root.key] = _Found(one=self._root, parent=None)
        queue = [self._root.key]
        while queue:
            key = queue.pop(0)
            if key not in found:
                continue
            for doc in self._docs(found[key]):
                if not flux.is_kustomization(doc.obj):
                    continue
                child = flux.read(doc)
                if child.key not in followed and not values.UNKNOWN.search(child.name):
                    followed[child.key] = _Found(one=child, parent=key)
                    queue.append(child.key)
        return list(followed.values())

    def _adopt(self, child: flux.Kustomization) -> None:
        """Take the root's object from the repository in place of the assumed one.

        With another path it is another cluster's, which bootstrap refuses. With another name
        it is what another tool made of the same folder.
        """
        if child.path != self._root.path:
            return
        same = child.key == self._root.key
        if same or (not self._root.line and child.source == self._sources.own):
            self._root = child

    def _docs(self, found: _Found) -> list[documents.Document]:
        return self._current(found).docs

    def _current(self, found: _Found) -> _Substituted:
        """Return the objects with the values known now, substituted only once."""
        one = found.one
        if found.built is None:
            return _Substituted(docs=[], problems=[])
        known = self._values.of(one)
        basis = (one, known, id(found.built))
        kept = self._kept.get(one.key)
        if kept is None or kept[0] != basis:
            problems: list[errors.Problem] = []
            docs = flux.substituted(
                one, found.built.objects, known, problems, strict=self._rules.strict
            )
            kept = (basis, _Substituted(docs=docs, problems=problems))
            self._kept[one.key] = kept
        return kept[1]

    def _build_problems(self, found: _Found) -> list[errors.Problem]:
        """Return what does not build, at the Kustomization where its own path is at fault."""
        one = found.one
        problems = found.built.problems if found.built else ()
        return [
            replace(
                p, where=one.where, key=str(one), message=f"spec.path {one.path!r}: {p.message}"
            )
            if p.where == (one.path or ".") and one.line
            else p
            for p in problems
        ]

    def _unit(self, found: _Found) -> Unit:
        one = found.one
        if found.built is None:
            return Unit(kustomization=one, objects=(), parent=found.parent, unseen=found.unseen)
        made = self._current(found)
        wrong = [*made.problems]
        wrong += [p for doc in made.docs for p in validity.problems(doc, one, self._rules.release)]
        return Unit(
            kustomization=one,
            objects=tuple(made.docs),
            parent=found.parent,
            remote=found.built.remote,
            problems=(*self._build_problems(found), *self._masked(one, wrong)),
        )

    def _masked(self, one: flux.Kustomization, wrong: list[errors.Problem]) -> list[errors.Problem]:
        """Return `wrong` without the values that `one` takes from Secrets."""
        hidden = self._values.secrets_of(one) if wrong else []
        return [
            replace(p, message=secret.mask(p.message, hidden), hint=secret.mask(p.hint, hidden))
            for p in wrong
        ]
