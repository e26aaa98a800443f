"""The table of the results in docs/engine.md."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from pathlib import Path

from provision.fileio import atomic
from tests.upstream import lives

PAGE = Path(__file__).parents[2] / "docs" / "engine.md"
BEGIN = "<!-- The table is made by `make upstream`; edits in it are lost. -->\n"
END = "<!-- End of the table. -->\n"


def table(results: Sequence[Sequence[lives.Result]], versions: str) -> str:
    """Return the table: a row a step, a column a life."""
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    heads = [
        f"{'upstream' if life[0].step.engine == 'upstream' else 'the embedded engine'} begins"
        for life in results
    ]
    rows = [
        f"{day}, {versions}. In a cell: the engine, what it changed, and how long it took.",
        "",
        f"| step | {' | '.join(heads)} |",
        "|---" * (len(heads) + 1) + "|",
    ]
    for together in zip(*results, strict=True):
        cells = [f"{each.step.engine}: {each.words}" for each in together]
        rows.append(f"| {together[0].step.name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def written(text: str, found: str) -> str:
    """Return the page `text` with the table `found` in its place."""
    pattern = re.compile(f"(?s){re.escape(BEGIN)}.*?{re.escape(END)}")
    if not pattern.search(text):
        raise ValueError(f"{PAGE} has no place for the table")
    return pattern.sub(lambda _: f"{BEGIN}\n{found}\n{END}", text)


def write(found: str) -> None:
    """Put the table into the page."""
    atomic.write(PAGE, written(PAGE.read_text(), found), mode=None)
