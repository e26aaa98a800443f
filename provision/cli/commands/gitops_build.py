"""``elysium gitops build``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provision.cli import gitopstrees, lazy
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.gitops.build.discovery import Discovered, Unit
    from provision.gitops.sealing.keys import SealingKey


@click.command(
    cls=lazy.Command,
    examples="""
    elysium gitops build                              # all of them, in the order of Flux
    elysium gitops build apps
    elysium gitops build apps --repo ~/homelab --path clusters/kyrion
    elysium gitops build apps --show-secrets --keys sealing-keys.yaml | kubectl diff -f -
    """,
)
@click.argument("name", required=False)
@click.option(
    "--repo", "directory", default=".", type=gitopstrees.DIRECTORY, help="The checkout. Default: ."
)
@gitopstrees.options
@click.option(
    "--show-secrets",
    is_flag=True,
    help="Print the values of Secrets, and use them for variables. Default: hashes.",
)
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --show-secrets: the sealing keys that open SealedSecrets for variables.",
)
@click.pass_obj
def build(
    called: Settings,
    name: str | None,
    directory: Path,
    path: str | None,
    given: tuple[str, ...],
    flux_version: str,
    show_secrets: bool,
    keys: Path | None,
) -> None:
    """Print what a Kustomization applies.

    Builds the Kustomization NAME (namespace/name, or the name alone in
    flux-system) as Flux does, substitutes its variables, and prints the
    objects as YAML. A comment before each object names its file. Without
    NAME, all Kustomizations of the cluster are printed. A variable whose
    value is not known stays as it is written. Exits with 3 when one does not
    build. With --json: one object with the list of Kustomizations.
    """
    from provision import errors
    from provision.gitops import concealment, tree
    from provision.gitops.build import findings

    if keys is not None and not show_secrets:
        raise click.UsageError("--keys opens secrets, which are printed only with --show-secrets")
    read = tree.Tree.from_directory(directory)
    folder = gitopstrees.cluster(called, read, path)
    found = gitopstrees.discover(
        read,
        folder,
        given=given,
        version=flux_version,
        keys=_opened(called, keys),
        conceals=not show_secrets,
    )
    units = _ordered(found) if name is None else [_named(found, name)]
    shown = dict if show_secrets else concealment.Concealer().conceal
    if called.json:
        listed = [_to_json(unit, shown) for unit in units]
        called.terminal.data({"kustomizations": listed}, secrets=show_secrets)
    else:
        put = called.terminal.reveal if show_secrets else called.terminal.result
        for unit in units:
            put(_text(unit, shown).rstrip("\n"))
    for unit in units:
        for base in unit.remote:
            called.terminal.warn(f"{unit.kustomization}: {base} lies elsewhere and is left out")
        if unit.unseen:
            called.terminal.warn(f"{unit.kustomization} is not built: {unit.unseen}")
    problems = findings.named((p, unit.kustomization) for unit in units for p in unit.problems)
    if problems:
        failed = [str(unit.kustomization) for unit in units if unit.failed]
        raise errors.GitOpsError(f"{findings.in_words(failed)} cannot be applied", problems)
    if name is not None and units[0].unseen:
        raise errors.GitOpsError(
            f"the files of Kustomization {name} are not here",
            [],
            hint="name the folder of its source: --source NAME=DIR",
        )


def _opened(called: Settings, keys: Path | None) -> list[SealingKey]:
    if keys is None:
        return []
    from provision.cli import sealingkeys

    return sealingkeys.read(called, keys)


def _ordered(found: Discovered) -> list[Unit]:
    """Return all Kustomizations, dependencies first."""
    from provision.gitops.build import flux

    units = {unit.kustomization.key: unit for unit in found.units}
    return [units[one.key] for one in flux.ordered([unit.kustomization for unit in found.units])]


def _named(found: Discovered, name: str) -> Unit:
    """Return the Kustomization `name`. Raises `errors.ConfigError` where there is none."""
    from provision import errors

    for unit in found.units:
        one = unit.kustomization
        if name in (str(one), f"{one.namespace}/{one.name}"):
            return unit
    known = [str(unit.kustomization) for unit in found.units]
    near = difflib.get_close_matches(name, known, 1)
    raise errors.ConfigError(
        f"no Kustomization {name} follows from the cluster's folder",
        [],
        hint=f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}",
    )


def _text(unit: Unit, shown: Callable[[Mapping[str, Any]], dict[str, Any]]) -> str:
    """Return the objects of `unit` as one YAML stream, with comments about their origin."""
    from provision.gitops import documents

    one = unit.kustomization
    head = f"Kustomization {one.namespace}/{one.name}: {one.path or '.'} ({one.where})"
    lines = [_comment(head)]
    if unit.unseen:
        lines.append(_comment(f"not built: {unit.unseen}"))
    for doc in unit.objects:
        lines += ["---\n", _comment(doc.where), documents.dump(shown(doc.obj))]
    return "".join(lines)


def _comment(text: str) -> str:
    return f"# {' '.join(text.split())}\n"


def _to_json(unit: Unit, shown: Callable[[Mapping[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    one = unit.kustomization
    return {
        "name": one.name,
        "namespace": one.namespace,
        "path": one.path,
        "where": one.where,
        "unseen": unit.unseen,
        "remote": list(unit.remote),
        "problems": [
            {"where": p.where, "key": p.key, "message": p.message, "hint": p.hint}
            for p in unit.problems
        ],
        "objects": [{"where": doc.where, "object": shown(doc.obj)} for doc in unit.objects],
    }
