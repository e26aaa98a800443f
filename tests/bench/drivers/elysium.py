"""The job by elysium's host layer: facts in one exec, then a stream and a bundle."""

from __future__ import annotations

import hashlib
import json
import pathlib
import sys
from concurrent import futures
from dataclasses import dataclass
from typing import Any

from provision.host import bundle, facts, session


@dataclass(frozen=True, kw_only=True)
class Login:
    """What the host layer reads of a node's configuration.

    The configuration's own models check a stack file; what they cost is in the whole `up`.
    """

    name: str
    host: str
    port: int
    user: str
    identity_file: str
    host_key: str
    agent: bool = False
    password: None = None
    passphrase: None = None
    sudo_password: None = None
    jump: None = None


def main(job_file: str, target_file: str) -> None:
    """Bring the node to the state of the job, and say how many things that changed."""
    job = json.loads(pathlib.Path(job_file).read_text())
    target = json.loads(pathlib.Path(target_file).read_text())
    node: Any = Login(
        name="bench",
        host=target["host"],
        port=target["port"],
        user=target["user"],
        identity_file=target["identityFile"],
        host_key=target["hostKey"],
    )
    request = facts.FactRequest(
        files=frozenset(x["path"] for x in (*job["files"], *job["directories"])),
        units=frozenset((job["service"], job["automount"])),
    )
    with session.NodeSession(node) as opened, futures.ThreadPoolExecutor() as pool:
        hashes = {x["path"]: pool.submit(_sha256, x["source"]) for x in job["files"]}
        found = opened.facts(request)
        changed = _converge(opened, job, found, {p: h.result() for p, h in hashes.items()})
    sys.stdout.write(f"changed={changed}\n")


def _converge(
    opened: session.NodeSession, job: dict[str, Any], found: facts.NodeFacts, wanted: dict[str, str]
) -> int:
    files = [x for x in job["files"] if not _same(found.file(x["path"]), x, wanted[x["path"]])]
    folders = [x for x in job["directories"] if not _same(found.file(x["path"]), x, None)]
    units = [found.unit(job[name]) for name in ("service", "automount")]
    stopped = [unit.name for unit in units if unit.active != "active"]
    restart = any(x["restart"] for x in files) and job["service"] not in stopped
    enable = tuple(unit.name for unit in units if unit.enabled != "enabled")
    for file in files:
        if file["big"]:
            opened.stream(
                pathlib.Path(file["source"]),
                file["path"],
                mode=int(file["mode"], 8),
                sha256=wanted[file["path"]],
            )
    wish = bundle.Bundle(
        directories=tuple(
            bundle.Directory(path=x["path"], mode=int(x["mode"], 8)) for x in folders
        ),
        files=tuple(
            bundle.File(
                path=x["path"],
                content=pathlib.Path(x["source"]).read_bytes(),
                mode=int(x["mode"], 8),
            )
            for x in files
            if not x["big"]
        ),
        reload=any(x["reload"] for x in files) or any(unit.needs_reload for unit in units),
        enable=enable,
        start=tuple(stopped),
        restart=(job["service"],) if restart else (),
    )
    opened.apply(wish)
    return len(files) + len(folders) + len(set(enable) | set(stopped))


def _same(fact: facts.FileFact | None, wanted: dict[str, Any], sha256: str | None) -> bool:
    return (
        fact is not None
        and (fact.mode, fact.uid, fact.gid) == (int(wanted["mode"], 8), 0, 0)
        and fact.sha256 == sha256
        and fact.kind == ("directory" if sha256 is None else "file")
    )


def _sha256(path: str) -> str:
    with pathlib.Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
