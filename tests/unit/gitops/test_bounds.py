"""YAML that stands for more than it says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from provision.gitops import bounds, documents
from tests.support import excess


@pytest.mark.parametrize("text", excess.EXCESS.values(), ids=excess.EXCESS)
def test_excess_is_a_problem_with_its_line(text: str) -> None:
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30));"
        "from provision.gitops import documents; problems = [];"
        "print(documents.read_text(sys.stdin.read(), 'a.yaml', problems), problems)"
    )
    # In a process of its own: without the limit it ends the process, not only the test.
    done = subprocess.run(
        [sys.executable, "-c", code], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.startswith("[] [Problem(")
    assert "where='a.yaml:" in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {b: c}\nd: *a\n",
        "base: &base {a: 1}\nlist:\n" + "".join("  - {<<: *base, b: 2}\n" for _ in range(2000)),
        "a: '" + "[" * 5000 + "'\n",
        "[" * 150 + "]" * 150,
        "- " + ", ".join("{a: [1]}" for _ in range(3)).join("[]") + "\n",
    ],
)
def test_what_people_write_is_within(text: str) -> None:
    bounds.check(text)
    assert documents.load_all(text)
