"""From the output of a facts script to `NodeFacts`. Pure."""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from provision.host import collect, facts, parse_system


class LackingTools(Exception):
    """Programs of the script that the node does not have: its arguments."""


class UnreadableFacts(ValueError):
    """The output is not that of a facts script, or the node changed meanwhile."""


@dataclass
class _Raw:
    """The fields of one output, by tag."""

    values: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    entries: dict[str, list[str]] = field(default_factory=dict)
    pairs: dict[str, dict[str, str]] = field(default_factory=dict)
    tail: bytes | None = None


_PAIRED = {"link": "target", "dead": "error", "command": "at", "snippet": "output"}


def parse(
    output: bytes, request: facts.FactRequest, *, sent: float, received: float
) -> facts.NodeFacts:
    """Read the output of ``collect.render(request)``.

    `sent` and `received` are this machine's clock (seconds since 1970) before
    and after, to judge the node's. Raises `UnreadableFacts` and `LackingTools`.
    """
    try:
        return _read(_split(output), request, sent=sent, received=received)
    except UnreadableFacts:
        raise
    except (ValueError, KeyError, IndexError) as error:
        raise UnreadableFacts(f"the output is not that of the script: {error}") from error


def _read(
    raw: _Raw, request: facts.FactRequest, *, sent: float, received: float
) -> facts.NodeFacts:
    if lacking := raw.values.get("lacking"):
        raise LackingTools(*lacking.split())
    found = _files(raw, request)
    return facts.NodeFacts(
        request=request,
        system=parse_system.system(raw.values, sent=sent, received=received),
        files=found,
        listings={
            path: tuple(sorted(entry.rsplit("/", 1)[1] for entry in entries))
            for path, entries in raw.entries.items()
        },
        units=_units(raw.values.get("units", ""), request.units),
        mounts=_mounts(raw, request.mounts),
        commands=raw.pairs.get("command", {}),
        ports=_ports(raw.values.get("ports", "")) & request.ports,
        disks=_disks(raw.values.get("disks", ""), sorted(request.disks)),
        snippets=raw.pairs.get("snippet", {}),
    )


def _split(output: bytes) -> _Raw:
    mark = collect.MARK.encode() + b"\0"
    start = output.find(mark)  # a login shell may have said something before
    if start < 0:
        raise UnreadableFacts("the node's shell did not run the script")
    position = start + len(mark)
    raw = _Raw()
    directory = ""
    pending: tuple[str, str] | None = None
    while True:
        tag, position = _field(output, position)
        if tag == "end":
            return raw
        if tag == "contents":
            # Raw bytes up to the end mark; a NUL inside is no separator.
            if not output.endswith(b"\0end\0"):
                raise UnreadableFacts("the output ends in the middle")
            raw.tail = output[position : -len(b"\0end\0")]
            return raw
        value, position = _field(output, position)
        if tag == "file":
            raw.files.append(value)
        elif tag == "dir":
            directory = value
            raw.entries[directory] = []
        elif tag == "entry":
            raw.files.append(value)
            raw.entries[directory].append(value)
        elif tag in _PAIRED:
            pending = (tag, value)
        elif pending is not None and _PAIRED[pending[0]] == tag:
            raw.pairs.setdefault(pending[0], {})[pending[1]] = value
            pending = None
        else:
            raw.values[tag] = value


def _field(output: bytes, position: int) -> tuple[str, int]:
    end = output.find(b"\0", position)
    if end < 0:
        raise UnreadableFacts("the output ends in the middle")
    # surrogateescape: a name that is not UTF-8 stays what it is.
    return output[position:end].decode("utf-8", "surrogateescape"), end + 1


