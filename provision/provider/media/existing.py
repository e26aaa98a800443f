"""A media library that was mounted by hand: what its units and its rclone say. Pure.

Facts: systemd.mount(5), rclone's documentation of ``rclone mount`` as a mount
helper (options with ``_`` or ``-``, ``args2env``, ``config=``) and of its
configuration file.
"""

from __future__ import annotations

import base64
import configparser
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provision import errors
from provision.host import facts, scripts
from provision.provider.media import files, obscure

HEADER = files.HEADER
SURVEY = "media-survey"
_IGNORED = frozenset({"rw", "-netdev", "nofail", "noauto", "x-systemd.automount"})
_CACHE = {"vfs-cache-mode": "off", "vfs-cache-max-size": "off"}


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is mounted, by which rclone. `version` is empty where it names none.

    `options` are mount options by rclone's names, without those that must be
    there in any case. `idle` is the automount's timeout in seconds, None where
    there is no automount.
    """

    remote: Mapping[str, str] = field(repr=False)
    path: str
    options: Mapping[str, str]
    version: str
    idle: int | None
    beyond: tuple[str, ...]


def snippet(mount_point: str) -> tuple[str, str]:
    """Return the fact snippet that looks at a mount which elysium did not set up.

    It prints rclone's version and the configuration file that the unit names;
    nothing where there is no unit, or it is ours.
    """
    mount = files.unit_path(files.unit_names(mount_point)[0])
    return f"media-found {mount_point}", script(scripts.quote([mount]))


def script(unit: str) -> str:
    """Return the shell text for the unit file `unit`, a quoted word or a variable."""
    return f"""\
u={unit}
[ -f "$u" ] && ! grep -qF -- {scripts.quote([HEADER])} "$u" || exit 0
r=$(readlink -f {files.LINK} 2>/dev/null); [ -x "$r" ] || r=$(command -v rclone)
[ -n "$r" ] && v=$(timeout 10 "$r" version 2>/dev/null | head -n 1) || v=
echo "version $v"
c=$(sed -e :a -e '/\\\\$/{{N;s/\\\\\\n[[:blank:]]*//;ba' -e '}}' "$u" |
sed -n 's/^Options=.*config=\\([^,"]*\\).*/\\1/p' | tail -n 1)
[ -f "$c" ] && cat -- "$c"
exit 0
"""


def survey() -> tuple[str, str]:
    """Return the fact snippet that finds every mount of rclone's, wherever it is mounted."""
    about = script('"$m"')
    return (
        SURVEY,
        f"""\
for m in {files.UNITS}/*.mount; do
[ -f "$m" ] && grep -qE '^Type=(fuse\\.)?rclone' "$m" || continue
grep -qF -- {scripts.quote([HEADER])} "$m" && continue
echo "mount $(base64 < "$m" | tr -d '\\n')"
a="${{m%.mount}}.automount"
[ -f "$a" ] && echo "automount $(base64 < "$a" | tr -d '\\n')"
echo "about $( ({about}) | base64 | tr -d '\\n')"
done
exit 0
""",
    )


def surveyed(node: facts.NodeFacts) -> tuple[tuple[str, Found], ...]:
    """Return where something of rclone's is mounted by hand, and what."""
    found: list[tuple[str, Found]] = []
    mount = ""
    automount: str | None = None
    for line in node.snippet(SURVEY).splitlines():
        word, _, packed = line.partition(" ")
        try:
            text = base64.b64decode(packed).decode(errors="replace")
        except ValueError as error:
            raise errors.ElysiumError(
                "what the node says of its rclone mounts cannot be read",
                detail=f"after {word!r} base64 is expected",
                hint="run it again; if it stays so, look at what the user's login prints",
            ) from error
        if word == "mount":
            mount, automount = text, None
        elif word == "automount":
            automount = text
        elif word == "about":
            at = _value(mount, "Where").replace("%%", "%")
            found.append((at, parse(mount, automount, text)))
    return tuple(found)


