"""What a media library needs done, from facts and inputs. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from provision.change import Action, Change
from provision.host import facts as host_facts
from provision.host import scripts
from provision.provider import node_files
from provision.provider.media import existing, placement
from provision.provider.media import files as media_files
from provision.provider.media import scripts as media_scripts
from provision.provider.resource import Values

_BINARY = "media rclone"


@dataclass(frozen=True, kw_only=True)
class Binary:
    """The rclone that is there. `sha256` is empty for what is no regular file."""

    sha256: str
    mode: int = 0
    owner: tuple[int, int] = (0, 0)

    @classmethod
    def parse(cls, text: str) -> Binary | None:
        """Read what `scripts.hash_binary` prints; None: there is none."""
        fields = text.split()
        if len(fields) != 4:
            return cls(sha256="") if fields else None
        sha256, mode, uid, gid = fields
        return cls(sha256=sha256, mode=int(mode, 8), owner=(int(uid), int(gid)))


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the node said, and the sha256 that its rclone should have.

    `binary_sha256` is empty where that does not matter: no binary is there, or
    one of another version than is wanted.
    """

    node: host_facts.NodeFacts
    binary_sha256: str

    @property
    def binary(self) -> Binary | None:
        """The rclone that is there."""
        lines = self.node.snippet(_BINARY).splitlines()
        return Binary.parse("\n".join(placement.without(lines)))

    @property
    def place(self) -> placement.Placement:
        """Where rclone belongs on this node, and what starts it."""
        return placement.parse(self.node.snippet(_BINARY).splitlines())

    @property
    def before(self) -> media_files.Before | None:
        """What we noted when we came; None where we have not been."""
        noted = self.node.file(media_files.BEFORE)
        return media_files.Before.parse(noted.text) if noted is not None else None


def folders_snippet(inputs: Values) -> tuple[str, str]:
    """Return the snippet that tells which folders are there, unless that was noted before."""
    noted = " && ".join(
        f"grep -qsF -- {scripts.quote([line, media_files.BEFORE])}"
        for line in (
            f'"mountPoint": "{inputs["mountPoint"]}"',
            f'"cacheDir": "{inputs["cacheDir"]}"',
        )
    )
    folders = scripts.quote(media_files.folders(inputs))
    # Asking whether a path is there does not mount it.
    script = f'{noted} ||\nfor p in {folders}; do [ -e "$p" ] && echo "$p"; done'
    return f"media folders {inputs['mountPoint']} {inputs['cacheDir']}", script


