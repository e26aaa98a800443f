"""``elysium rotate sealing-key``."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import click

from provision.cli import durations, lazy, running, stack_context
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.operations.rotation.sealing_key import Outlook, Rotated


@click.command(
    "sealing-key",
    cls=lazy.Command,
    examples="""
    elysium rotate sealing-key
    elysium rotate sealing-key --yes --if-older-than 365d    # on a timer
    """,
)
@click.option(
    "--if-older-than",
    "older",
    type=durations.Age(),
    metavar="AGE",
    help="Only if the newest key is older than that, as in 90d; else there is nothing to do.",
)
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@click.pass_obj
def sealing_key(called: Settings, older: datetime.timedelta | None, yes: bool) -> None:
    """Seal the repository's secrets for a new key.

    Makes a key, installs it beside the older ones, has the controller open
    something with it, and commits its certificate together with every
    SealedSecret sealed anew, in one commit. The older keys stay: they open
    Git's history and backups. When it is interrupted, the next rotate goes on
    with the key that was made.
    """
    running.needs_an_answer(called, yes, "whether to do it")
    from provision.cli.render import reporter
    from provision.operations.rotation import sealing_key as rotation

    with stack_context.stack(called) as stack, reporter.of(called) as listening:
        called.terminal.keep_secret(rotation.private_keys(stack))
        listening.step("looking at the sealing keys and what is sealed for them")
        found = rotation.look(stack)
        listening.pause()
        age = found.age()
        young = older is not None and age is not None and age < older
        if young and age is not None and not found.unfinished:
            _nothing(called, f"nothing to do: {found.newest} is {durations.words(age)} old", found)
            return
        rotation.check(stack, found)
        if not yes:
            rotation.preview(stack, found, on_event=listening.on_event)
            listening.pause()
            running.show_plan(called.terminal.err, listening.seen, called, diffs=True)
            for line in planned(found):
                called.terminal.say(line)
            if not called.terminal.confirm("Do this?"):
                called.terminal.say("nothing was changed")
                return
        done = rotation.rotate(stack, found, on_event=listening.on_event, progress=listening.step)
    _rotated(called, found, done)


def planned(found: Outlook) -> list[str]:
    """Return what is done in the repository, a line each."""
    lines: list[str] = []
    if found.unfinished:
        lines.append(f"Goes on with {found.unfinished}, which an earlier run made.")
    if not found.commits:
        return [*lines, "Nothing is committed (flux.commit is none)."]
    lines.append("In one commit:")
    lines.append(f"  replace {found.certificate}")
    lines += [f"  seal anew {place}" for place in found.reseal]
    if found.others:
        lines.append("Left as it is, since no key at hand opens it:")
        lines += [f"  {problem}" for problem in found.others]
    if found.templates:
        lines.append("Left as it is, since only Helm can read it:")
        lines += [f"  {path}" for path in found.templates]
    if found.unreadable:
        lines.append("Left as it is, since it cannot be read:")
        lines += [f"  {problem}" for problem in found.unreadable]
    return lines


def _nothing(called: Settings, sentence: str, found: Outlook) -> None:
    if called.json:
        called.terminal.event(_event(found.newest, found.newest, changed=False))
    else:
        called.terminal.result(sentence)


def _rotated(called: Settings, found: Outlook, done: Rotated) -> None:
    if called.json:
        called.terminal.event(_event(done.before, done.after, changed=True, seconds=done.seconds))
        return
    if found.others:
        number = len(found.others)
        called.terminal.warn(f"no key at hand opens {number} values: they are as they were")
    if found.unreadable:
        files = ", ".join(problem.where for problem in found.unreadable)
        called.terminal.warn(f"not looked through, since it cannot be read: {files}")
    if not done.proven:
        called.terminal.warn("no controller runs yet: it reads the key when it starts")
    if done.pull:
        called.terminal.warn(f"a pull request waits to be merged: {done.pull}")
    if not found.commits:
        called.terminal.warn(
            "nothing was committed (flux.commit is none): 'elysium output sealingCertificate'"
            " prints the certificate, and 'elysium secret reseal' seals a checkout anew"
        )
    sealed = "1 SealedSecret is" if done.resealed == 1 else f"{done.resealed} SealedSecrets are"
    called.terminal.result(
        f"{done.after} is in use after {done.seconds:.1f}s; {sealed} sealed for it,"
        f" {done.opened} seen open in the cluster; {done.before} still opens what is older"
    )


def _event(before: str, after: str, *, changed: bool, seconds: float = 0.0) -> dict[str, object]:
    return {
        "event": "rotation",
        "credential": "sealing-key",
        "changed": changed,
        "before": before,
        "after": after,
        "seconds": round(seconds, 3),
    }