def read(node: facts.NodeFacts, mount_point: str) -> Found | None:
    """Return what is mounted at `mount_point` by hand; None for nothing, and for ours."""
    names = files.unit_names(mount_point)
    mount, automount = (node.file(files.unit_path(name)) for name in names)
    if mount is None or mount.kind != "file" or mount.text.startswith(HEADER):
        return None
    about = node.snippet(snippet(mount_point)[0])
    return parse(mount.text, automount.text if automount is not None else None, about)


def parse(mount: str, automount: str | None, about: str) -> Found:
    """Read the two units' texts and what the snippet printed."""
    beyond: list[str] = []
    if _value(mount, "Type") not in ("rclone", "fuse.rclone"):
        beyond.append("it is no mount of type rclone")
    name, separator, path = _value(mount, "What").replace("%%", "%").partition(":")
    first, _, config = about.partition("\n")
    remote = _section(config, name)
    if not separator or not remote:
        beyond.append(f"the remote {name!r} is not in the configuration file that its unit names")
    version = re.search(r"rclone (v\d+\.\d+\.\d+)", first)
    idle = None
    if automount is not None:
        text = _value(automount, "TimeoutIdleSec")
        idle = int(re.sub(r"\D", "", text) or 0)
        if text and not re.fullmatch(r"\d+s?", text):
            beyond.append(f"its idle timeout is {text}")
    options = _options(_value(mount, "Options").replace("%%", "%"))
    return Found(
        remote=remote,
        path=path,
        options=options,
        version=version[1] if version else "",
        idle=idle,
        beyond=tuple(beyond),
    )


def why_taken_over(node: facts.NodeFacts, inputs: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return why a mount that was set up by hand cannot stay as it is.

    Empty: it is as configured, and none of its files is touched. None: there
    is no such mount. Values are not named: some are secret.
    """
    found = read(node, inputs["mountPoint"])
    if found is None:
        return None
    why = list(found.beyond)
    wanted = {k: files.plain(v) for k, v in files.remote(inputs).items()}
    if not obscure.same(wanted, found.remote):
        why.append("its remote is another")
    if found.path.strip("/") != str(inputs["path"]).strip("/"):
        why.append("it shows another path")
    if found.version and found.version != inputs["rcloneVersion"]:
        why.append(f"its rclone is {found.version}")
    if found.idle is None:
        why.append("it is not mounted at first use")
    elif found.idle != int(inputs["idleTimeout"]):
        why.append("its idle timeout is another")
    want = _options(",".join(files.mount_options(dict(inputs))))
    have = dict(found.options)
    if "cache-dir" not in have:
        want.pop("cache-dir", None)
    differing = sorted(
        key
        for key in have.keys() | want.keys()
        if have.get(key, _CACHE.get(key)) != want.get(key, _CACHE.get(key))
    )
    why += [f"its option {key} is another" for key in differing]
    return tuple(why)


def _value(unit: str, key: str) -> str:
    found = re.findall(rf"^{key}\s*=\s*(.*?)\s*$", re.sub(r"\\\s*\n\s*", " ", unit), re.MULTILINE)
    return found[-1] if found else ""


def _options(text: str) -> dict[str, str]:
    result: dict[str, str] = {}
    for part in re.findall(r'(?:[^,"]|"[^"]*")+', text):
        key, separator, value = part.strip().partition("=")
        name = files.option_name(key)
        if name in _IGNORED | files.FIXED_OPTIONS | {"config"}:
            continue
        name = {"ro": "read-only"}.get(name, name)
        result[name] = value.strip('"') if separator else "true"
    return result


def _section(config: str, name: str) -> dict[str, str]:
    reader = configparser.RawConfigParser(
        delimiters=("=",), comment_prefixes=("#", ";"), strict=False, default_section="\0"
    )
    reader.optionxform = str  # type: ignore[assignment,method-assign] - rclone's keys as they are
    try:
        reader.read_string(config)
    except configparser.Error:
        return {}
    return dict(reader.items(name)) if reader.has_section(name) else {}
