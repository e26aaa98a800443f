"""Which datastore a k3s server has, and which one it is to have. Pure.

Facts (k3s' source, pkg/cluster and pkg/etcd, and what a real k3s leaves): the
folder ``server/db/etcd`` proves nothing, because k3s writes the file ``name``
into it with SQLite too. Only etcd makes ``member``. Where that exists, k3s uses
etcd whatever it is told. Told ``cluster-init`` over SQLite, k3s copies the
objects to etcd at its next start, asks nobody, and has no way back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, Literal

from provision import errors
from provision.host import facts, scripts
from provision.provider.k3s import binaries, existing, files

Kind = Literal["sqlite", "etcd"]
NAMES: Final[dict[Kind, str]] = {"sqlite": "SQLite", "etcd": "etcd"}
SNIPPET: Final = "k3s-cluster-init"
MIGRATE: Final = "elysium up --migrate-datastore"


def snippet() -> tuple[str, str]:
    """Return the fact snippet that names the drop-ins which ask for etcd."""
    quotes = "[\"']?"
    pattern = (
        f"^{quotes}cluster-init{quotes}[+]?[[:space:]]*:[[:space:]]*"
        f"{quotes}(true|t|1|yes|y|on){quotes}[[:space:]]*(#|$)"
    )
    script = f"""\
