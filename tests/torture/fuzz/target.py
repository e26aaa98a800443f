"""A parser under attack, and what it may do with an input."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from provision import errors
from tests.torture.cases import Failure

SLOW: Final = 5.0
"""Seconds of this thread's CPU time for one input."""
LONGEST: Final = 1 << 20
"""Characters of an error."""
CANARY: Final = "canary7f3a9c5e1b"
"""A secret inside of valid inputs: no error quotes it."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A parser.

    Attributes:
        name: also the name of its folder in the corpus.
        seeds: valid inputs, small ones.
        read: reads one input. The folder is for parsers of files, and is used again for the next.
        documented: what the parser raises besides `ElysiumError`, as its docstring says.
        form: what the seeds are; of JSON and YAML single values are replaced, too.
        inputs: how many one case tries; fewer for a parser that takes long.
    """

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[bytes, Path], object]
    documented: tuple[type[Exception], ...] = ()
    form: Literal["text", "json", "yaml"] = "text"
    inputs: int = 100


def attempt(target: Target, data: bytes, folder: Path) -> Failure | None:
    """Give `data` to the parser of `target`; return what is wrong with its answer."""
    began = time.thread_time()
    wrong = ""
    where = ""
    try:
        target.read(data, folder)
    except errors.ElysiumError as error:
        wrong = _wrong_words(error)
    except target.documented as error:
        wrong = "quotes a secret" if CANARY in str(error) else ""
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        place = traceback.extract_tb(error.__traceback__)[-1]
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "/provision/" in f.filename]
        place = ours[-1] if ours else place
        wrong = f"{type(error).__name__} at {Path(place.filename).name}:{place.name}"
        where = traceback.format_exc(limit=-6)
    took = time.thread_time() - began
    if not wrong and took > SLOW:
        wrong = "takes too long"
        where = f"{took:.1f} s of CPU time"
    if not wrong:
        return None
    shown = repr(data[:2000]) + (f" … ({len(data):,} bytes)" if len(data) > 2000 else "")
    return Failure(kind=f"{target.name}: {wrong}", text=f"  input: {shown}\n{where}")


def _wrong_words(error: errors.ElysiumError) -> str:
    said = str(error)
    if CANARY in said:
        return f"{type(error).__name__} quotes a secret"
    if not error.summary.strip():
        return f"{type(error).__name__} says nothing"
    if len(said) > LONGEST:
        return f"{type(error).__name__} says too much"
    return ""
