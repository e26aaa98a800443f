"""One operation of the embedded engine: ``embedded.py OPERATION FOLDER``.

Says how many steps there were of each kind. The program is what the
environment says.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from provision.engine import api
from provision.secret import Secret


def main(operation: str, folder: str) -> None:
    """Run it, and print its counts."""
    ref = api.StackRef(root=Path(folder), project="bench", stack="dev", backend="file://./state")
    engine = api.open_engine("embedded", ref, Secret("bench"), {"bench": _provider})
    program = _program if operation in ("preview", "up") else None
    method = getattr(engine, operation)
    result = method(program, options=api.Options(), on_event=lambda _event: None)
    sys.stdout.write(json.dumps(dict(result.counts)) + "\n")


def _provider():
    from tests.bench_engine.drivers import trivial

    return trivial.Trivial()


def _program() -> None:
    from tests.bench_engine.drivers import trivial

    trivial.make_as_told()


if __name__ == "__main__":
    main(*sys.argv[1:])