for f in {files.DROP_INS}/*.yaml {files.DROP_INS}/*.yml; do
[ -f "$f" ] && grep -qiE {scripts.quote([pattern])} "$f" && printf '%s\\n' "$f"
done
exit 0
"""
    return SNIPPET, script


def kind(node: facts.NodeFacts, inputs: Mapping[str, Any]) -> Kind | None:
    """Return the datastore on the node's disk; None where there is none, or k3s uses another.

    An external datastore (``datastore-endpoint``) makes k3s pass over SQLite's
    file, but not over etcd.
    """
    sqlite, etcd = files.places(inputs).databases
    if node.file(etcd) is not None:
        return "etcd"
    if (inputs.get("options") or {}).get("datastore-endpoint"):
        return None
    return "sqlite" if node.file(sqlite) is not None else None


def configured(inputs: Mapping[str, Any]) -> Kind:
    """Return the datastore that the configuration names."""
    return "etcd" if inputs.get("datastore") == "etcd" else "sqlite"


def migrates(node: facts.NodeFacts, inputs: Mapping[str, Any]) -> bool:
    """Return whether this run is to move the datastore from SQLite to etcd."""
    asked = bool(inputs.get("migrateDatastore")) and configured(inputs) == "etcd"
    return asked and kind(node, inputs) == "sqlite"


def settled(node: facts.NodeFacts, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return `inputs` with the datastore that k3s may be told.

    The configuration decides for a new datastore only. Over SQLite, etcd is
    asked for by nothing but `migrateDatastore`.
    """
    values = dict(inputs)
    if kind(node, inputs) == "sqlite" and not migrates(node, inputs):
        values["datastore"] = "sqlite"
    return values


def problems(
    node: facts.NodeFacts, inputs: Mapping[str, Any], where: str, *, migrate: bool = False
) -> list[errors.Problem]:
    """Return why `up` may not go on with the datastore of the node.

    `migrate`: the user asks for the move from SQLite to etcd.
    """
    found, wanted = kind(node, inputs), configured(inputs)
    sqlite, etcd = files.places(inputs).databases
    problem: tuple[str, str] | None = None
    if migrate and wanted == "sqlite":
        problem = (
            "--migrate-datastore moves the datastore to etcd, and k3s.datastore is sqlite",
            "set k3s.datastore to etcd, or leave the option out; nothing moves etcd to SQLite",
        )
    elif migrate and found == "etcd" and node.file(sqlite) is not None:
        problem = (
            f"both datastores are on the node, SQLite ({sqlite}) and etcd ({etcd}): k3s uses etcd "
            "and does not move SQLite again",
            "k3s still moves it (then wait a minute and run this again), an earlier move was "
            "interrupted, or an etcd snapshot was restored. Without "
            "--migrate-datastore, the cluster goes on with etcd. To repeat the move: stop k3s on "
            f"the node, move {etcd.rpartition('/')[0]} to another place, start k3s, and run this "
            "again",
        )
    elif found == "etcd" and wanted == "sqlite":
        problem = (
            f"k3s.datastore is sqlite, and the cluster keeps its data in etcd ({etcd})",
            "set k3s.datastore to etcd: nothing moves etcd to SQLite" + _fresh(node, inputs),
        )
    elif found == "sqlite" and wanted == "etcd" and not migrate:
        problem = (
            f"k3s.datastore is etcd, and the cluster keeps its data in SQLite ({sqlite})",
            "set k3s.datastore to sqlite to keep it, or move the data to etcd for good: "
            f"{MIGRATE} makes a backup first, and the move cannot be undone" + _fresh(node, inputs),
        )
    elif found == "sqlite" and not migrate and drop_ins(node):
        problem = (
            f"the cluster keeps its data in SQLite ({sqlite}), and {', '.join(drop_ins(node))} "
            "sets cluster-init: k3s would move the data to etcd at its next start",
            "remove cluster-init from the file to keep SQLite; to move for good, set "
            f"k3s.datastore to etcd and run {MIGRATE}",
        )
    if problem is None:
        return []
    return [
        errors.Problem(
            message=problem[0], hint=problem[1], where=where, key="k3s.datastore", kind="datastore"
        )
    ]


def drop_ins(node: facts.NodeFacts) -> tuple[str, ...]:
    """Return the user's files that ask for etcd."""
    return tuple(line for line in node.snippet(SNIPPET).splitlines() if line)


def remarks(node: facts.NodeFacts, inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what about the datastore differs from the configuration and stays so."""
    found, name = kind(node, inputs), inputs["node"]
    sqlite, etcd = files.places(inputs).databases
    said: list[str] = []
    if found is not None and found != configured(inputs) and not migrates(node, inputs):
        move = "" if found == "etcd" else f", or move it for good with {MIGRATE}"
        said.append(
            f"the cluster on {name} keeps its data in {NAMES[found]} and goes on doing so: "
            f"set k3s.datastore to {found}{move}"
        )
    if found == "etcd" and node.file(sqlite) is not None:
        said.append(
            f"both datastores are on {name}: k3s uses etcd ({etcd}) and does not read {sqlite}. "
            "If a move to etcd was interrupted, objects may be missing from etcd: compare with "
            "the backup that was made before the move; else remove the file"
        )
    return tuple(said)


def leftover(node: facts.NodeFacts, inputs: Mapping[str, Any]) -> str:
    """Return what to tell of a datastore on a node without k3s; empty where there is none.

    k3s continues the cluster in a datastore that it finds, whoever left it there.
    """
    found = kind(node, inputs)
    if found is None or node.file(files.UNIT) is not None or node.unit(files.UNIT_NAME).exists:
        return ""
    return f"adopt the cluster {_described(node, inputs, found)}{_fresh(node, inputs)}"


def unrecorded(node: facts.NodeFacts, inputs: Mapping[str, Any]) -> str:
    """Return what to tell of a datastore that the stack's state does not know.

    Empty where there is none, and for a server that was set up by hand: the
    plan and `elysium adopt` tell of that.
    """
    found = kind(node, inputs)
    if found is None or existing.read(node) is not None:
        return ""
    script = files.places(binaries.placed(node, inputs)).uninstall
    fresh = _fresh(node, inputs) or (
        f"; to start fresh instead, uninstall k3s on the node first ({script}, which "
        "deletes its data)"
    )
    return (
        f"this stack has not set up the cluster {_described(node, inputs, found)}, unless an "
        f"earlier run was interrupted: elysium up adopts it{fresh}"
    )


def _described(node: facts.NodeFacts, inputs: Mapping[str, Any], found: Kind) -> str:
    path = files.places(inputs).databases[0 if found == "sqlite" else 1]
    fact = node.file(path)
    assert fact is not None  # noqa: S101 - `kind` found it
    written = time.strftime("%Y-%m-%d", time.gmtime(fact.mtime))
    return f"that {inputs['node']} already holds ({NAMES[found]} in {path}, written {written})"


def _fresh(node: facts.NodeFacts, inputs: Mapping[str, Any]) -> str:
    """Return how to start without the datastore of an earlier cluster, where k3s is not set up."""
    if node.file(files.UNIT) is not None or node.unit(files.UNIT_NAME).exists:
        return ""
    server = f"{files.places(inputs).data}/server"
    return f"; to start fresh instead, move it away on the node: mv {server} {server}.old"
