"""Every way to fail: words, exit status, a log for what nobody foresaw."""

from __future__ import annotations

import logging
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from provision import errors
from provision.cli import redaction
from provision.secret import Secret


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ElysiumError("failed"), 1),
        (errors.ArtifactError("failed"), 1),
        (errors.ConfigError("failed", []), 2),
        (errors.PreflightError("failed", []), 3),
        (errors.GitOpsError("failed", []), 3),
        (errors.ConnectError("failed", host="h"), 4),
        (errors.AuthError("failed", host="h"), 4),
        (errors.HostKeyError("failed", host="h", expected="a", got="b"), 4),
        (errors.SudoError("failed", host="h"), 4),
        (errors.CommandError("failed", host="h", command="c", status=1), 4),
        (errors.RemoteTimeoutError("failed", host="h"), 4),
        (errors.KubeError("failed"), 4),
        (errors.NotConvergedError("failed", remaining=("x",)), 5),
        (errors.WaitError("failed", what="w"), 5),
        (errors.CodeHostError("failed", operation="o"), 6),
        (errors.StackError("failed", operation="o"), 7),
        (errors.InterruptedByUser("failed"), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_each_class_has_its_exit_status(call, operations, error, code):
    operations.fails["preflight"] = error
    outcome = call("preview")
    assert outcome.code == code
    assert "error: failed" in outcome.err
    assert outcome.out == ""
    assert "Traceback" not in outcome.err


def test_detail_and_hint(call, operations):
    operations.fails["preflight"] = errors.CommandError(
        "k3s did not start",
        host="h",
        command="systemctl start k3s",
        status=1,
        stderr="line one\nline two",
        hint="look at the journal",
    )
    outcome = call("preview")
    assert outcome.err.endswith(
        "error: k3s did not start\n  line one\n  line two\nhint: look at the journal\n"
    )


def test_debug_adds_the_traceback(call, operations):
    operations.fails["preflight"] = errors.ElysiumError("failed")
    outcome = call("preview", "--debug")
    assert "Traceback" in outcome.err
    assert outcome.err.endswith("error: failed\n")


def test_the_unforeseen_leaves_a_log_for_its_owner_only(call, operations):
    operations.fails["preflight"] = ZeroDivisionError("at sudo-swordfish")
    outcome = call("preview")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert "something unforeseen happened: ZeroDivisionError" in outcome.err
    found = re.search(r"the details are in (\S+)", outcome.err)
    assert found is not None
    log = Path(found[1])
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    text = log.read_text()
    assert "ZeroDivisionError" in text
    assert "Traceback" in text
    assert "swordfish" not in text + outcome.err


def test_the_unforeseen_with_nowhere_to_log(call, operations, monkeypatch):
    monkeypatch.setattr("platformdirs.user_log_dir", lambda name: "/dev/null/nowhere")
    operations.fails["preflight"] = ZeroDivisionError("oops")
    outcome = call("preview")
    assert outcome.code == 1
    assert "run it again with --debug" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["upp"], "there is no command 'upp'; did you mean 'up'?"),
        (["xyzzy"], "there is no command 'xyzzy'; there are: init, config"),
        (["config", "sett"], "did you mean 'set'?"),
        (["up", "--yess"], "no such option '--yess'"),
        (["up", "extra"], "unexpected extra argument"),
        (["--engine", "other", "up"], "'other' is not one of"),
        (["-C", "/nowhere", "up"], "'/nowhere' does not exist"),
        (["preview", "--parallel", "-1"], "-1 is not in the range"),
        (["config", "set"], "missing argument 'KEY'"),
        (["kubeconfig", "--use"], "--use goes with --merge"),
        (["completion", "tcsh"], "'tcsh' is not one of"),
    ],
)
def test_usage(call, arguments, message):
    outcome = call(*arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert "--help explains what it takes" in outcome.err


def test_without_arguments_there_is_help(call):
    assert call().code == 0
    assert "Commands:" in call().out
    assert call("config").code == 0
    assert "validate" in call("config").out


def test_no_project_and_no_stack(call, folder):
    (folder / "Pulumi.kyrion.yaml").unlink()
    outcome = call("preview")
    assert outcome.code == 2
    assert "hint: elysium init writes one" in outcome.err


def test_a_wrong_configuration_is_listed_by_every_command(call, folder):
    path = folder / "Pulumi.kyrion.yaml"
    path.write_text(path.read_text().replace("host:", "hots:") + "    brunch: x\n")
    for command in ("preview", "status", "output", "kubeconfig"):
        outcome = call(command)
        assert outcome.code == 2
        assert "Pulumi.kyrion.yaml has 3 problems" in outcome.err
        assert "Pulumi.kyrion.yaml:4: elysium:nodes[0].hots: unknown key" in outcome.err
        assert "did you mean 'branch'?" in outcome.err


def test_a_closed_pipe_is_quiet(folder):
    """As in ``elysium config show | head -0``: nobody reads, and nothing is complained about."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "provision.cli", "config", "show"],
        stdout=write,
        stderr=subprocess.PIPE,
        cwd=folder,
        check=False,
        timeout=60,
    )
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == b""


def test_every_form_of_a_secret_is_hidden():
    hide = redaction.Redactor()
    key = "-----BEGIN KEY-----\nMIIEabcdefghijklmnop\nQRSTuvwxyz0123456789\n-----END KEY-----\n"
    hide.add([Secret('pass"word\n'), Secret(key), Secret("abc"), Secret("")])
    assert hide('it is pass"word\n!') == "it is ***!"
    assert hide('{"p": "pass\\"word\\n"}') == '{"p": "***"}'
    assert hide("line MIIEabcdefghijklmnop alone") == "line *** alone"
    assert hide("-----BEGIN KEY-----") == "-----BEGIN KEY-----"
    assert hide("abc stays: hiding it would hide nothing") == (
        "abc stays: hiding it would hide nothing"
    )


def test_secrets_of_the_environment_are_hidden(monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_environment")
    assert redaction.Redactor()("token ghp_environment") == "token ***"


def test_log_records_are_hidden_with_their_tracebacks(caplog):
    hide = redaction.Redactor()
    hide.add([Secret("swordfish")])
    logger = logging.getLogger("elysium.test")
    caplog.handler.addFilter(redaction.Filter(hide))
    try:
        raise ValueError("swordfish")
    except ValueError:
        logger.exception("failed with %s", "swordfish")
    assert "swordfish" not in caplog.text
    assert "failed with ***" in caplog.text
