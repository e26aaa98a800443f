"""What an engine reports while it works.

Both engines report the same events, in the same order for the same run:
one `Prelude`, then for every resource `ResourcePlanned`, and where something
is done `ResourceStarted`, any number of `ResourceProgress`, and one of
`ResourceDone` or `ResourceFailed`; one `Summary` at the end, also of a run
that failed. A `Diagnostic` may come at any time.

No event ever holds a secret: values are rendered by `PropertyDiff` with
``[secret]`` and ``[unknown]`` in their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any, Literal

from provision.change import Change

Operation = Literal["preview", "up", "refresh", "destroy"]

Op = Literal[
    "same",
    "create",
    "update",
    "replace",
    "create-replacement",
    "delete-replaced",
    "delete",
    "read",
    "refresh",
    "import",
    "discard",
]
"""What happens to one resource.

``replace`` is the plan of a replacement; its two halves are reported as
``create-replacement`` and ``delete-replaced``. ``discard`` takes a resource
out of the state without touching what it stands for (it was only read, or is
gone already).
"""

Severity = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class PropertyDiff:
    """One property that differs, rendered without secrets.

    `path` is a property path (``spec.ports[0].name``). `replaces` says that
    this difference needs a replacement. `old` and `new` are compact JSON, or
    empty where there is no such side.
    """

    path: str
    kind: Literal["add", "update", "delete"]
    replaces: bool = False
    old: str = ""
    new: str = ""


@dataclass(frozen=True, kw_only=True)
class Prelude:
    """A run begins."""

    operation: Operation
    project: str
    stack: str
    engine: Literal["embedded", "upstream"] = "embedded"


@dataclass(frozen=True, kw_only=True)
class ResourcePlanned:
    """What will happen to one resource, and why.

    `changes` comes from the provider (file hunks, commits, keys); `diffs` are
    the properties that differ. `parent` is an URN, empty for the stack itself.
    """

    urn: str
    type: str
    name: str
    parent: str
    op: Op
    changes: tuple[Change, ...] = ()
    diffs: tuple[PropertyDiff, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ResourceStarted:
    """A step that touches the world begins."""

    urn: str
    op: Op


@dataclass(frozen=True, kw_only=True)
class ResourceProgress:
    """What a provider says it is doing, one sentence."""

    urn: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ResourceDone:
    """A step ended well. `seconds` is wall time of the provider's work."""

    urn: str
    op: Op
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ResourceFailed:
    """A step failed. `error` is the exception the run will end with, or one of several."""

    urn: str
    op: Op
    error: Exception


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """Something to tell the user. `urn` is empty where it is about the whole run."""

    severity: Severity
    message: str
    urn: str = ""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The run is over. `counts` has one number for each `Op` that happened."""

    counts: Mapping[str, int]
    seconds: float
    ok: bool = True
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])


Event = (
    Prelude
    | ResourcePlanned
    | ResourceStarted
    | ResourceProgress
    | ResourceDone
    | ResourceFailed
    | Diagnostic
    | Summary
)


def to_json(event: Event) -> dict[str, Any]:
    """Return `event` as a JSON object with its kind under ``event``.

    The schema is the dataclasses of this module: their names in kebab case,
    their fields as they are; an error is its text.
    """
    name = type(event).__name__
    kind = "".join("-" + c.lower() if c.isupper() else c for c in name).lstrip("-")
    body: dict[str, Any] = {"event": kind}
    for key, value in vars(event).items():
        body[key] = _plain(value)
    return body


def _plain(value: Any) -> Any:
    if isinstance(value, BaseException):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