def fact_request(inputs: Values) -> host_facts.FactRequest:
    """Return what is asked of the node for these (checked) inputs."""
    point = inputs["mountPoint"]
    units = (*media_files.unit_names(point), media_files.service_name(point))
    renewed = {media_files.CONFIG} if "token" in inputs["remote"] else set[str]()
    return host_facts.FactRequest(
        files=frozenset({media_files.LINK, media_files.CONFIG, "/dev/fuse"}),
        contents=frozenset(
            {media_files.BEFORE, media_files.PROVEN}
            | {media_files.unit_path(name) for name in units}
            | renewed
        ),
        units=frozenset(units),
        mounts=frozenset({inputs["mountPoint"]}),
        commands=frozenset({"fusermount3"}),
        snippets=frozenset(
            {
                folders_snippet(inputs),
                (_BINARY, media_scripts.hash_binary()),
                existing.snippet(inputs["mountPoint"]),
            }
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What follows from the facts.

    `files` are to be written, `removals` to be taken away; `stop` says that what is mounted
    must go first, `clear` that it is dead or failed, `start` that the automount is to be
    started anew. `moved` is what was noted of an earlier mount point or cache
    folder; `foreign` the type of something else that is mounted there.
    """

    place: placement.Placement
    fuse: bool
    binary: bool
    link: bool
    files: tuple[node_files.WantedFile, ...]
    removals: tuple[str, ...]
    moved: media_files.Before | None
    foreign: str
    clear: bool
    stop: bool
    start: bool
    enable: bool
    reload: bool
    changes: tuple[Change, ...]


def decide(facts: Facts, inputs: Values) -> Decision:
    """Decide what to do."""
    why = existing.why_taken_over(facts.node, inputs)
    if why == ():
        return _as_it_is(facts, inputs)
    place, node, at = facts.place, facts.node, inputs["mountPoint"]
    want = media_files.wanted(inputs, place)
    automount = node.unit(want.automount)
    units = _units(facts, want)
    there = node.mount(at)
    mounted = there is not None and there.fstype == media_files.FSTYPE
    failed = "failed" in [each.active for each in units]
    files = tuple(file for file in want.files if _differs(facts, inputs, file, want))
    binary, link, left = _binary(facts, inputs), _link(facts), _left(facts, want)
    proven = _proven(facts)[:1] == [want.proof]
    stale = not files and any(each.needs_reload for each in units)
    before = facts.before
    moved = (
        before
        if before and (before.mount_point, before.cache_dir) != (at, inputs["cacheDir"])
        else None
    )
    renew = want.automount_file in files or automount.active != "active"
    again = renew or stale or bool(files) or bool(left) or bool(binary) or not proven
    fuse = node.command("fusermount3") is None
    changes = [
        *([_taken_over(why)] if why else []),
        *([_change("packages.fuse3", "create", "install the package fuse3")] if fuse else []),
        *binary,
        *link,
        *node_files.plan_files(node, files),
        *[
            _change(f"files.{path}", "delete", f"remove {path}: mount(8) is enough")
            for path in left
        ],
        *_moved(moved, inputs),
        *([_change("systemd.reload", "run", "let systemd read its units again")] if stale else []),
        *_mount(facts, inputs, want, again=again),
        *_automount(automount),
    ]
    if not proven:
        changes.append(_change("listing", "run", f"list {at} through the automount"))
    return Decision(
        place=place,
        fuse=fuse,
        binary=bool(binary),
        link=bool(link),
        files=files,
        removals=left,
        moved=moved,
        foreign=there.fstype if there is not None and not mounted else "",
        clear=failed or (there is not None and mounted and not there.answers),
        stop=mounted and again,
        start=renew,
        enable=automount.enabled != "enabled",
        reload=bool(files) or bool(left) or stale,
        changes=tuple(changes),
    )


def _as_it_is(facts: Facts, inputs: Values) -> Decision:
    """Decide for a mount that was set up by hand as configured: only its state counts."""
    want, there = media_files.wanted(inputs), facts.node.mount(inputs["mountPoint"])
    automount = facts.node.unit(want.automount)
    failed = "failed" in (facts.node.unit(want.mount).active, automount.active)
    dead = there is not None and not there.answers
    return Decision(
        place=facts.place,
        fuse=False,
        binary=False,
        link=False,
        files=(),
        removals=(),
        moved=None,
        foreign="",
        clear=failed or dead,
        stop=False,
        start=automount.active != "active",
        enable=automount.enabled != "enabled",
        reload=False,
        changes=(*_mount(facts, inputs, want, again=False), *_automount(automount)),
    )


def _taken_over(why: tuple[str, ...]) -> Change:
    summary = f"take over the mount, which was set up by hand: {'; '.join(why)}"
    return _change("settings", "update", summary)


def _change(key: str, action: Action, summary: str) -> Change:
    return Change(property=key, action=action, summary=summary)


def _proven(facts: Facts) -> list[str]:
    proven = facts.node.file(media_files.PROVEN)
    return proven.text.split() if proven is not None else []


def _differs(
    facts: Facts, inputs: Values, file: node_files.WantedFile, want: media_files.Wanted
) -> bool:
    if not node_files.differs(facts.node, file):
        return False
    there = facts.node.file(file.path)
    if file is not want.config_file or "token" not in inputs["remote"]:
        return True
    if there is None or (there.kind, there.mode, there.uid, there.gid) != ("file", file.mode, 0, 0):
        return True
    # rclone renewed the token in the file we wrote: that one is the good one.
    same = media_files.without_token(there.text) == media_files.without_token(file.content.decode())
    return not same or file.sha256 not in _proven(facts)


def _units(facts: Facts, want: media_files.Wanted) -> list[host_facts.UnitFact]:
    names = [want.mount, want.automount]
    return [
        facts.node.unit(name) for name in [*names, *([want.service] if want.service_file else [])]
    ]


def _left(facts: Facts, want: media_files.Wanted) -> tuple[str, ...]:
    """Return the unit of the service where mount(8) starts rclone by now."""
    path = media_files.unit_path(want.service)
    there = facts.node.file(path)
    ours = there is not None and there.kind == "file" and there.text.startswith(media_files.HEADER)
    return (path,) if ours and want.service_file is None else ()


def _binary(facts: Facts, inputs: Values) -> list[Change]:
    path, version = facts.place.binary, inputs["rcloneVersion"]
    there = facts.binary
    if there is None:
        return [_change(f"files.{path}", "create", f"put rclone {version} at {path}")]
    if there.sha256 and there.sha256 == facts.binary_sha256:
        if (there.mode, there.owner) == (0o755, (0, 0)):
            return []
        return [_change(f"files.{path}", "update", f"set owner and mode of {path}")]
    had = f"sha256 {there.sha256[:8]}…" if there.sha256 else "what is no file"
    return [_change(f"files.{path}", "update", f"put rclone {version} at {path}, over {had}")]


def _link(facts: Facts) -> list[Change]:
    path, target = media_files.LINK, facts.place.binary
    if facts.place.service:
        return []
    there = facts.node.file(path)
    if there is not None and there.kind == "link" and there.target == target:
        return []
    action: Action = "create" if there is None else "update"
    return [_change(f"files.{path}", action, f"let {path} be a link to {target}")]


def _moved(moved: media_files.Before | None, inputs: Values) -> list[Change]:
    if moved is None:
        return []
    if moved.mount_point == inputs["mountPoint"]:
        return [_change("cacheDir", "delete", f"remove the cache in {moved.cache_dir}")]
    unit = media_files.unit_names(moved.mount_point)[0]
    return [_change(f"unit.{unit}", "delete", f"take away the mount at {moved.mount_point}")]


def _mount(facts: Facts, inputs: Values, want: media_files.Wanted, *, again: bool) -> list[Change]:
    at, there = inputs["mountPoint"], facts.node.mount(inputs["mountPoint"])
    units = _units(facts, want)
    key = f"unit.{want.mount}"
    if there is not None and there.fstype != media_files.FSTYPE:
        what = f"mount at {at}, where a file system of type {there.fstype} is"
        return [_change(key, "start", what)]
    if there is not None and not there.answers:
        reason = there.error.rsplit(": ", 1)[-1].strip() or "no answer"
        return [_change(key, "restart", f"mount {at} again: it is dead ({reason})")]
    if there is not None and again:
        return [_change(key, "restart", f"mount {at} again, as wanted now")]
    reasons = [one.result for one in units if one.active == "failed"]
    if reasons:
        return [_change(key, "restart", f"mount {at} again: it failed ({', '.join(reasons)})")]
    return []


def _automount(unit: host_facts.UnitFact) -> list[Change]:
    changes: list[Change] = []
    if unit.active != "active":
        state = unit.active if unit.exists else "not there"
        changes.append(
            _change(f"unit.{unit.name}", "start", f"start {unit.name}, which is {state}")
        )
    if unit.enabled != "enabled":
        changes.append(
            _change(f"enabled.{unit.name}", "update", f"have {unit.name} started at boot")
        )
    return changes
