"""A restore as a person reads it: before it begins, and when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import console, table

from provision.cli.render import text

if TYPE_CHECKING:
    from provision.recovery.restore.decryptability import Locked
    from provision.recovery.restore.report import Report
    from provision.recovery.restore.steps import Result

_MODES = {
    "rebuild": "rebuild from Git: a new cluster, as the repository describes it now, with the "
    "backup's keys",
    "datastore": "restore the datastore: every object as it was when the backup was made",
}


def told(report: Report) -> console.Group:
    """Return what a restore would do, need and lose."""
    described = report.manifest
    rows = [
        ("backup", f"{described.created}, of {described.node.name} at {described.node.host}"),
        ("signature", report.signed.words),
        ("mode", _MODES[report.mode]),
        ("node", report.host or "not named yet, so not looked at"),
        ("repository", report.repository),
        ("goes on after", ", ".join(report.resumed)),
        ("time", report.took),
        *(("note", words) for words in report.notes),
        *(("here", words) for words in report.changes),
    ]
    found: list[console.RenderableType] = [
        text.Text(f"Restore of {described.cluster}", style="bold"),
        _grid(rows),
        *_locked("SealedSecrets", report.sealed),
        *(_locked("SOPS files", report.sops) if report.sops else ()),
    ]
    found += [text.Text(f"Lost: {words}.", style="yellow") for words in report.losses]
    found += [
        text.Text(
            f"Lost: the Secret {name}: neither Git nor the backup has it; whatever made it "
            "makes it again, or it is gone.",
            style="yellow",
        )
        for name in report.secrets
    ]
    for problem in (*report.hard, *report.soft):
        found.append(text.Text(f"✗ {problem}", style="bold red"))
    verdict = (
        text.Text("It will end well, as far as can be seen from here.", style="bold green")
        if report.well
        else text.Text("It will not end well as it is.", style="bold red")
    )
    return console.Group(*found, verdict)


def _locked(what: str, found: Sequence[Locked]) -> list[text.Text]:
    lines = [text.Text(f"{what} of the repository: {len(found)}")]
    for each in found:
        sign, style = ("✗", "bold red") if each.why else ("✓", "green")
        line = text.Text("  ")
        line.append(f"{sign} ", style=style)
        line.append(each.name)
        if each.why:
            line.append(f"  {each.where}: {each.why}")
        lines.append(line)
    if found and not any(each.why for each in found):
        lines.append(text.Text("The backup's keys open all of them.", style="green"))
    return lines


def as_json(report: Report) -> dict[str, Any]:
    """Return the report for machines. No secret is in it."""
    return {
        "mode": report.mode,
        "cluster": report.manifest.cluster,
        "created": report.manifest.created,
        "signature": {"state": report.signed.state, "fingerprint": report.signed.fingerprint},
        "host": report.host,
        "repository": report.repository,
        "well": report.well,
        "problems": [
            {
                "where": each.where,
                "key": each.key,
                "message": each.message,
                "hint": each.hint,
                "overridable": each in report.soft,
            }
            for each in (*report.hard, *report.soft)
        ],
        "sealedSecrets": _opening(report.sealed),
        "sopsFiles": _opening(report.sops),
        "lostSecrets": list(report.secrets),
        "losses": list(report.losses),
        "notes": list(report.notes),
        "took": report.took,
        "done": list(report.resumed),
    }


def _opening(found: Sequence[Locked]) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "where": each.where, "opens": not each.why, "why": each.why}
        for each in found
    ]


def ended(done: Result) -> dict[str, Any]:
    """Return the end of a restore as an event."""
    compared = done.compared
    return {
        "event": "restored",
        "seconds": done.run.seconds,
        "steps": [{"step": each.step, "seconds": each.seconds} for each in done.run.done],
        "kustomizations": compared.ready,
        "secrets": compared.secrets,
        "equal": compared.equal,
        "expected": list(compared.expected),
    }


def summary(cluster: str, done: Result) -> console.Group:
    """Return how it ended."""
    compared = done.compared
    head = text.Text(f"{cluster} is back", style="bold green")
    head.append(f" after {done.run.seconds:.0f}s", style="dim")
    rows = [
        ("Kustomizations", f"{compared.ready} Ready"),
        ("Secrets", f"{compared.equal} of {compared.secrets} as they were"),
        *(("told before", words) for words in compared.expected),
        *((each.step, f"{each.seconds:.1f}s") for each in done.run.done),
    ]
    return console.Group(head, _grid(rows))


def _grid(rows: list[tuple[str, str]]) -> table.Table:
    grid = table.Table.grid(padding=(0, 2))
    for label, value in rows:
        if value:
            grid.add_row("", text.Text(label, style="dim"), text.Text(value))
    return grid
