"""``elysium:node:MediaMount``: a cloud remote as a folder, mounted at first use.

rclone's binary, its configuration, a mount and an automount unit; then a real
listing through the automount. A mount whose rclone died is taken away and
mounted again. What was there before us is noted on the node
(`files.BEFORE`) before anything is changed, so that a deletion, also one
by another machine, leaves the node as it was. A mount that was set up by hand
as configured is left as it is (`existing`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from provision import errors, secret
from provision.artifacts import catalog
from provision.change import Change
from provision.host import bundle
from provision.provider.context import Context
from provision.provider.media import existing, files, placement, scripts, validation
from provision.provider.media import plan as media_plan
from provision.provider.media.plan import Facts, fact_request
from provision.provider.resource import Observed, Resource, Values

if TYPE_CHECKING:
    from provision.host.session import NodeSession

__all__ = ["MediaMount", "fact_request"]

_HINTS = (
    (
        r"revealing password|couldn't decrypt password|failed to reveal",
        "a password in media.remote is not in the form that rclone reads; give it as it is, and"
        " set media.passwords: plain",
    ),
    (
        r"illegal base64|decode account key|bad private key|failed to parse private key",
        "a key in media.remote is cut short or has another form than the service gives: copy it"
        " again as it is",
    ),
    (
        r"AuthenticationFailed|AuthorizationFailure|InvalidAuthenticationInfo"
        r"|unable to authenticate"
        r"|SignatureDoesNotMatch|InvalidAccessKeyId|AccessDenied|Access denied|401 Unauthorized"
        r"|403 Forbidden|LOGON_FAILURE|530 |[Ll]ogin incorrect",
        "the service refuses the credentials in media.remote: check account, user, password, key"
        " or SAS; a password that looks like an obscured one needs media.passwords: plain",
    ),
    (
        r"ContainerNotFound|directory not found|InvalidResourceName",
        "media.path names no container or folder of the remote",
    ),
    (
        r"no such host|connection refused|i/o timeout|network is unreachable|no route to host",
        "the node does not reach the remote: check its name server, route and firewall",
    ),
    (r"unknown flag|invalid argument", "rclone does not know one of media.options"),
)


class MediaMount(Resource[Facts]):
    """One media library on one node. Times are in seconds."""

    type = "elysium:node:MediaMount"
    secret_inputs = frozenset({"remote"})

    def check(self, inputs: Values) -> tuple[dict[str, Any], list[errors.Problem]]:
        """Fill in defaults, and find what cannot work."""
        values = validation.filled(inputs)
        return values, list(validation.problems(values))

    def identity(self, inputs: Values) -> str:
        """Return the node's name: a node has one media library."""
        return str(inputs["node"])

    def observe(self, ctx: Context, inputs: Values, state: Values) -> Observed[Facts]:
        """Read files, units and the mount; what is not mounted is not touched."""
        node = ctx.node(inputs["node"]).facts(fact_request(inputs))
        facts = Facts(node=node, binary_sha256="")
        version = inputs["rcloneVersion"]
        # Another version is to come in any case: nothing is downloaded to find that out.
        stays = existing.why_taken_over(node, inputs) == ()
        if not stays and facts.binary is not None and state.get("rcloneVersion") in (None, version):
            wanted = ctx.artifacts().content_sha256(catalog.rclone(version), node.system.arch)
            facts = replace(facts, binary_sha256=wanted)
        ours = {files.BEFORE, files.CONFIG}
        ours |= {files.unit_path(n) for n in files.unit_names(inputs["mountPoint"])}
        exists = any(node.file(path) is not None for path in ours)
        return Observed(exists=exists, facts=facts)

    def plan(self, facts: Facts, inputs: Values, state: Values) -> tuple[Change, ...]:
        """List what differs. The configuration file is never shown."""
        return media_plan.decide(facts, inputs).changes

    def apply(
        self, ctx: Context, inputs: Values, facts: Facts, changes: tuple[Change, ...], state: Values
    ) -> dict[str, Any]:
        """Bring it about, then list.

        Raises `errors.WaitError` with the units' journal when the listing does
        not come, and the errors of the node's session and of the downloads.
        """
        del changes, state
        found = media_plan.decide(facts, inputs)
        session, at = ctx.node(inputs["node"]), inputs["mountPoint"]
        if found.foreign:
            raise errors.RemoteError(
                f"{at} is in use on node {inputs['node']}: "
                f"a file system of type {found.foreign} is mounted there",
                host=session.node.host,
                hint="unmount it, or choose another media.mountPoint",
            )
        before = _note(session, inputs, facts)
        if found.fuse:
            ctx.progress("installing fuse3")
            session.run(scripts.install_fuse(), timeout=600, what="installing fuse3")
        if facts.node.file("/dev/fuse") is None:
            session.run(scripts.need_device(), timeout=60, what="loading FUSE")
        if found.binary:
            _bring_binary(ctx, session, inputs, facts, before)
        if found.moved is not None and found.moved.mount_point != at:
            ctx.progress(f"taking away the mount at {found.moved.mount_point}")
            script = scripts.leave(found.moved)
            session.run(script, timeout=180, what=f"unmounting {found.moved.mount_point}")
        if found.clear:
            ctx.progress(f"clearing what is left of the mount at {at}")
            session.run(scripts.clear(at), timeout=120, what="clearing the mount")
        self._write(session, inputs, facts, found, before)
        if found.moved is not None and found.moved.cache_dir != inputs["cacheDir"]:
            script = scripts.drop_cache(found.moved)
            _warn(ctx, session.run(script, timeout=300, what="removing the old cache").text)
        if found.moved is not None:
            now = replace(before, mount_point=at, cache_dir=inputs["cacheDir"])
            session.apply(bundle.Bundle(files=(_file(now),)), what="noting what is there")
        _list(ctx, session, inputs, found.place)
        return {"rcloneVersion": inputs["rcloneVersion"]}

    def _write(
        self,
        session: NodeSession,
        inputs: Values,
        facts: Facts,
        found: media_plan.Decision,
        before: files.Before,
    ) -> None:
        want, cache = files.wanted(inputs, found.place), inputs["cacheDir"]
        stop = [want.mount] if found.stop and not found.clear else []
        if found.start and facts.node.unit(want.automount).active == "active":
            stop.append(want.automount)
        link = bundle.Link(path=files.LINK, target=found.place.binary)
        made = bundle.Directory(path=cache, mode=0o700)
        session.apply(
            bundle.Bundle(
                stop=tuple(stop),
                directories=(made,) if cache in before.absent else (),
                files=tuple(file.bundled for file in found.files),
                links=(link,) if found.link else (),
                removals=found.removals,
                reload=found.reload,
                enable=(want.automount,) if found.enable else (),
                start=(want.automount,) if found.start else (),
            ),
            timeout=240,
            what="writing the media library's files and units",
        )

    def outputs(self, facts: Facts, inputs: Values, state: Values) -> dict[str, Any]:
        """Return where it is."""
        return self.unknown_outputs(inputs)

    def unknown_outputs(self, inputs: Values) -> dict[str, Any]:
        """Return the outputs: all of them follow from the inputs."""
        point = inputs["mountPoint"]
        unit = files.unit_names(point)[0] if isinstance(point, str) else point
        return {"mountPoint": point, "unit": unit, "rcloneVersion": inputs["rcloneVersion"]}

    def delete(self, ctx: Context, inputs: Values, state: Values) -> None:
        """Unmount, and leave the node as it was before us; what others need by now stays."""
        values = validation.filled(inputs)
        session = ctx.node(values["node"])
        before = Facts(node=session.facts(fact_request(values)), binary_sha256="").before
        if before is None:
            # Nothing was noted: only what nobody else can have made is taken away.
            before = files.Before(mount_point=values["mountPoint"], cache_dir=values["cacheDir"])
        ctx.progress(f"unmounting {before.mount_point}")
        script = scripts.remove(before)
        _warn(ctx, session.run(script, timeout=600, what="removing the media library").text)


