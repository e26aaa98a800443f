"""Scripts through every login shell of Debian: they arrive byte for byte, or not at all.

`make shells` installs them. An SSH server runs ``SHELL -c COMMAND``, and so does the first half of
this file; the second goes through a real sshd that takes the shell from its own /etc/passwd.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import subprocess
from collections.abc import Callable

import pytest

from provision import config, errors
from provision.host import elevate, scripts, session
from provision.recovery.backup import destinations
from tests.support.loginshells import NO_SHELL, RESTRICTED, SHELLS, argv

ODD = (
    "\\\\ \\n \\1 'a' \"b\" `c` $(d) ${e} !! !x ~ * ? [x] {y,z} # %2 ^ | & ; < > ( ) = @ \t é \x81"
)
"""What some shell reads as something else."""

SCRIPT = f"""\
cat <<'END'
{ODD}
END
printf '%s\\n' '\\040' | sed 's/\\\\\\([0-7]*\\)/<\\1>/'
# a comment with an apostrophe: it's
cat | sha256sum
exit 7"""
DATA = bytes(range(1, 256)) * 300 + b"end"
EXPECTED = f"{ODD}\n<040>\n{hashlib.sha256(DATA).hexdigest()}  -\n".encode()


def run(shell: str, script: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = elevate.Elevation(host="kyrion", user="root", password=None).command(
        script, timeout=60
    )
    return subprocess.run(
        argv(shell, command),
        input=scripts.framed(script) + data,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_arrives_as_it_is(shell: str) -> None:
    done = run(shell, SCRIPT, DATA)
    assert (done.returncode, done.stdout) == (7, scripts.started() + EXPECTED), done.stderr.decode()
    assert scripts.ran(done.stderr)


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox", "mksh", "ksh93", "yash", "zsh"])
def test_any_posix_shell_as_sh_runs_it(shell: str, tmp_path: pathlib.Path) -> None:
    there = argv(shell, "")[0]
    link = tmp_path / ("busybox" if shell == "busybox" else "sh")
    link.symlink_to(there)
    command = scripts.command(SCRIPT).replace(
        "/bin/sh", f"{link} sh" if shell == "busybox" else str(link)
    )
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        input=scripts.framed(SCRIPT) + DATA,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, scripts.started() + EXPECTED), done.stderr.decode()


def test_every_installed_login_shell_is_listed() -> None:
    lines = pathlib.Path("/etc/shells").read_text().splitlines()
    there = {line.rpartition("/")[2] for line in lines if line.startswith("/")}
    assert there <= NO_SHELL | set(SHELLS)


@pytest.mark.parametrize("shell", ["sh", "fish", "tcsh", "xonsh"])
@pytest.mark.parametrize("missing", [1, 3, 40])
def test_half_a_script_does_nothing(shell: str, missing: int, tmp_path: pathlib.Path) -> None:
    script = f"touch {tmp_path}/one\ntouch {tmp_path}/two\ntrue # {'x' * 50}"
    command = scripts.command(script)
    done = subprocess.run(
        argv(shell, command),
        input=scripts.framed(script)[:-missing],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0 and not scripts.ran(done.stderr)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shell", RESTRICTED)
def test_a_restricted_shell_is_named(shell: str, tmp_path: pathlib.Path) -> None:
    done = run(shell, f"touch {tmp_path}/x")
    elevation = elevate.Elevation(host="kyrion", user="root", password=None)
    with pytest.raises(errors.RemoteError, match="login shell of root on kyrion") as caught:
        elevation.check_shell(done.returncode, done.stdout, done.stderr)
    assert caught.value.detail and "chsh" in caught.value.hint
    assert not list(tmp_path.iterdir())


# -- through a real sshd -----------------------------------------------------


@pytest.fixture
def logged_in(
    make_sshd: Callable[..., object], tmp_path: pathlib.Path
) -> Callable[[str], config.Node]:
    """Return a function that starts an sshd where root has another login shell."""

    def start(shell: str) -> config.Node:
        path = argv(shell, "")[0]
        passwd = tmp_path / "passwd"
        lines = pathlib.Path("/etc/passwd").read_text().splitlines()
        passwd.write_text("".join(f"{_with_shell(line, path)}\n" for line in lines))
        server = make_sshd(wrap=("unshare", "--mount", "sh", "-c", _BOUND, "sh", str(passwd)))
        return server.node()  # type: ignore[attr-defined,no-any-return]

    return start


_BOUND = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'


def _with_shell(line: str, shell: str) -> str:
    return f"{line.rpartition(':')[0]}:{shell}" if line.startswith("root:") else line


@pytest.mark.parametrize("shell", ["fish", "tcsh", "csh", "xonsh", "elvish", "zsh"])
def test_a_session_and_a_backup(
    shell: str, logged_in: Callable[[str], config.Node], tmp_path: pathlib.Path
) -> None:
    node = logged_in(shell)
    with session.NodeSession(node) as opened:
        # It changes the node, so it takes the lock, too.
        done = opened.run(SCRIPT, stdin=DATA, timeout=60, what="a test", check=False)
        assert (done.stdout, done.status, done.stderr) == (EXPECTED, 7, b"")
    login = config.SshLogin.model_validate(
        {name: getattr(node, name) for name in config.SshLogin.model_fields}
    )
    path = tmp_path / "it's \\a\\1 folder"
    place = destinations.Server(login=login, path=str(path), cluster="kyrion")
    name, content = "kyrion-20260101T000000Z.elysium", os.urandom(100_000)
    place.check()
    place.put(name, content)
    assert (path / name).read_bytes() == content
    place.remove(name)
    assert not list(path.iterdir())


def test_a_login_that_runs_no_scripts(logged_in: Callable[[str], config.Node]) -> None:
    node = logged_in("nologin")
    with session.NodeSession(node) as opened, pytest.raises(errors.RemoteError) as caught:
        opened.run("true", timeout=20, what="a test")
    assert "login shell of root" in caught.value.summary
    assert "not available" in caught.value.detail
