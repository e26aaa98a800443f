"""Turning whatever ended a call into words, and into an exit status."""

from __future__ import annotations

import contextlib
import errno
import os
import time
import traceback
from pathlib import Path

import click

from provision import errors
from provision.cli import streams
from provision.cli.settings import Settings

INTERRUPTED = 130


class Terminated(KeyboardInterrupt):
    """The process was asked to end by a signal other than Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def report(error: BaseException, called: Settings) -> int:
    """Tell the user what went wrong and return the exit status."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message())
        return 0
    if isinstance(error, click.Abort) and isinstance(error.__cause__, KeyboardInterrupt):
        error = error.__cause__  # click turns every Ctrl-C into this; a question raises it bare
    if called.debug:
        _traceback(error, called)
    if isinstance(error, (KeyboardInterrupt, click.Abort, errors.InterruptedByUser)):
        return _interrupted(error, called)
    if isinstance(error, click.ClickException):
        return _usage(error, called)
    if isinstance(error, OSError):
        error = _of_system(error)
    if isinstance(error, errors.ElysiumError):
        _tell(called, type(error).__name__, error.exit_code, error)
        return error.exit_code
    return _unexpected(error, called)


def _tell(called: Settings, name: str, code: int, error: errors.ElysiumError) -> None:
    from provision.cli import naming

    terminal = called.terminal
    if called.json:
        problems = getattr(error, "problems", [])
        with contextlib.suppress(OSError):  # it is told below all the same
            terminal.event(
                {
                    "event": "error",
                    "class": name,
                    "exitCode": code,
                    "summary": naming.without_urns(error.summary),
                    "detail": naming.without_urns(error.detail),
                    "hint": naming.without_urns(error.hint),
                    "problems": [
                        {
                            "message": p.message,
                            "where": p.where,
                            "key": p.key,
                            "hint": p.hint,
                            "kind": p.kind,
                        }
                        for p in problems
                    ],
                }
            )
    terminal.note("error:", error.summary, "red")
    for line in terminal.told(error.detail).split("\n") if error.detail else ():
        click.echo("  " + line, err=True)
    if error.hint:
        terminal.note("hint:", error.hint, "cyan")


def _usage(error: click.ClickException, called: Settings) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "elysium"
    message = error.format_message().strip().rstrip(".")
    message = message[:1].lower() + message[1:] if not message[:2].isupper() else message
    told = errors.ConfigError(message, [], hint=f"{command} --help explains what it takes")
    code = 2 if isinstance(error, click.UsageError) else error.exit_code
    _tell(called, "UsageError", code, told)
    return code


def _interrupted(error: BaseException, called: Settings) -> int:
    if called.terminal.live:  # a second Ctrl-C may have cut short what gives the cursor back
        click.echo("\x1b[?25h", nl=False, err=True)
    step = called.current_step()
    if isinstance(error, click.Abort):
        summary = "stopped at the question; nothing was changed"
        hint = "where nobody can answer, --yes does without asking"
    elif isinstance(error, errors.InterruptedByUser):
        summary, hint = error.summary, error.hint
    else:
        summary = f"interrupted during {step}" if step else "interrupted"
        hint = ""
    hint = hint or "what was done is kept: run it again, and it goes on from there"
    _tell(
        called,
        "InterruptedByUser",
        INTERRUPTED,
        errors.InterruptedByUser(summary, hint=hint, detail=getattr(error, "detail", "")),
    )
    return 128 + error.number if isinstance(error, Terminated) else INTERRUPTED


_NEXT = {
    errno.ENOSPC: "make room there, then run the same command again",
    errno.EDQUOT: "your quota there is used up: make room, then run the same command again",
    errno.EROFS: "the file system is read-only: remount it, or work in another folder",
    errno.EACCES: "look at the owner and the mode of it, and of the folders above it",
    errno.EPERM: "look at the owner and the mode of it, and of the folders above it",
    errno.EMFILE: "raise the limit of open files (ulimit -n), then run the same command again",
    errno.ENOENT: "something removed it meanwhile: run the same command again",
    errno.ENAMETOOLONG: "use a shorter name, or a folder with a shorter path",
}


def _of_system(error: OSError) -> errors.ElysiumError | OSError:
    """Return what to tell of a refusal of the operating system, with the file that it is about.

    One that says neither why nor where is returned as it is.
    """
    why = error.strerror or ""
    if not why:
        return error
    if streams.is_of_output(error):
        return errors.ElysiumError(
            f"standard output cannot be written: {why}",
            hint="what was printed is not complete; write it to a place that takes it",
        )
    place = error.filename.decode(errors="replace") if isinstance(error.filename, bytes) else ""
    place = place or str(error.filename or "")
    if place and error.filename2:
        place = f"{place} or {error.filename2}"
    if not place and isinstance(error, (ConnectionError, TimeoutError)):
        return error
    return errors.ElysiumError(
        f"{place or 'a file'} cannot be used: {why}",
        hint=_NEXT.get(error.errno or 0, "put it right, then run the same command again"),
    )


def _unexpected(error: BaseException, called: Settings) -> int:
    path = _write_log(error, called)
    kept = f"the details are in {path}" if path else "run it again with --debug to see more"
    told = errors.ElysiumError(
        f"something unforeseen happened: {type(error).__name__}",
        detail=str(error),
        hint=f"this is a defect of elysium; {kept}",
    )
    _tell(called, type(error).__name__, 1, told)
    return 1


def _write_log(error: BaseException, called: Settings) -> Path | None:
    """Keep the traceback in a file that only this user reads; None if that fails too."""
    import platformdirs

    lines = [time.strftime("%Y-%m-%d %H:%M:%S%z\n"), *traceback.format_exception(error)]
    with contextlib.suppress(OSError):
        folder = Path(platformdirs.user_log_dir("elysium"))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(called.terminal.clean("".join(lines)))
        return path
    return None


def _traceback(error: BaseException, called: Settings) -> None:
    click.echo(called.terminal.clean("".join(traceback.format_exception(error))), err=True)
