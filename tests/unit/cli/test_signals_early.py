"""Ctrl-C, TERM and HUP while modules are imported: the right status and no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLOW = """
import importlib.abc, os, sys, time

class Slow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["SLOW_MODULE"]:
            print("importing", flush=True)
            end = time.monotonic() + float(os.environ["SLOW_SECONDS"])
            while time.monotonic() < end:
                time.sleep(0.01)
        return None

sys.meta_path.insert(0, Slow())
"""
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("module", "seconds"), [("click", "30"), ("provision.cli.settings", "30"), ("pydantic", "2")]
)
def test_a_signal_during_an_import(
    folder: Path, tmp_path: Path, number: signal.Signals, module: str, seconds: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW)
    environ = {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "SLOW_MODULE": module,
        "SLOW_SECONDS": seconds,
        "PULUMI_CONFIG_PASSPHRASE": "x",
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "provision.cli", "status"],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "importing\n"
    time.sleep(0.1)
    child.send_signal(number)
    began = time.monotonic()
    _, told = child.communicate(timeout=60)
    assert "Traceback" not in told and "ignored" not in told, told
    # A command that ends in the moment after the import has no more to interrupt.
    ended = (5,) if module == "pydantic" else ()
    assert child.returncode in (128 + number, *ended), told
    assert time.monotonic() - began < 20
