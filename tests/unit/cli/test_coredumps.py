"""A process of elysium that may hold credentials leaves no core dump."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from provision.cli import main

ASK = """\
import ctypes, resource, sys, threading
from provision.cli import main
{before}
code = main.main({arguments!r})
print(code, resource.getrlimit(resource.RLIMIT_CORE)[0], ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
{after}
"""


def ask(*arguments: str, before: str = "", after: str = "") -> list[str]:
    code = ASK.format(arguments=list(arguments), before=before, after=after)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.splitlines()


RAISE = "resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may raise the limit for the test")
def test_a_command_cannot_be_dumped():
    code, soft, dumpable = ask("completion", "bash", before=RAISE)[-1].split()
    assert (code, soft, dumpable) == ("0", "0", "0")


def test_every_command_forbids_it(monkeypatch):
    import click

    from provision.cli import lazy

    def leaves(command: click.Command) -> list[click.Command]:
        if not isinstance(command, click.Group):
            return [command]
        context = click.Context(command)
        names = command.list_commands(context)
        return [x for name in names for x in leaves(command.get_command(context, name))]  # type: ignore[arg-type]

    found = leaves(main.cli)
    assert len(found) > 30
    assert [command.name for command in found if not isinstance(command, lazy.Command)] == []


def test_help_does_without_what_is_slow():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\nfrom provision.cli import main\nmain.main(['up', '--help'])\n"
            "main.main(['--help'])\nprint('ctypes' in sys.modules)",
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1] == "False"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become another user")
def test_a_client_key_in_memory_can_still_be_read_by_a_plain_user():
    before = "import os\nfrom provision import coredumps\nfrom provision.kube import kubeconfig"
    after = """
os.setresuid(65534, 65534, 65534)
coredumps.forbid()
def read():
    with kubeconfig._readable(b"key") as path:
        print("read", open(path).read())
read()
thread = threading.Thread(target=read)
thread.start()
thread.join()
"""
    assert ask("completion", "bash", before=before, after=after).count("read key") == 2
