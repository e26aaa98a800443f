"""Make docs/run.svg: a real run of elysium in a sandbox, as a picture.

Run as root from the project's folder: ``.venv/bin/python docs/record.py``.
What the commands print is what is drawn; of a long output the middle is left
out, and a line says how many lines that were.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import tempfile

from rich import console, text

from provision.sandbox import lifecycle, tryout

ELYSIUM = pathlib.Path(sys.executable).with_name("elysium")
OUT = pathlib.Path(__file__).with_name("run.svg")
NAME = "recording"
WIDTH = 100


def run(folder: pathlib.Path, *arguments: str, stdin: str | None = None) -> list[str]:
    """Run ``elysium ARGUMENTS`` in `folder`; return the lines it printed, results last."""
    done = subprocess.run(
        [ELYSIUM, *arguments],
        cwd=folder,
        env=os.environ
        | {
            "HOME": str(folder),
            "COLUMNS": str(WIDTH),
            "FORCE_COLOR": "1",
            "TERM": "xterm-256color",
        },
        input=stdin,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"elysium {' '.join(arguments)} failed:\n{done.stdout}")
    return done.stdout.rstrip().splitlines()


def shortened(lines: list[str], first: int, last: int) -> list[str]:
    """Return `lines`, the middle replaced by one line that counts it."""
    left = len(lines) - first - last
    if left <= 1:
        return lines
    return [*lines[:first], f"   … {left} more lines …", *lines[len(lines) - last :]]


def main() -> None:
    """Record, and write the picture."""
    sandbox = lifecycle.up(NAME, fresh=True)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            tryout.seed_repository(sandbox)
            run(folder, *tryout.init_arguments(sandbox))
            for key, value in tryout.settings(sandbox).items():
                run(folder, "config", "set", key, value)
            key = tryout.media_key(sandbox) + "\n"
            run(folder, "config", "set", "--secret", "media.remote.key", stdin=key)
            shown = [
                ("elysium preview --no-diff", run(folder, "preview", "--no-diff")),
                ("elysium up", shortened(run(folder, "up", "--yes"), 8, 24)),
                ("elysium up", run(folder, "up", "--yes")),
            ]
    finally:
        lifecycle.down(NAME)
    screen = console.Console(record=True, width=WIDTH, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    for command, lines in shown:
        screen.print(text.Text(f"$ {command}", style="bold"))
        for line in lines:
            screen.print(text.Text.from_ansi(line), no_wrap=True, crop=True)
        screen.print()
    svg = screen.export_svg(title="elysium", unique_id="elysium")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # nothing from other hosts
    OUT.write_text(svg.replace("Fira Code", "monospace"))


if __name__ == "__main__":
    main()
