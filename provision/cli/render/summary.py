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
    from provision.operations.workloads import Finding

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
    if done.components is not None:
        words = _components(done.components)
        grid.add_row("", text.Text("components", style="dim"), text.Text(words))
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
    parts: list[console.RenderableType] = [head, grid, *_not_ready(done)]
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
        "notReady": [sentence for sentence, _ in _sentences(done)],
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


def _components(finding: Finding) -> str:
    """Return how k3s' own components are, in a few words."""
    if finding.health == "unknown":
        return f"whether those of k3s are ready is {finding.problems[0]}"
    return ", ".join(f"{name} {how}" for name, how in finding.facts)


def _sentences(done: UpResult) -> list[tuple[str, bool]]:
    """Return what is not ready, and whether it fails; what fails comes first."""
    found: list[tuple[str, bool]] = []
    components, report = done.components, done.repository
    if components is not None and components.health != "unknown":
        found += [(problem, problem not in components.under_way) for problem in components.problems]
    if report is not None:
        found += [(sentence, True) for sentence in report.failing]
        found += [(sentence, False) for sentence in report.under_way]
        found += [(f"{each} is suspended", False) for each in report.suspended]
    return sorted(found, key=lambda each: not each[1])


def _not_ready(done: UpResult) -> list[console.RenderableType]:
    """Return what of the cluster and of the repository is not ready, what fails first."""
    found = _sentences(done)
    if not found:
        return []
    components, report = done.components, done.repository
    failed = components is not None and components.health == "failed"
    whose = ["k3s' components"] if failed else []
    whose += (
        ["the repository"] if report is not None and (report.unready or report.suspended) else []
    )
    head = f"  Set up as configured; of {' and '.join(whose)} this is not ready:"
    lines: list[console.RenderableType] = [text.Text(head, style="bold yellow")]
    lines += [
        text.Text(f"    {'✗' if fails else '~'} {sentence}", style="red" if fails else "yellow")
        for sentence, fails in found
    ]
    if components is not None:
        lines += [text.Text(f"  hint: {hint}", style="cyan") for hint in components.hints]
    if report is not None:
        hints = report.suspended.values()
        lines += [text.Text(f"  hint: {hint}", style="cyan") for hint in hints]
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
