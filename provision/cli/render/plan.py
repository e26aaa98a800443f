"""A plan as a person reads it: a tree, the reason of each change, the diffs, the counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import tree

from provision.cli.render import ops, run, text
from provision.engine import events

_HIDDEN = ("pulumi:providers:",)
_SHORT = 80


def render(seen: run.Run, *, diffs: bool = True, everything: bool = False) -> tree.Tree:
    """Return the tree of what was planned.

    Unchanged resources are left out, unless `everything`; parents of what is
    shown always appear. `diffs` adds file hunks and property values.
    """
    top = tree.Tree("", hide_root=True, guide_style="dim")
    for planned in seen.roots():
        _add(top, planned, seen, diffs, everything)
    return top


def _add(
    branch: tree.Tree, planned: events.ResourcePlanned, seen: run.Run, diffs: bool, everything: bool
) -> None:
    if not everything and not _worth_showing(planned, seen):
        return
    node = branch.add(headline(planned, seen.op(planned)))
    for line in reasons(planned, diffs=diffs):
        node.add(line)
    for child in seen.children(planned.urn):
        _add(node, child, seen, diffs, everything)


def _worth_showing(planned: events.ResourcePlanned, seen: run.Run) -> bool:
    if planned.type.startswith(_HIDDEN):
        return False
    if planned.op not in ops.QUIET and planned.type != "pulumi:pulumi:Stack":
        return True
    return any(_worth_showing(child, seen) for child in seen.children(planned.urn))


def headline(planned: events.ResourcePlanned, op: str) -> text.Text:
    """Return one line: sign, what it is, its name, what happens to it."""
    sign = ops.sign(op)
    line = text.Text(f"{sign.sign:>2} ", style=sign.style)
    line.append(ops.label(planned.type), style=sign.style or "bold")
    line.append(f" {planned.name}")
    if op not in ops.QUIET:
        line.append(f"  {sign.planned}", style=sign.style)
    return line


def reasons(planned: events.ResourcePlanned, *, diffs: bool) -> Iterable[text.Text]:
    """Yield why: each change's own sentence, else the properties that differ."""
    for change in planned.changes:
        yield text.Text(change.summary)
        if diffs and change.diff:
            yield diff(change.diff)
    if planned.changes:
        return
    for one in planned.diffs:
        line = text.Text(one.path)
        if one.replaces:
            line.append("  (needs a replacement)", style="bold magenta")
        if diffs and (one.old or one.new):
            line.append(": ")
            if one.old:
                line.append(_short(one.old), style="red")
            if one.old and one.new:
                line.append(" → ")
            if one.new:
                line.append(_short(one.new), style="green")
        yield line


def diff(unified: str) -> text.Text:
    """Return a unified diff with its colours."""
    out = text.Text()
    lines = unified.rstrip("\n").split("\n")
    for number, line in enumerate(lines):
        style = ""
        if line.startswith(("+++", "---")):
            style = "bold"
        elif line.startswith("@@"):
            style = "cyan"
        elif line.startswith("+"):
            style = "green"
        elif line.startswith("-"):
            style = "red"
        out.append(line + ("\n" if number + 1 < len(lines) else ""), style=style)
    return out


def counts(numbers: Mapping[str, int], *, planned: bool) -> text.Text:
    """Return the totals in words: ``3 to create, 12 unchanged``."""
    out = text.Text()
    order = [op for op in ops.SIGNS if op != "same"] + ["same"]
    for op in [*order, *(op for op in numbers if op not in ops.SIGNS)]:
        number = numbers.get(op, 0)
        if not number:
            continue
        sign = ops.sign(op)
        if out:
            out.append(", ")
        out.append(f"{number} {sign.planned if planned else sign.done}", style=sign.style)
    return out or text.Text("nothing to do" if planned else "nothing was there")


def losses(seen: run.Run) -> text.Text | None:
    """Return a sentence that stands out when the plan deletes or replaces, else None."""
    out = text.Text()
    for planned in seen.planned.values():
        if planned.op in ops.DESTRUCTIVE and not planned.type.startswith(_HIDDEN):
            sign = ops.sign(planned.op)
            what = f"{ops.label(planned.type)} {planned.name}"
            out.append(f"\n  {sign.sign:>2} {what} is {sign.done}", style=sign.style)
    if not out:
        return None
    lost = text.Text("This takes something away:", style="bold red")
    lost.append_text(out)
    return lost


def _short(value: str) -> str:
    return value if len(value) <= _SHORT else value[: _SHORT - 1] + "…"