def _files(raw: _Raw, request: facts.FactRequest) -> dict[str, facts.FileFact]:
    lines = raw.values.get("stat", "").splitlines()
    if len(lines) != len(raw.files):
        raise UnreadableFacts("a file came or went while the facts were read")
    targets = raw.pairs.get("link", {})
    found: dict[str, facts.FileFact] = {}
    ordered: list[facts.FileFact] = []
    for path, line in zip(raw.files, lines, strict=True):
        mode_hex, uid, gid, size, mtime = line.split()
        mode = int(mode_hex, 16)
        kind: facts.Kind = "other"
        if stat.S_ISREG(mode):
            kind = "file"
        elif stat.S_ISDIR(mode):
            kind = "directory"
        elif stat.S_ISLNK(mode):
            kind = "link"
        one = facts.FileFact(
            path=path,
            kind=kind,
            mode=stat.S_IMODE(mode),
            uid=int(uid),
            gid=int(gid),
            size=int(size),
            mtime=int(mtime),
            target=targets.get(path, "").removesuffix("\n") if kind == "link" else None,
        )
        ordered.append(one)
        found[path] = one
    regular = [one.path for one in ordered if one.kind == "file"]
    hashes = [line.lstrip("\\")[:64] for line in raw.values.get("hashes", "").splitlines()]
    if len(hashes) != len(regular):
        raise UnreadableFacts("a file came or went while the facts were read")
    for path, digest in zip(regular, hashes, strict=True):
        found[path] = replace(found[path], sha256=digest)
    return _with_contents(found, raw.tail or b"", sorted(request.contents))


def _with_contents(
    found: dict[str, facts.FileFact], tail: bytes, wanted: list[str]
) -> dict[str, facts.FileFact]:
    """Cut the bytes at the end into files; each must have the hash that was told."""
    position = 0
    for path in wanted:
        one = found.get(path)
        if one is None or one.kind != "file":
            continue
        content = tail[position : position + one.size]
        position += one.size
        if hashlib.sha256(content).hexdigest() != one.sha256:
            raise UnreadableFacts("a file changed while the facts were read")
        found[path] = replace(one, content=content)
    if position != len(tail):
        raise UnreadableFacts("a file changed while the facts were read")
    return found


def _units(text: str, wanted: frozenset[str]) -> dict[str, facts.UnitFact]:
    """Read ``systemctl show``: blocks in the order of the names, blank lines between."""
    names = sorted(wanted)
    blocks = [_assignments(block) for block in text.strip("\n").split("\n\n")] if text else []
    if not blocks:
        return {}
    if len(blocks) != len(names):
        raise UnreadableFacts("systemd did not answer for every unit")
    return {name: _unit(name, block) for name, block in zip(names, blocks, strict=True)}


def _unit(name: str, block: Mapping[str, str]) -> facts.UnitFact:
    return facts.UnitFact(
        name=name,
        load=block.get("LoadState", ""),
        active=block.get("ActiveState", ""),
        enabled=block.get("UnitFileState", ""),
        result=block.get("Result", ""),
        needs_reload=block.get("NeedDaemonReload", "") == "yes",
    )


def _assignments(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _mounts(raw: _Raw, wanted: frozenset[str]) -> dict[str, facts.MountFact]:
    """Read mountinfo (proc(5)); later lines lie on top of earlier ones."""
    dead = raw.pairs.get("dead", {})
    found: dict[str, facts.MountFact] = {}
    for line in raw.values.get("mountinfo", "").splitlines():
        left, separator, right = line.partition(" - ")
        before, after = left.split(), right.split()
        if not separator or len(before) < 6 or len(after) < 2:
            continue
        path = _unescape(before[4])
        if path not in wanted or after[0] == "autofs":
            continue
        found[path] = facts.MountFact(
            fstype=after[0],
            source=_unescape(after[1]),
            answers=path not in dead,
            error=dead.get(path, ""),
        )
    return found


def _unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def _ports(text: str) -> frozenset[int]:
    """Read the listening lines of /proc/net/tcp: the local address is the second word."""
    ports: set[int] = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) > 3 and words[3] == "0A":
            ports.add(int(words[1].rsplit(":", 1)[1], 16))
    return frozenset(ports)


def _disks(text: str, wanted: list[str]) -> dict[str, facts.DiskFact]:
    """Read ``df -Pk``: one line an argument, in order, after the heading."""
    lines = re.findall(r"\s(\d+)\s+\d+\s+(-?\d+)\s+(?:\d+%|-)\s", text)
    if len(lines) != len(wanted):
        return {}
    return {
        path: facts.DiskFact(free=max(0, int(free)) * 1024, size=int(size) * 1024)
        for path, (size, free) in zip(wanted, lines, strict=True)
    }
