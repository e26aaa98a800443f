"""``elysium --help`` is light, and every command's help works on a bare machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from provision.cli import main

HEAVY = (
    "pulumi", "pulumi_kubernetes", "paramiko", "github", "httpx2", "pydantic", "rich",
    "ruamel", "grpc", "cryptography", "httpx", "jinja2", "yaml", "platformdirs",
)  # fmt: skip


def loaded(*arguments: str) -> set[str]:
    """Run ``elysium`` in a process of its own; return the heavy packages it loaded."""
    code = (
        "import sys\n"
        "from provision.cli.main import main\n"
        f"code = main({list(arguments)!r})\n"
        "print('LOADED', code, *sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    last = done.stderr.splitlines()[-1].split()
    assert last[:2] == ["LOADED", "0"], done.stderr
    return set(last[2:]) & set(HEAVY)


@pytest.mark.parametrize("arguments", [("--help",), (), ("--version",)])
def test_help_loads_nothing_heavy(arguments):
    assert loaded(*arguments) == set()


@pytest.mark.parametrize("name", main.COMMANDS)
def test_help_of_a_command_loads_nothing_heavy(name):
    assert loaded(name, "--help") == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(call, shell):
    outcome = call("completion", shell)
    assert outcome.code == 0
    assert "_ELYSIUM_COMPLETE" in outcome.out


def test_tab_completes_commands_stacks_and_keys(folder, monkeypatch):
    from click.shell_completion import BashComplete

    def tab(*words: str) -> list[str]:
        *before, incomplete = words
        complete = BashComplete(main.cli, {}, "elysium", "_ELYSIUM_COMPLETE")
        return [item.value for item in complete.get_completions(before, incomplete)]

    assert tab("kube") == ["kubeconfig"]
    assert tab("up", "--stack", "ky") == ["kyrion"]
    assert tab("config", "s") == ["show", "set"]
    assert "nodes[0].hostKey" in tab("config", "set", "nodes[0].ho")
