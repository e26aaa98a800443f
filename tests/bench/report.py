"""How a benchmark speaks: progress to standard error, its table to standard output."""

from __future__ import annotations

import argparse
import json
import pathlib
import signal
import sys
import time
from collections.abc import Iterable, Mapping

from tests.bench import figures


def add_arguments(parser: argparse.ArgumentParser, *, rounds: int, of: str) -> None:
    """Add ``--rounds`` (default `rounds`; `of` says of what) and ``--json`` to `parser`."""
    parser.add_argument(
        "--rounds", type=_rounds, default=rounds, help=f"rounds of {of} (default {rounds})"
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="every sample, too")


def _rounds(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: give 1 or more")
    return int(text)


def end_with_sigterm() -> None:
    """Have SIGTERM end the benchmark as an exception does, so that what it started ends too."""

    def end(number: int, _frame: object) -> None:
        del _frame
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)


def say(message: str) -> None:
    """Tell what is being done now, with the time of day."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {message}\n")


def show(table: figures.Table, heading: str, more: Mapping[str, Iterable[str]]) -> None:
    """Print `heading`, the table, the aims it misses, and the lists of `more` by their titles."""
    parts = [heading, table.render()]
    for title, lines in {"Aims not met": table.missed(), **more}.items():
        listed = [f"- {line}" for line in lines]
        if listed:
            parts.append("\n".join([f"{title}:", *listed]))
    sys.stdout.write("\n\n".join(part.strip("\n") for part in parts) + "\n")
    sys.stdout.flush()


def write_json(path: pathlib.Path, table: figures.Table, on: str, rounds: int) -> None:
    """Write every sample to `path`, with the machine (`on`) and the number of rounds."""
    document = {"machine": on, "rounds": rounds, "series": table.data()}
    path.write_text(json.dumps(document, indent=2) + "\n")
