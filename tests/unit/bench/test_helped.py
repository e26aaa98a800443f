"""What the benchmark reads from Python's own list of imports."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.bench import helped


def test_heavy_modules_are_found_in_what_python_says() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import rich.text, json"],
        env=os.environ | {"PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert helped.heavy(done.stderr) == ["rich"]


def test_light_ones_are_not_heavy() -> None:
    assert helped.heavy("import time:       100 |        200 |   json.decoder\n") == []
