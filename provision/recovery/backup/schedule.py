"""A timer of the operator's systemd that makes backups, or rehearses with them.

Facts: systemd.timer(5), systemd.service(5), systemd.unit(5). The service runs
this program in the cluster's folder; what it needs must be there without a
person: recipients, the stack's passphrase in a file, an SSH key in a file; for
a drill, what opens the backups.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from provision import config_file, errors
from provision.fileio import atomic
from provision.recovery.backup import signing

if TYPE_CHECKING:
    from provision.operations.stack import Stack

Kind = Literal["backup", "drill"]
_MARKS: Final[Mapping[Kind, str]] = {
    "backup": "# Written by elysium backup schedule; removed by its --remove.",
    "drill": "# Written by elysium drill --at; removed by elysium drill --remove.",
}
_TITLES: Final[Mapping[Kind, str]] = {"backup": "Backup", "drill": "Recovery drill"}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A timer and what it runs: the command `words` of the stack that `cluster` and `root` name."""

    kind: Kind = "backup"
    words: tuple[str, ...] = ("backup",)
    cluster: str
    root: Path
    at: str
    system: bool
    folder: Path
    program: Path
    environment: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The units' name without their suffix."""
        return f"elysium-{self.kind}-{self.cluster}"

    @property
    def mark(self) -> str:
        """The first line of both units."""
        return _MARKS[self.kind]

    @property
    def title(self) -> str:
        """What it is, to people."""
        return f"{_TITLES[self.kind]} of the cluster {self.cluster} by elysium"

    @property
    def timer(self) -> str:
        """The timer's name."""
        return f"{self.name}.timer"

    def systemctl(self, *words: str) -> list[str]:
        """Return the command line for systemd's manager of this job."""
        return ["systemctl", *([] if self.system else ["--user"]), *words]


def job(
    stack: Stack,
    *,
    at: str,
    system: bool | None,
    kind: Kind = "backup",
    words: tuple[str, ...] = ("backup",),
) -> Job:
    """Return the job for `stack`. Writes nothing; raises `errors.ConfigError`."""
    as_system = os.geteuid() == 0 if system is None else system
    if as_system:
        folder = Path("/etc/systemd/system")
    else:
        config_home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        folder = Path(config_home) / "systemd" / "user"
    program = Path(sys.executable).with_name("elysium")
    if not program.exists():
        program = Path(shutil.which("elysium") or "elysium")
    return Job(
        kind=kind,
        words=words,
        cluster=stack.config.cluster,
        root=stack.directory,
        at=at,
        system=as_system,
        folder=folder,
        program=program,
        environment=tuple(_environment(os.environ).items()),
        remarks=tuple(_remarks(stack, system=as_system)),
    )


def check(
    recipients: tuple[str, ...], root: Path, cluster: str, signer: signing.Signer | None = None
) -> None:
    """Raise `errors.ConfigError` for what a run without a person would lack."""
    problems: list[errors.Problem] = []
    if not recipients:
        problems.append(
            errors.Problem(
                message="a timer has nobody to ask for a passphrase: recipients are needed",
                key="backup.recipients",
                hint="age-keygen -o key.txt, keep that file elsewhere, then: "
                "elysium config set backup.recipients age1…",
            )
        )
    if signer is not None and not signer.alone:
        problems.append(
            errors.Problem(
                message="the key is in an SSH agent, which a timer does not have",
                key=signing.KEY,
                hint="name a private key file without a passphrase, made for nothing else: "
                "ssh-keygen -t ed25519 -N '' -f FILE",
            )
        )
    kept = config_file.passphrase_file(root, cluster).exists()
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ and not kept:
        problems.append(
            errors.Problem(
                message="the stack's passphrase is only in this shell's environment",
                key="PULUMI_CONFIG_PASSPHRASE",
                hint="put it into a file of mode 0600, and set PULUMI_CONFIG_PASSPHRASE_FILE",
            )
        )
    if problems:
        raise errors.ConfigError("a backup cannot run without a person yet", problems)


