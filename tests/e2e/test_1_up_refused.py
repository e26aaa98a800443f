"""Each bad input that the sandbox can provoke for real, as `elysium` tells it.

Every case is the working stack with one thing wrong, in a folder of its own:
class, exit status, a next step, no traceback, and nothing was changed. The
whole list, with what is provoked elsewhere: docs/errors.md.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support import lab as labs

Values = dict[str, Any]
Change = Callable[[labs.Lab, Values, pathlib.Path], Mapping[str, str] | None]
"""Breaks the values of a stack file; may return variables of the environment."""

ODD_PORT = 2022


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is wrong, and how it is told. `kinds` are those of a preflight's problems."""

    name: str
    change: Change
    error: str
    status: int
    words: str
    kinds: tuple[str, ...] = ()
    operation: tuple[str, ...] = ("up", "--yes")


def node(**changes: Any) -> Change:
    return lambda lab, values, folder: values["elysium:nodes"][0].update(changes)


def github(**changes: Any) -> Change:
    return lambda lab, values, folder: values["elysium:github"].update(changes)


def another_key(lab: labs.Lab, values: Values, folder: pathlib.Path) -> None:
    path = folder / "another"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True)
    values["elysium:nodes"][0]["identityFile"] = str(path)


def sudo(user: str, password: str) -> Change:
    def change(lab: labs.Lab, values: Values, folder: pathlib.Path) -> None:
        right = lab.sandbox.node.password().reveal()
        values["elysium:nodes"][0] |= {"user": user, "sudoPassword": password or right}

    return change


def token(kind: str, **options: Any) -> Change:
    def change(lab: labs.Lab, values: Values, folder: pathlib.Path) -> None:
        made, _ = lab.forge.create_token(kind, **options)
        path = folder / "token"
        path.write_text(made.reveal())
        values["elysium:github"]["tokenFile"] = str(path)

    return change


def no_token(lab: labs.Lab, values: Values, folder: pathlib.Path) -> Mapping[str, str]:
    del values["elysium:github"]["tokenFile"]
    return {"PATH": "/usr/bin:/bin", "GITHUB_TOKEN": "", "GH_TOKEN": ""}


def protected(lab: labs.Lab, values: Values, folder: pathlib.Path) -> None:
    forge = lab.forge.with_repository("protected")
    forge.seed_repository({"README.md": "# home\n"})
    forge.protect("main")
    values["elysium:github"]["repository"] = "protected"


def other_pin(lab: labs.Lab, values: Values, folder: pathlib.Path) -> None:
    """A release that is not what was pinned at first."""
    pins = folder / "pins.json"
    version = values.get("elysium:k3s", {}).get("version", "v1.36.3+k3s1")
    text = "".join(
        f'{"," if n else ""}"k3s/{version}/{arch}": {{"sha256": "{"0" * 64}"}}'
        for n, arch in enumerate(("amd64", "arm64", "arm"))
    )
    pins.write_text("{" + text + "}")
    values["elysium:artifacts"]["pins"] = str(pins)
    values["elysium:sealing"] = {"enabled": False}  # this stack has no keys of the cluster


def other_path(lab: labs.Lab, values: Values, folder: pathlib.Path) -> None:
    values["elysium:flux"]["path"] = "clusters/other"


def mistyped(lab: labs.Lab, values: Values, folder: pathlib.Path) -> None:
    values["elysium:media"]["mountpoint"] = "/mnt/x"
    values["elysium:nodes"][0]["port"] = "many"


_YESTERDAY = time.time() - 86400
CASES = [
    Case(
        name="unreachable host",
        change=node(port=1),
        error="ConnectError",
        status=4,
        words="refuses connections on port 1",
    ),
    Case(
        name="wrong user",
        change=node(user="nobody-here"),
        error="AuthError",
        status=4,
        words="does not let nobody-here in",
    ),
    Case(
        name="refused key",
        change=another_key,
        error="AuthError",
        status=4,
        words="does not let root in",
    ),
    Case(
        name="changed host key",
        change=node(hostKey="SHA256:" + "A" * 43),
        error="HostKeyError",
        status=4,
        words="not the pinned one",
    ),
    Case(
        name="no sudo",
        change=sudo("guest", ""),
        error="SudoError",
        status=4,
        words="does not let guest become root",
    ),
    Case(
        name="wrong sudo password",
        change=sudo("opspw", "canary-wrong"),
        error="SudoError",
        status=4,
        words="refused the password",
    ),
    Case(
        name="no systemd, unsupported architecture, too little disk: all at once",
        change=node(port=ODD_PORT),
        error="PreflightError",
        status=3,
        words="does not run systemd (process 1 is sshd)",
        # Where systemd does not run, the ports of the k3s that does are taken: those of the API
        # server (2), containerd, the kubelet (2), kube-proxy (2) and the two others.
        kinds=(
            "no-systemd",
            "unsupported-architecture",
            "too-little-disk",
            *["port-taken"] * 9,
        ),
    ),
    Case(
        name="checksum mismatch",
        change=other_pin,
        error="ArtifactError",
        status=1,
        words="sha256",
    ),
    Case(
        name="token missing",
        change=no_token,
        error="ConfigError",
        status=2,
        words="there is no GitHub token",
    ),
    Case(
        name="token expired",
        change=token("fine-grained", expires_at=_YESTERDAY),
        error="PreflightError",
        status=3,
        words="did not accept the token",
        kinds=("TokenError",),
    ),
    Case(
        name="token lacks a permission",
        change=token("fine-grained", permissions={"contents": "write", "metadata": "read"}),
        error="PreflightError",
        status=3,
        words="Administration: ",
        kinds=("ForbiddenError",),
    ),
    Case(
        name="classic token lacks the scope",
        change=token("classic", scopes=["read:user"]),
        error="PreflightError",
        status=3,
        words="the classic scope repo",
        kinds=("NotFoundError",),
    ),
    Case(
        name="repository missing",
        change=github(repository="absent"),
        error="PreflightError",
        status=3,
        words="github.repository",
        kinds=("NotFoundError",),
    ),
    Case(
        name="branch missing",
        change=github(branch="nowhere"),
        error="PreflightError",
        status=3,
        words="github.branch",
        kinds=("branch-missing",),
    ),
    Case(
        name="protected branch",
        change=protected,
        error="PreflightError",
        status=3,
        words="set flux.commit to pull-request",
        kinds=("branch-protected",),
    ),
    Case(
        name="path that differs",
        change=other_path,
        error="PreflightError",
        status=3,
        words="clusters/kyrion",
        operation=("preview",),
    ),
    Case(
        name="configuration: a mistyped key and a wrong value",
        change=mistyped,
        error="ConfigError",
        status=2,
        words="did you mean 'mountPoint'",
    ),
]