def _note(session: NodeSession, inputs: Values, facts: Facts) -> files.Before:
    """Note what was not there before us, and that nothing is proven from here on.

    Where the mount point or the cache moved, the note names the old one until
    that is gone.
    """
    there = set(facts.node.snippet(media_plan.folders_snippet(inputs)[0]).splitlines())
    absent = [path for path in files.folders(inputs) if path not in there]
    known = facts.before
    if known is None:
        link = facts.node.file(files.LINK)
        absent += [facts.place.binary] if facts.binary is None else []
        absent += [files.LINK] if link is None else []
        noted = files.Before(
            mount_point=inputs["mountPoint"],
            cache_dir=inputs["cacheDir"],
            absent=tuple(absent),
            link=(link.target or "") if link is not None else "",
            binary=facts.place.binary,
        )
    elif (known.mount_point, known.cache_dir) != (inputs["mountPoint"], inputs["cacheDir"]):
        noted = replace(known, absent=tuple(dict.fromkeys((*known.absent, *absent))))
    else:
        noted = known
    if noted.binary != facts.place.binary:
        # The program that was noted is gone, and cannot be put there any more.
        made = [facts.place.binary] if facts.binary is None else []
        noted = replace(
            noted,
            binary=facts.place.binary,
            absent=tuple(dict.fromkeys((*noted.absent, *made))),
        )
    proven = facts.node.file(files.PROVEN) is not None
    wanted = bundle.Bundle(
        files=() if noted == known else (_file(noted),),
        removals=(files.PROVEN,) if proven else (),
    )
    session.apply(wanted, what="noting what is there")
    return noted


