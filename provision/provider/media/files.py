"""What the media library has on its node: paths, units, configuration. Pure.

Facts: rclone's documentation of ``rclone mount`` (mount helper, args2env, mount
units without HOME) and of its configuration file, systemd.mount(5),
systemd.automount(5), systemd.unit(5) on escaping.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import json
import shlex
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provision import safejson
from provision.provider import node_files
from provision.provider.media import obscure, placement

BINARY = placement.ALL[0].binary
"""The program's usual place."""
LINK = placement.LINK
CONFIG = "/etc/rclone/elysium-media.conf"
STATE = "/var/lib/elysium/media"
BEFORE = f"{STATE}/before.json"
"""What was there before us, so that a deletion can leave it so."""
PACKAGES = f"{STATE}/packages"
"""Names of the packages that we installed, one a line."""
PROVEN = f"{STATE}/proven"
"""What the last good listing went through; absent while something is being changed."""
HASHED = f"{STATE}/binary"
"""The binary's sha256, and of which state of the file: hashing it takes a quarter of a second."""
SHOWN = f"{STATE}/mounted"
"""Where the service mounts, for the mount unit to show; used where mount(8) finds no rclone."""
UNITS = "/etc/systemd/system"
HEADER = "# Written by elysium;"
"""How each of our units begins."""
UNIT_NAME_MAX = 255
"""Characters of a unit's name (systemd.unit(5)); more are no file name either."""
REMOTE = "media"
FSTYPE = "fuse.rclone"

OWN_OPTIONS = {
    "config": "media.remote",
    "cache-dir": "media.cacheDir",
    "vfs-cache-mode": "media.cacheMode",
    "vfs-cache-max-size": "media.cacheSize",
    "read-only": "media.readOnly",
    "ro": "media.readOnly",
    "rw": "media.readOnly",
}
"""Mount options that have a place of their own in the configuration."""
FIXED_OPTIONS = frozenset(
    {"allow-other", "args2env", "command", "daemon", "-netdev", "syslog", "log-file"}
)
"""Mount options that are as they are: units and error messages depend on them."""
PUBLIC_OPTIONS = frozenset(
    {"type", "account", "provider", "vendor", "endpoint", "region", "url", "host", "port", "user"}
)
"""Options of a remote that are no secret."""

_UNESCAPED = frozenset((string.ascii_letters + string.digits + ":_.").encode())


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Everything that is to be on the node, but the binary; `proof` names all of it."""

    mount: str
    automount: str
    config_file: node_files.WantedFile
    mount_file: node_files.WantedFile
    automount_file: node_files.WantedFile
    proof: str
    service: str
    service_file: node_files.WantedFile | None = None

    @property
    def files(self) -> tuple[node_files.WantedFile, ...]:
        """All files, configuration first."""
        service = () if self.service_file is None else (self.service_file,)
        return self.config_file, *service, self.mount_file, self.automount_file

    @property
    def proof_text(self) -> str:
        """The content of `PROVEN` after a good listing."""
        return f"{self.proof}\n{self.config_file.sha256}\n"


def escape_path(path: str) -> str:
    r"""Return `path` as systemd names units after it: ``/mnt/a-b`` is ``mnt-a\x2db``."""
    parts = [part for part in path.split("/") if part]
    if not parts:
        return "-"
    escaped = "-".join("".join(_escape(byte) for byte in part.encode()) for part in parts)
    return rf"\x2e{escaped[1:]}" if escaped.startswith(".") else escaped


def _escape(byte: int) -> str:
    return chr(byte) if byte in _UNESCAPED else rf"\x{byte:02x}"


def unit_names(mount_point: str) -> tuple[str, str]:
    """Return the names of the mount unit and of the automount unit."""
    name = escape_path(mount_point)
    return f"{name}.mount", f"{name}.automount"


def service_name(mount_point: str) -> str:
    """Return the name of the service that starts rclone where mount(8) cannot."""
    return f"{escape_path(mount_point)}.service"


def fits(mount_point: str) -> bool:
    """Return whether systemd can name units after `mount_point`."""
    return all(len(name) <= UNIT_NAME_MAX for name in unit_names(mount_point))


def unit_path(name: str) -> str:
    """Return where a unit of ours is."""
    return f"{UNITS}/{name}"


def wanted(inputs: Mapping[str, Any], place: placement.Placement = placement.ALL[0]) -> Wanted:
    """Return what `inputs` (checked) ask for on a node with this placement."""
    mount, automount = unit_names(inputs["mountPoint"])
    service = service_name(inputs["mountPoint"])
    where = _unit_value(inputs["mountPoint"])
    config_file = node_files.WantedFile(
        path=CONFIG,
        content=render(
            "rclone.conf",
            name=REMOTE,
            # State files keep objects sorted by key, programs do not.
            options=[(key, plain(value)) for key, value in sorted(remote(inputs).items())],
        ).encode(),
        mode=0o600,
        secret=True,
    )
    service_file = None
    mount_unit = render(
        "media.mount",
        name=mount,
        what=_unit_value(what(inputs)),
        where=where,
        options=_unit_value(",".join(mount_options(inputs))),
    )
    if place.service:
        mount_unit = render("media-shown.mount", name=mount, service=service, where=where, at=SHOWN)
        service_unit = render(
            "media-started.service",
            name=service,
            mount=mount,
            at=SHOWN,
            program=place.binary,
            what=_argument(what(inputs)),
            options=_argument(",".join(mount_options(inputs))),
        )
        service_file = node_files.WantedFile(path=unit_path(service), content=service_unit.encode())
    mount_file = node_files.WantedFile(path=unit_path(mount), content=mount_unit.encode())
    automount_file = node_files.WantedFile(
        path=unit_path(automount),
        content=render(
            "media.automount", name=automount, where=where, idle=int(inputs["idleTimeout"])
        ).encode(),
    )
    files = (config_file, *((service_file,) if service_file else ()), mount_file, automount_file)
    proof = "\n".join((inputs["rcloneVersion"], *(file.sha256 for file in files)))
    return Wanted(
        mount=mount,
        automount=automount,
        config_file=config_file,
        mount_file=mount_file,
        automount_file=automount_file,
        service=service,
        service_file=service_file,
        proof=hashlib.sha256(proof.encode()).hexdigest(),
    )


def remote(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the remote as they go into rclone's configuration."""
    return obscure.options(inputs["remote"], inputs.get("passwords") or "auto")


