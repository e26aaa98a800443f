"""Every error a user can meet.

    ElysiumError                          exit 1
    |- ConfigError(problems)              2   configuration or usage
    |- PreflightError(failures)           3   found before the first change
    |- RemoteError(host)                  4   the node or SSH
    |  |- ConnectError  AuthError  HostKeyError(expected, got)  SudoError
    |  |- CommandError(command, status, stdout, stderr)
    |  `- RemoteTimeoutError
    |- NotConvergedError(remaining)       5   applied, and still not as wanted
    |- WaitError(what, last_seen)         5   waited, and it did not come
    |- ArtifactError                      1   a pinned download: checksum, absence
    |- CodeHostError(status, operation)   6   GitHub
    |- KubeError(status, reason)          4   the Kubernetes API
    |- GitOpsError(problems)              3   the repository's tree
    |- StackError(operation)              7   engine or state
    |- BundleError                        3   a backup bundle that cannot be used
    |  |- BundleKeyError                      wrong passphrase or key
    |  |- BundleDamagedError                  changed, cut short, no bundle at all
    |  |- BundlePartError(part)               a part is missing or other than it should be
    |  `- BundleSchemaError                   made by a newer elysium
    `- InterruptedByUser                  130

`summary` is one sentence of what failed; `detail` the remote's own words
(already masked, cut to its tail by whoever raises); `hint` the next step.
Adapters translate foreign exceptions at their boundary, always ``raise … from``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

_TAIL = 4000


def tail(text: str) -> str:
    """Return the last 4000 characters of `text`, marked where it was cut."""
    text = text.strip()
    return text if len(text) <= _TAIL else "… " + text[-_TAIL:]


class ElysiumError(Exception):
    """What elysium tells a user when something fails."""

    exit_code: ClassVar[int] = 1

    def __init__(self, summary: str, *, detail: str = "", hint: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.detail = tail(detail)
        self.hint = hint

    def __str__(self) -> str:
        text = self.summary
        if self.detail:
            text += "\n" + self.detail
        if self.hint:
            text += "\nhint: " + self.hint
        return text


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong, and where.

    `where` is what a person can open: ``file:line``, ``node kyrion``,
    ``github owner/repo``. `key` is the configuration key or property, if any.
    `kind` names it for machines where a check found it (``docs/errors.md``):
    ``too-little-disk``, or the class of the error it was.
    """

    message: str
    where: str = ""
    key: str = ""
    hint: str = ""
    kind: str = ""

    def __str__(self) -> str:
        head = ": ".join(part for part in (self.where, self.key) if part)
        text = f"{head}: {self.message}" if head else self.message
        return f"{text} ({self.hint})" if self.hint else text


class _ProblemsError(ElysiumError):
    """An error that lists every problem at once."""

    def __init__(self, summary: str, problems: list[Problem], *, hint: str = "") -> None:
        super().__init__(summary, detail="\n".join(f"- {p}" for p in problems), hint=hint)
        self.problems = problems
        self.detail = "\n".join(f"- {p}" for p in problems)  # a list of problems is never cut


class ConfigError(_ProblemsError):
    """The configuration or the call is wrong; nothing was contacted."""

    exit_code = 2


class PreflightError(_ProblemsError):
    """Checked before the first change, and it cannot end well."""

    exit_code = 3


class GitOpsError(_ProblemsError):
    """The repository's tree does not build, or lacks what it needs."""

    exit_code = 3


class RemoteError(ElysiumError):
    """A node could not be reached or refused what was asked of it."""

    exit_code = 4

    def __init__(self, summary: str, *, host: str, detail: str = "", hint: str = "") -> None:
        super().__init__(summary, detail=detail, hint=hint)
        self.host = host


class ConnectError(RemoteError):
    """No SSH connection: name, route, port, or no SSH server behind it."""


class AuthError(RemoteError):
    """The SSH server refused the user, key or password."""


class HostKeyError(RemoteError):
    """The node shows another host key than the pinned one, or none is pinned."""

    def __init__(
        self, summary: str, *, host: str, expected: str, got: str, detail: str = "", hint: str = ""
    ) -> None:
        super().__init__(summary, host=host, detail=detail, hint=hint)
        self.expected = expected
        self.got = got


class SudoError(RemoteError):
    """No sudo, not allowed, or a wrong password."""


class CommandError(RemoteError):
    """A command on a node ended with a status other than 0."""

    def __init__(
        self,
        summary: str,
        *,
        host: str,
        command: str,
        status: int,
        stdout: str = "",
        stderr: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(summary, host=host, detail=stderr or stdout, hint=hint)
        self.command = command
        self.status = status
        self.stdout = tail(stdout)
        self.stderr = tail(stderr)


class RemoteTimeoutError(RemoteError):
    """A command on a node did not end within its deadline."""


class NotConvergedError(ElysiumError):
    """Everything was applied, and observing again still shows a difference."""

    exit_code = 5

    def __init__(
        self, summary: str, *, remaining: tuple[str, ...], detail: str = "", hint: str = ""
    ) -> None:
        left = "\n".join(f"- {r}" for r in remaining)
        super().__init__(summary, detail=f"{left}\n{detail}".strip(), hint=hint)
        self.remaining = remaining


class WaitError(ElysiumError):
    """A condition did not come within its deadline, or can no longer come."""

    exit_code = 5

    def __init__(
        self, summary: str, *, what: str, last_seen: str = "", detail: str = "", hint: str = ""
    ) -> None:
        super().__init__(summary, detail=detail or last_seen, hint=hint)
        self.what = what
        self.last_seen = last_seen


class ArtifactError(ElysiumError):
    """A pinned download: not to be had, or not what its checksum says."""


class CodeHostError(ElysiumError):
    """GitHub refused, or could not be reached."""

    exit_code = 6

    def __init__(
        self, summary: str, *, operation: str, status: int = 0, detail: str = "", hint: str = ""
    ) -> None:
        super().__init__(summary, detail=detail, hint=hint)
        self.operation = operation
        self.status = status


class KubeError(ElysiumError):
    """The Kubernetes API refused, or could not be reached (`status` 0)."""

    exit_code = 4

    def __init__(
        self, summary: str, *, status: int = 0, reason: str = "", detail: str = "", hint: str = ""
    ) -> None:
        super().__init__(summary, detail=detail, hint=hint)
        self.status = status
        self.reason = reason


class StackError(ElysiumError):
    """The engine, the stack's state, its lock or its passphrase."""

    exit_code = 7

    def __init__(self, summary: str, *, operation: str, detail: str = "", hint: str = "") -> None:
        super().__init__(summary, detail=detail, hint=hint)
        self.operation = operation


class BundleError(ElysiumError):
    """A backup bundle that cannot be used; nothing was done with it."""

    exit_code = 3


class BundleKeyError(BundleError):
    """The passphrase, or none of the keys, opens it."""


class BundleDamagedError(BundleError):
    """It was changed or cut short, or is no bundle at all."""


class BundlePartError(BundleError):
    """A part is missing, surplus, or other than the manifest says."""

    def __init__(self, summary: str, *, part: str, detail: str = "", hint: str = "") -> None:
        super().__init__(summary, detail=detail, hint=hint)
        self.part = part


class BundleSignatureError(BundleError):
    """Its signature is missing, by another key, of another file, or not usable."""


class BundleSchemaError(BundleError):
    """It was made by a newer elysium."""


class InterruptedByUser(ElysiumError):
    """Ctrl-C. What was under way is named; running again is safe."""

    exit_code = 130