def service_unit(job: Job) -> str:
    """Return the text of the service."""
    environment = "".join(f"Environment={_quoted(f'{k}={v}')}\n" for k, v in job.environment)
    command = " ".join(
        _quoted(word).replace("$", "$$")
        for word in (str(job.program), "-C", str(job.root), "--stack", job.cluster, *job.words)
    )
    return (
        f"{job.mark}\n[Unit]\nDescription={job.title}\n"
        "Wants=network-online.target\nAfter=network-online.target\n\n"
        f"[Service]\nType=oneshot\nWorkingDirectory={_escaped(str(job.root))}\n{environment}"
        f"ExecStart={command}\nTimeoutStartSec=2h\nUMask=0077\n"
    )


def timer_unit(job: Job) -> str:
    """Return the text of the timer."""
    return (
        f"{job.mark}\n[Unit]\nDescription={job.title}\n\n"
        f"[Timer]\nOnCalendar={job.at}\nPersistent=true\nRandomizedDelaySec=5m\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )


def install(job: Job) -> tuple[str, ...]:
    """Write both units and start the timer; return what the user should know.

    Run again, it replaces them. Raises `errors.ConfigError`.
    """
    _calendar(job.at)
    job.folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in (("service", service_unit(job)), ("timer", timer_unit(job))):
        path = job.folder / f"{job.name}.{suffix}"
        if path.exists() and not path.read_text(encoding="utf-8").startswith(job.mark):
            raise errors.ConfigError(f"{path} is there already, and not elysium's", [])
        atomic.write(path, text, mode=0o644)
    _run(job.systemctl("daemon-reload"))
    _run(job.systemctl("enable", "--now", job.timer))
    return job.remarks


def remove(job: Job) -> bool:
    """Stop the timer and remove both units; return whether there was one."""
    paths = [job.folder / f"{job.name}.{suffix}" for suffix in ("timer", "service")]
    if not any(path.exists() for path in paths):
        return False
    if paths[0].exists():
        _run(job.systemctl("disable", "--now", job.timer))
    for path in paths:
        path.unlink(missing_ok=True)
    _run(job.systemctl("daemon-reload"))
    return True


def next_run(job: Job) -> str:
    """Return when the timer elapses next, as systemd says it."""
    words = ("show", "--property=NextElapseUSecRealtime", "--value", job.timer)
    return _run(job.systemctl(*words)).strip() or "not known"


def _calendar(at: str) -> None:
    if not at.strip() or "\n" in at:
        raise errors.ConfigError(f"{at!r} is no time", [])
    try:
        _run(["systemd-analyze", "calendar", "--", at])
    except errors.ElysiumError as error:
        raise errors.ConfigError(
            f"{at!r} is no time that systemd knows",
            [errors.Problem(message=error.detail or error.summary)],
            hint="daily, weekly, 'Sun 03:00', '*-*-* 02:30'; man systemd.time",
        ) from error


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the service needs of this shell: where files are; never a secret."""
    names = ("PATH", "HOME", "XDG_CONFIG_HOME", "PULUMI_CONFIG_PASSPHRASE_FILE", "RCLONE_CONFIG")
    return {name: environ[name] for name in names if environ.get(name)}


def _remarks(stack: Stack, *, system: bool) -> list[str]:
    found: list[str] = []
    if not stack.config.server.identity_file and not stack.config.server.password:
        found.append(
            "the node is reached with keys of the SSH agent, which a timer may not have: "
            "elysium config set nodes[0].identityFile FILE"
        )
    if not system:
        found.append("it runs while you are logged in; always: loginctl enable-linger")
    return found


def _quoted(text: str) -> str:
    """Return `text` as one word of a unit file, quoted, specifiers escaped."""
    return '"' + _escaped(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _escaped(text: str) -> str:
    """Return `text` with its specifiers escaped."""
    return text.replace("%", "%%")


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError as error:
        raise errors.ConfigError(
            "this machine has no systemd",
            [],
            hint="run elysium backup from cron, or whatever starts jobs here",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise errors.ElysiumError(f"{' '.join(command)} did not end within 60 s") from error
    if done.returncode:
        raise errors.ElysiumError(
            f"{' '.join(command)} failed with status {done.returncode}",
            detail=done.stderr or done.stdout,
        )
    return done.stdout
