"""What a successful ``up`` leaves on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import console, table

from provision.cli.render import plan, text
from provision.secret import MASK, Secret

if TYPE_CHECKING:
    from provision import config
    from provision.operations.deploy import UpResult
    from provision.operations.repository_health import Report

_ROWS = (
    ("node", "nodeName"),
    ("k3s", "k3sVersion"),
    ("GPU", "gpuAllocatable"),
    ("media", "mediaMount"),
    ("deploy key", "deployKeyFingerprint"),
    ("Flux at", "fluxRevision"),
)


def table_of_steps(steps: tuple[tuple[str, float], ...]) -> table.Table:
    """Return what was done and how long it took, longest last."""
    grid = table.Table.grid(padding=(0, 2))
    for what, seconds in steps:
        grid.add_row("", text.Text(what), text.Text(f"{seconds:.1f}s", style="dim"))
    return grid


def render(cfg: config.Config, done: UpResult) -> console.Group:
    """Return the facts of the cluster, the steps and their times."""
    outputs = done.result.outputs
    grid = table.Table.grid(padding=(0, 2))
    for label, key in _ROWS:
        value = outputs.get(key)
        if value is not None:
            grid.add_row("", text.Text(label, style="dim"), text.Text(_words(key, value)))
    kustomizations = outputs.get("kustomizations")
    if isinstance(kustomizations, (list, tuple)) and kustomizations:
        names = ", ".join(str(each.get("name", "")) for each in kustomizations)
        row = text.Text(f"{len(kustomizations)} Ready: {names}")
        grid.add_row("", text.Text("Flux", style="dim"), row)
    if done.seeds:
        grid.add_row("", text.Text("seeds", style="dim"), text.Text(", ".join(done.seeds)))
    if done.repository is not None:
        words = _repository(done.repository)
        grid.add_row("", text.Text("repository", style="dim"), text.Text(words))
    grid.add_row(
        "",
        text.Text("kubeconfig", style="dim"),
        text.Text(f"elysium kubeconfig --merge (then: kubectl --context {cfg.cluster})"),
    )
    head = text.Text(f"{cfg.cluster} is up", style="bold green")
    head.append(f" after {done.result.seconds:.1f}s: ")
    head.append_text(plan.counts(done.result.counts, planned=False))
    parts: list[console.RenderableType] = [head, grid, *_not_ready(done.repository)]
    if done.steps:
        parts += [text.Text("  What took how long:", style="dim"), table_of_steps(done.steps)]
    return console.Group(*parts)


def as_json(done: UpResult) -> dict[str, Any]:
    """Return the last line of ``up --json``."""
    return {
        "event": "result",
        "counts": dict(done.result.counts),
        "seconds": done.result.seconds,
        "changed": done.result.changed,
        "steps": [{"what": what, "seconds": seconds} for what, seconds in done.steps],
        "outputs": _masked(dict(done.result.outputs)),
        "seeds": list(done.seeds),
        "notReady": _sentences(done.repository),
    }


def _repository(report: Report) -> str:
    """Return how what the repository applies is, in a few words."""
    if report.unknown:
        return f"whether its objects are ready is not known: {report.unknown}"
    if not report.total:
        return "no other sources, Kustomizations or HelmReleases"
    if not report.unready:
        return f"{report.total} Ready"
    return f"{report.unready} of {report.total} not ready"


def _sentences(report: Report | None) -> list[str]:
    return [*report.failing, *report.under_way] if report is not None else []


def _not_ready(report: Report | None) -> list[console.RenderableType]:
    """Return what of the repository is not ready, what fails first."""
    if report is None or not report.unready:
        return []
    lines: list[console.RenderableType] = [
        text.Text(
            "  Set up as configured; of the repository this is not ready:", style="bold yellow"
        )
    ]
    lines += [text.Text(f"    ✗ {sentence}", style="red") for sentence in report.failing]
    lines += [text.Text(f"    ~ {sentence}", style="yellow") for sentence in report.under_way]
    lines.append(text.Text("  elysium status shows it again.", style="dim"))
    return lines


def _words(key: str, value: Any) -> str:
    if isinstance(value, Secret):
        return MASK
    return f"{value} to share" if key == "gpuAllocatable" else str(value)


def _masked(value: Any) -> Any:
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(item) for item in value]
    return value