def what(inputs: Mapping[str, Any]) -> str:
    """Return what is mounted, as rclone writes it: ``media:container/path``."""
    return f"{REMOTE}:{inputs['path']}"


def mount_options(inputs: Mapping[str, Any]) -> list[str]:
    """Return the options of the mount unit, in a fixed order.

    rclone's own log goes to the journal (``syslog``): a mount helper that runs
    on in the background has no other place to say why it fails.
    """
    options = [
        "ro" if inputs["readOnly"] else "rw",
        *("_netdev", "allow_other", "args2env", "syslog"),
        f"vfs-cache-mode={inputs['cacheMode']}",
    ]
    if inputs["cacheMode"] != "off":
        options.append(f"vfs-cache-max-size={inputs['cacheSize']}")
    options += [f"config={_quoted(CONFIG)}", f"cache-dir={_quoted(inputs['cacheDir'])}"]
    for key, value in sorted(inputs["options"].items()):
        options.append(key if value is True else f"{key}={_quoted(plain(value))}")
    return options


def option_name(key: str) -> str:
    """Return the name of a mount option as rclone understands it."""
    return key.replace("_", "-").lower()


def without_token(config: str) -> list[str]:
    """Return the meaningful lines of a configuration file, but the token.

    rclone renews the token of an OAuth remote and writes it into its file.
    """
    lines = (line.strip() for line in config.splitlines())
    return [
        line
        for line in lines
        if line and not line.startswith("#") and line.split("=")[0].strip() != "token"
    ]


@dataclass(frozen=True, kw_only=True)
class Before:
    """What `BEFORE` says: of these paths, `absent` ones were not there before us.

    `link` is the target that `LINK` had, empty where it was not there. `binary` is the program.
    """

    mount_point: str
    cache_dir: str
    absent: tuple[str, ...] = ()
    link: str = ""
    binary: str = BINARY

    @property
    def text(self) -> str:
        """The content of the file."""
        data: dict[str, Any] = {
            "mountPoint": self.mount_point,
            "cacheDir": self.cache_dir,
            "absent": list(self.absent),
            "link": self.link,
        }
        if self.binary != BINARY:
            data["binary"] = self.binary
        return json.dumps(data, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def parse(cls, text: str) -> Before | None:
        """Read the file; None for one that is not ours or broken."""
        try:
            data = safejson.loads(text)
            return cls(
                mount_point=str(data["mountPoint"]),
                cache_dir=str(data["cacheDir"]),
                absent=tuple(str(path) for path in data["absent"]),
                link=str(data["link"]),
                binary=_program(data.get("binary")),
            )
        except (ValueError, KeyError, TypeError):
            return None


def _program(noted: object) -> str:
    """Return the program that was noted; only one that elysium can have put there."""
    return next((place.binary for place in placement.ALL if place.binary == noted), BINARY)


def folders(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return every folder we may have to make, each after its parents."""
    parents = (path.rsplit("/", 1)[0] for path in (CONFIG, BINARY))
    found: set[str] = set()
    for path in (inputs["mountPoint"], inputs["cacheDir"], STATE, *parents):
        parts = [part for part in path.split("/") if part]
        found.update("/" + "/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return tuple(sorted(found))


def plain(value: Any) -> str:
    """Return an option's value as rclone reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():  # numbers of a state file are floats
        return str(int(value))
    return str(value)


def _quoted(value: str) -> str:
    """Quote an option's value as mount(8) and rclone's mount helper both read it."""
    if any(character in value for character in ",\"' "):
        return '"' + value.replace('"', '""') + '"'
    return value


def _unit_value(text: str) -> str:
    """Escape what systemd would take for a specifier."""
    return text.replace("%", "%%")


def _argument(text: str) -> str:
    """Quote an argument of a command in a unit (systemd.service(5))."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{_unit_value(escaped)}"'


def render(template: str, /, **values: Any) -> str:
    """Return ``templates/media/<template>.j2``; a name without a value is an error."""
    return str(_template(template).render(values))


@functools.cache
def _environment() -> Any:
    import jinja2  # only where something is rendered

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - units and shell, never HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quote"] = shlex.quote
    return environment


@functools.cache
def _template(name: str) -> Any:
    path = importlib.resources.files("templates") / "media" / f"{name}.j2"
    return _environment().from_string(path.read_text(encoding="utf-8"))