def _file(noted: files.Before) -> bundle.File:
    return bundle.File(path=files.BEFORE, content=noted.text.encode(), mode=0o600)


def _bring_binary(
    ctx: Context, session: NodeSession, inputs: Values, facts: Facts, before: files.Before
) -> None:
    path, version = before.binary, inputs["rcloneVersion"]
    binary = ctx.artifacts().fetch(
        catalog.rclone(version), facts.node.system.arch, progress=ctx.progress
    )
    if path not in before.absent:
        aside = scripts.put_aside(path, facts.place.backup)
        session.run(aside, timeout=60, what=f"keeping the rclone at {path}")
    ctx.progress(f"uploading rclone {version}")
    session.stream(binary, path, mode=0o755)


def _list(ctx: Context, session: NodeSession, inputs: Values, place: placement.Placement) -> None:
    """List through the automount. Raises `errors.WaitError`."""
    at, timeout = inputs["mountPoint"], int(inputs["listTimeout"])
    ctx.progress(f"listing {at}")
    done = session.run(
        scripts.listing(
            at,
            files.what(inputs),
            timeout,
            files.wanted(inputs, place).proof_text,
            place.binary,
        ),
        timeout=timeout + 90,
        what=f"listing {at}",
        check=False,
    )
    if done.status == 0:
        if done.text.strip() == "absent":
            ctx.warn(f"the media library is empty: {inputs['path']!r} is not in the remote (yet)")
        return
    hidden = [
        secret.Secret(value)
        for options in (inputs["remote"], files.remote(inputs))
        for key, value in options.items()
        if isinstance(value, str) and key not in files.PUBLIC_OPTIONS and len(value) > 3
    ]
    said = secret.mask(f"{done.text}\n{done.error_text}".strip(), hidden)
    unit = files.unit_names(at)[0]
    hint = f"see journalctl -u '{unit}' on the node; running the same command again goes on"
    raise errors.WaitError(
        f"the media library at {at} on node {inputs['node']} cannot be listed",
        what=at,
        last_seen=said,
        hint=next((hint for pattern, hint in _HINTS if re.search(pattern, said)), hint),
    )


def _warn(ctx: Context, output: str) -> None:
    for line in output.splitlines():
        word, _, rest = line.partition(" ")
        if word == "kept":
            ctx.warn(f"files that rclone has not uploaded yet are kept in {rest} on the node")
        elif word == "left":
            ctx.warn(
                f"{rest} stays on the node: it is not elysium's, or something is mounted there"
            )
        elif word == "needed":
            ctx.warn(f"fuse3 stays on the node: {rest} needs it by now")
