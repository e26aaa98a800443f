"""What a successful ``up`` leaves on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import console, table

from provision.cli.render import plan, text
from provision.secret import MASK, Secret

if TYPE_CHECKING:
    from provision import config
    from provision.operations.deploy import UpResult

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
    grid.add_row(
        "",
        text.Text("kubeconfig", style="dim"),
        text.Text(f"elysium kubeconfig --merge (then: kubectl --context {cfg.cluster})"),
    )
    head = text.Text(f"{cfg.cluster} is up", style="bold green")
    head.append(f" after {done.result.seconds:.1f}s: ")
    head.append_text(plan.counts(done.result.counts, planned=False))
    parts: list[console.RenderableType] = [head, grid]
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
    }


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
