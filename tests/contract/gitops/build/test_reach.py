"""What the analysis of a hostile repository reads and contacts, seen from outside."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import escapes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace and namespaces are Linux'")

ANALYSE = """\
import json, sys
from provision.gitops.build import discovery, isolation
from provision.gitops.tree import Tree
if sys.argv[1] == "text":
    isolation._may_confine = lambda: False
for name, files in json.load(sys.stdin).items():
    found = discovery.discover(Tree.of(files), "app")
    print(name, len(found.problems), found.unconfined)
"""
URL = "http://198.51.100.7:8080"
"""An address of documentation: nobody answers there."""
UNIX = re.compile(r"connect\(\d+, \{sa_family=AF_(?!UNIX)")


@pytest.mark.parametrize("protection", ["namespaces", "text"])
def test_no_file_outside_is_opened_and_nothing_is_contacted(
    tmp_path: Path, protection: str
) -> None:
    assert shutil.which("strace"), "make strace"
    outside = tmp_path / "outside"
    for name, text in escapes.OUTSIDE.items():
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_text(text)
    trees = {one.name: one.at(str(outside), URL) for one in escapes.all_of()}
    trees["remote"] = {
        "app/kustomization.yaml": "resources: [mine.yaml, 'https://github.com/me/x?ref=v1']\n",
        "app/mine.yaml": escapes.MINE,
    }
    log = tmp_path / "log"
    trace = ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2,connect,execve"]
    done = subprocess.run(
        [*trace, "-o", log, sys.executable, "-c", ANALYSE, protection],
        input=json.dumps(trees),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len({*trees})
    assert [line for line in lines[:-1] if line.split()[1] == "0"] == []
    traced = log.read_text(errors="replace")
    assert "kubectl" in traced
    assert str(outside) not in traced
    assert UNIX.findall(traced) == []
    programs = set(re.findall(r'execve\("([^"]+)"', traced))
    assert {Path(one).name for one in programs if "git" in Path(one).name} == set()


def test_it_is_analysed_in_an_empty_network_too(tmp_path: Path) -> None:
    files = {"app/kustomization.yaml": "resources: [mine.yaml]\n", "app/mine.yaml": escapes.MINE}
    enter = ["unshare", "-rn"]
    if subprocess.run([*enter, "true"], capture_output=True, check=False).returncode:
        pytest.skip("the kernel gives no namespaces here")
    done = subprocess.run(
        [*enter, sys.executable, "-c", ANALYSE, "namespaces"],
        input=json.dumps({"own": files}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["own", "0"], done.stderr
