"""The manifest of a bundle: what it is, and what each of its parts must be.

camelCase in JSON. A field that a newer writer added within the same schema is
passed over; a newer schema is refused.
"""

from __future__ import annotations

import collections
import datetime
import json
import re
from typing import Any, Final, Literal

import pydantic
from pydantic.alias_generators import to_camel

from provision import errors
from provision.recovery.bundle import parts

SCHEMA: Final = 1
FORMAT: Final = "elysium-backup"
SUFFIX: Final = ".tar.gz.age"
MAX_BYTES: Final = 1024**3
VOLUMES: Final = (
    "volumes of the workloads are not in a backup; 'backup.paths' adds small folders of the node"
)
MAX_MANIFEST: Final = 8 * 1024**2
MAX_TEXT: Final = 1024**2
"""The largest configuration, passphrase or file of k3s."""
_NAME: Final = re.compile(r"(?!(.*/)?\.{1,2}(/|$))[^/\0][^\0]{0,900}(?<!/)")


class Model(pydantic.BaseModel):
    """Frozen, camelCase in JSON, lenient about fields it does not know."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class PartInfo(Model):
    """One part. `source` is its path on the node, if it comes from there."""

    name: str
    kind: str = ""
    size: int = pydantic.Field(ge=0)
    sha256: str = pydantic.Field(pattern=r"^[0-9a-f]{64}$")
    source: str = ""
    mode: int = 0o600


class Git(Model):
    """The repository, and the revision that the cluster had applied (``main@sha1:…``)."""

    repository: str = ""
    branch: str = ""
    path: str = ""
    revision: str = ""


class Node(Model):
    """The node that was backed up."""

    name: str
    host: str
    system: str = ""


class Datastore(Model):
    """The cluster's datastore; `part` is empty when it is not in the bundle.

    `how` says how it was copied and what that cost.
    """

    kind: Literal["sqlite", "etcd"]
    part: str = ""
    how: str = ""


class Manifest(Model):
    """What a bundle is and holds. `created` is RFC 3339 in UTC, to the second."""

    format: Literal["elysium-backup"] = FORMAT
    schema_version: pydantic.StrictInt = pydantic.Field(default=SCHEMA, alias="schema")
    cluster: str = pydantic.Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    created: str = pydantic.Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
    elysium: str
    versions: dict[str, str] = {}
    git: Git = Git()
    node: Node
    datastore: Datastore
    sealing_keys: tuple[str, ...] = ()
    """The fingerprints of the sealing keys in it."""
    took: dict[str, float] = {}
    """Seconds that the last ``restore``, and the first ``up``, of this cluster took."""
    absent: tuple[str, ...] = ()
    """What was looked for and was not there, in words."""
    excluded: tuple[str, ...] = (VOLUMES,)
    """What is never in it, in words."""
    parts: tuple[PartInfo, ...] = ()

    def of_kind(self, kind: str) -> tuple[PartInfo, ...]:
        """Return the parts of `kind`."""
        return tuple(part for part in self.parts if part.kind == kind)

    @property
    def file_name(self) -> str:
        """The bundle's file name: cluster and time, so that names sort by age."""
        stamp = self.created.replace("-", "").replace(":", "")
        return f"{self.cluster}-{stamp}{SUFFIX}"

    def dump(self) -> bytes:
        """Return the manifest as its part of the bundle."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=2).encode() + b"\n"


TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
"""How manifests and records write a time, which is always UTC."""


def now() -> str:
    """Return the current time in `TIME_FORMAT`."""
    return datetime.datetime.now(datetime.UTC).strftime(TIME_FORMAT)


def load(content: bytes) -> Manifest:
    """Return the manifest in `content`, its list of parts checked.

    Raises `errors.BundleSchemaError` for one of a newer elysium,
    `errors.BundleDamagedError` when it is none, `errors.BundlePartError`.
    """
    if len(content) > MAX_MANIFEST:
        raise too_large_itself()
    try:
        raw: Any = json.loads(content)
        version = raw["schema"] if raw["format"] == FORMAT else None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise absent() from None
    if isinstance(version, int) and version > SCHEMA:
        raise errors.BundleSchemaError(
            f"the backup was made by a newer elysium ({raw.get('elysium', 'unknown')}): its schema "
            f"is {version}, this one reads up to {SCHEMA}",
            hint="install that version of elysium, or a newer one",
        )
    try:
        found = Manifest.model_validate(raw, by_alias=True, by_name=False)
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise errors.BundleDamagedError(
            f"the backup's manifest is not right: {where}: {first['msg']}"
        ) from None
    check(found)
    return found


def check(manifest: Manifest) -> None:
    """Raise `errors.BundlePartError` for a list of parts that no bundle may have."""
    names = collections.Counter(part.name for part in manifest.parts)
    for name, count in names.items():
        if not _NAME.fullmatch(name) or name == parts.MANIFEST or count > 1:
            raise errors.BundlePartError(f"{name!r} cannot be a part of a backup", part=name)
    small = (parts.PROJECT, parts.PASSPHRASE, parts.stack_file(manifest.cluster))
    for part in manifest.parts:
        is_small = part.name in small or part.name.startswith(f"{parts.NODE}/")
        if is_small and part.size > MAX_TEXT:
            raise errors.BundlePartError(
                f"the backup's part {part.name} is larger than {MAX_TEXT // 1024} KiB",
                part=part.name,
            )
    needed = [*parts.REQUIRED, parts.stack_file(manifest.cluster)]
    if manifest.datastore.part:
        needed.append(manifest.datastore.part)
    for name in needed:
        if name not in names:
            raise errors.BundlePartError(f"a backup without {name} is none", part=name)
    if sum(part.size for part in manifest.parts) > MAX_BYTES:
        raise too_large()


def absent() -> errors.BundleDamagedError:
    """Return the error for an archive that does not begin with a manifest."""
    return errors.BundleDamagedError(
        "this is no backup of elysium: its first part is not a manifest",
        hint="a backup is named like kyrion-20260301T020304Z.tar.gz.age",
    )


def too_large_itself() -> errors.BundlePartError:
    """Return the error for a manifest of more than `MAX_MANIFEST`."""
    return errors.BundlePartError(
        f"the backup's manifest is larger than {MAX_MANIFEST // 1024**2} MiB", part=parts.MANIFEST
    )


def too_large() -> errors.BundlePartError:
    """Return the error for more than `MAX_BYTES`."""
    return errors.BundlePartError(
        f"the parts of the backup are larger than {MAX_BYTES // 1024**2} MiB together",
        part="",
        hint="leave out the datastore or some of backup.paths: a backup is made in memory",
    )
