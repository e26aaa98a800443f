"""YAML that stands for more than it says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from provision import errors, safeyaml
from provision.gitops import documents
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
    safeyaml.check(text)
    assert documents.load_all(text)


READERS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
import json, pathlib
from provision import errors
from provision.config_file import document
from provision.gitops import documents
from provision.kube import kubeconfig
from provision.provider.k3s import existing
from provision.recovery.drill import sandbox_config
from provision.recovery.restore import addresses
readers = {
    "repository": lambda text: documents.read_text(text, "a.yaml", []),
    "kubeconfig of the node": kubeconfig.document,
    "kubeconfig of the user": lambda text: kubeconfig.parse(text, own=True),
    "kubeconfig of the state": addresses.old_cluster,
    "config.yaml of the node": lambda text: existing._from_config(text, []),
    "configuration": lambda text: document.parse_text(pathlib.Path("Pulumi.a.yaml"), text),
    "configuration of a backup": lambda text: sandbox_config.configuration(text, str, None),
}
for kind, text in json.load(sys.stdin).items():
    for name, read in readers.items():
        try:
            read(text)
        except errors.ElysiumError:
            pass
        except BaseException as error:
            print(f"{name}, {kind}: {type(error).__name__}")
print("done")
"""


def test_no_reader_ends_otherwise_than_with_an_error_of_ours() -> None:
    texts = {**excess.EXCESS, **excess.ODD, "copies": excess.MERGES}
    done = subprocess.run(
        [sys.executable, "-c", READERS],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["done"], (done.stdout, done.stderr[-500:])


@pytest.mark.parametrize("kind", ["bool", "int", "float", "digits"])
def test_a_value_that_does_not_fit_its_tag_is_a_problem_with_its_line(kind: str) -> None:
    problems: list[errors.Problem] = []
    assert documents.read_text(f"# first\n{excess.ODD[kind]}", "a.yaml", problems) == []
    (problem,) = problems
    assert problem.where == "a.yaml:2"
    assert problem.message.startswith("not YAML: a value cannot be read as ")
    assert "1111" not in problem.message