def prepared(lab: labs.Lab, case: Case, folder: pathlib.Path) -> Mapping[str, str]:
    """Write the stack of `case` into `folder`; return what its environment is to hold."""
    folder.mkdir()
    shutil.copy(lab.folder / "Pulumi.yaml", folder)
    yaml = YAML()
    stack = yaml.load((lab.folder / "Pulumi.kyrion.yaml").read_text())
    more = case.change(lab, stack["config"], folder)
    with (folder / "Pulumi.kyrion.yaml").open("w") as file:
        yaml.dump(stack, file)
    return more or {}


@pytest.fixture(scope="module")
def odd(lab: labs.Lab, up: labs.Done) -> Iterator[None]:
    """A second SSH server on the node: another machine by what it shows of itself."""
    script = (
        "mount -t tmpfs tmpfs /run/systemd && "
        "mount -t tmpfs -o size=1m tmpfs /var/lib/rancher/k3s && "
        f"exec setarch linux32 /usr/sbin/sshd -D -p {ODD_PORT} -o PidFile=none"
    )
    lab.on_node(
        "systemd-run -q --unit=odd-sshd unshare --mount --pid --fork --mount-proc "
        f"sh -c '{script}'; for i in $(seq 100); do "
        f"if ss -ltn | grep -q :{ODD_PORT}; then exit 0; fi; sleep 0.1; done; exit 1"
    )
    yield
    lab.on_node("systemctl stop odd-sshd; systemctl reset-failed odd-sshd 2>/dev/null || true")


@pytest.fixture(scope="module")
def said(
    lab: labs.Lab, odd: None, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, labs.Done]:
    """What `elysium` said in each case; several at a time."""
    base = tmp_path_factory.mktemp("refused")
    files, writes = labs.files_beside_the_cluster(lab), len(_writes(lab))
    folders = {case.name: base / str(number) for number, case in enumerate(CASES)}
    environs = {case.name: prepared(lab, case, folders[case.name]) for case in CASES}

    def call(case: Case) -> labs.Done:
        arguments = ("--json", "-C", str(folders[case.name]), *case.operation)
        return lab.elysium(*arguments, environ=environs[case.name])

    with futures.ThreadPoolExecutor(max_workers=3) as pool:
        found = dict(zip((c.name for c in CASES), pool.map(call, CASES), strict=True))
    assert labs.files_beside_the_cluster(lab) == files
    assert len(_writes(lab)) == writes
    return found


def _writes(lab: labs.Lab) -> list[Mapping[str, Any]]:
    ours = lab.forge.slug
    return [c for c in lab.forge.calls() if c["method"] != "GET" and ours in c["path"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_wrong_is_told(said: dict[str, labs.Done], case: Case) -> None:
    done = said[case.name]
    assert "Traceback" not in done.stderr + done.stdout
    assert "canary" not in done.stderr + done.stdout
    events = done.json_lines()
    assert events, done.stderr
    last = events[-1]
    assert (last["event"], last["class"], last["exitCode"]) == ("error", case.error, case.status)
    assert done.status == case.status
    assert case.words in done.stderr
    kinds = [problem["kind"] for problem in last["problems"] if problem["kind"]]
    assert kinds == list(case.kinds)
    hints = [last["hint"], *(problem["hint"] for problem in last["problems"])]
    assert any(hints), "there is no next step"


def test_a_problem_of_the_configuration_has_file_key_and_line(
    said: dict[str, labs.Done],
) -> None:
    (case,) = [case for case in CASES if case.change is mistyped]
    problems = said[case.name].json_lines()[-1]["problems"]
    assert [problem["key"] for problem in problems] == [
        "elysium:nodes[0].port",
        "elysium:media.mountpoint",
    ]
    for problem in problems:
        name, _, line = problem["where"].rpartition(":")
        assert name.endswith("Pulumi.kyrion.yaml") and int(line) > 0
