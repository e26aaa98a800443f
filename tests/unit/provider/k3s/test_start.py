"""The start of k3s: when it is Ready, and when nothing is to be waited for any more."""

from __future__ import annotations

import pathlib
import time
from typing import Any

import pytest

from provision import errors
from provision.provider.k3s import journal, service
from tests.support import k3snode, k3sstart

Frame = k3sstart.Frame
STARTING = Frame(unit="activating start", invocation="b", job=7)
DOWN = Frame(unit="inactive dead", invocation="a")
BEFORE = Frame(invocation="a")
NEW = Frame(lease="new")
FATAL = 'time="2026-11-30T12:00:00Z" level=fatal msg="the datastore is \\"gone\\""\n'
USAGE = "Incorrect Usage: flag provided but not defined: -bogus\n"
HEADING = "Starting k3s.service - Lightweight Kubernetes...\n"


@pytest.fixture
def machine(tmp_path: pathlib.Path) -> k3sstart.Machine:
    made = k3sstart.Machine(tmp_path)
    (tmp_path / "data/server/tls").mkdir(parents=True)
    return made


def start(
    machine: k3sstart.Machine, *, restart: bool = True, timeout: int = 60, **options: Any
) -> list[str]:
    """Start k3s; return what was said meanwhile."""
    inputs = k3snode.k3s_inputs(
        options={"data-dir": str(machine.folder / "data"), **options}, startTimeout=timeout
    )
    said: list[str] = []
    service.start(machine, inputs, restart=restart, name="kyrion", progress=said.append)  # type: ignore[arg-type]
    return [line.removeprefix("k3s on kyrion: ") for line in said]


def failure(machine: k3sstart.Machine, **more: Any) -> errors.WaitError:
    with pytest.raises(errors.WaitError) as caught:
        start(machine, **more)
    return caught.value


def test_a_condition_from_before_the_restart_is_not_taken_for_the_new_one(machine) -> None:
    machine.play([BEFORE, STARTING, Frame(), Frame(), NEW, NEW])
    said = start(machine)
    assert "the kubelet of node kyrion has not renewed its lease since the start" in said
    assert machine.calls == ["reset-failed k3s.service", "restart --no-block k3s.service"]


def test_a_kubelet_that_never_renews_its_lease_is_not_ready(machine) -> None:
    machine.play([BEFORE, STARTING, Frame()])
    error = failure(machine, timeout=2)
    assert "was not Ready within 2 s: the kubelet of node kyrion has not renewed" in error.summary
    assert "startTimeout" in error.hint


@pytest.mark.parametrize("lease", ["", "old"], ids=["no lease", "a lease"])
def test_the_lease_of_a_stopped_k3s_is_known_when_the_api_answers_first(machine, lease) -> None:
    down = Frame(unit="inactive dead", error="refused\n")
    machine.play([down, STARTING, Frame(lease=lease), Frame(lease=lease), NEW, NEW])
    assert len(start(machine, restart=False)) > 1
    assert machine.calls[-1] == "start --no-block k3s.service"


def test_the_first_lease_of_a_new_cluster_counts_at_once(machine) -> None:
    (machine.folder / "data/server/tls").rmdir()
    machine.play([DOWN, STARTING, NEW, NEW, Frame(error="asked too often\n")])
    start(machine, restart=False)


def test_a_new_disk_of_a_server_with_an_external_datastore_is_no_new_cluster(machine) -> None:
    (machine.folder / "data/server/tls").rmdir()
    machine.play([DOWN, STARTING, Frame()])
    options = {"datastore-endpoint": "postgres://db"}
    assert "has not renewed" in failure(machine, restart=False, timeout=2, **options).summary


POD = "0b-1 flux-system/source-controller True"


def test_a_pod_of_before_a_power_cut_is_waited_for(machine) -> None:
    """Its status is that of before until the kubelet has looked at it."""
    stale = Frame(lease="new", pods=(POD, "0b-2 arkham/plex False"), running=("0b-3",))
    runs = Frame(lease="new", pods=(POD, "0b-2 arkham/plex False"), running=("0b-3", "0b-1"))
    machine.play([BEFORE, STARTING, Frame(), stale, stale, runs, runs])
    said = start(machine)
    assert "pod flux-system/source-controller is Ready in the API and does not run yet" in said
    assert int((machine.folder / "at").read_text()) >= 6


def test_a_pod_that_the_kubelet_no_longer_calls_ready_is_not_waited_for(machine) -> None:
    told = Frame(lease="new", pods=(POD.replace("True", "False"),))
    machine.play([BEFORE, STARTING, Frame(), Frame(lease="new", pods=(POD,)), told, told])
    start(machine)


def test_the_mirror_of_a_static_pod_has_another_uid(machine) -> None:
    static = Frame(lease="new", pods=("0b-9 kube-system/own-kyrion True 83ab",))
    machine.play([BEFORE, STARTING, Frame(), static, static])
    start(machine)


def test_a_kubelet_without_debugging_handlers_does_not_end_the_start(machine) -> None:
    untold = Frame(lease="new", pods=(POD,), running=None)
    machine.play([BEFORE, STARTING, Frame(), untold])
    said = start(machine)
    assert said[-1] == "the kubelet does not tell which pods run: Debug endpoints are disabled."


@pytest.mark.parametrize("status", ["0", "1"])
def test_a_k3s_that_dies_after_ready_and_comes_back_is_waited_for(machine, status) -> None:
    """The lease that the process before renewed does not count for the one after it."""
    died = Frame(unit="activating auto-restart", invocation="b", lease="new")
    again = Frame(restarts=1, invocation="c", lease="new")
    renewed = Frame(restarts=1, invocation="c", lease="newer")
    machine.play([BEFORE, STARTING, Frame(), NEW, died, died, again, again, renewed, renewed])
    said = start(machine)
    assert "k3s ended, and systemd starts it again" in said


def test_a_k3s_that_dies_again_and_again_ends_the_wait_with_its_error(machine) -> None:
    died = Frame(unit="activating auto-restart")
    again = Frame(unit="activating auto-restart", restarts=1, invocation="c")
    machine.play([BEFORE, STARTING, Frame(), died, again], HEADING + FATAL + "the end\n")
    began = time.monotonic()
    error = failure(machine)
    assert time.monotonic() - began < 30
    assert error.summary == 'k3s on kyrion crashes when it is started: the datastore is "gone"'
    assert "the end" in error.detail and "put right" in error.hint


def test_the_pods_that_run_on_do_not_hide_what_k3s_said(machine) -> None:
    """systemd names each of their processes when k3s ends and when it starts."""
    left = [
        line
        for pid in range(60)
        for line in (
            f"k3s.service: Unit process {pid} (containerd-shim) remains running after unit"
            " stopped.",
            f"k3s.service: Found left-over process {pid} (pause) in control group while starting"
            " unit. Ignoring.",
            "This usually indicates unclean termination of a previous run, or service"
            " implementation deficiencies.",
        )
    ]
    died = Frame(unit="activating auto-restart")
    again = Frame(unit="activating auto-restart", restarts=1, invocation="c")
    machine.play([BEFORE, died, again], "\n".join([HEADING + "port taken", *left, "the end\n"]))
    detail = failure(machine).detail or ""
    assert "port taken" in detail and "the end" in detail
    assert "containerd-shim" not in detail and "left-over" not in detail
    assert "unclean" not in detail


def test_an_option_that_k3s_does_not_know_ends_the_wait_at_once(machine) -> None:
    died = Frame(unit="activating auto-restart")
    log = f"an older error: unknown flag: --old\n{HEADING}{USAGE}"
    machine.play([BEFORE, STARTING, died], log)
    error = failure(machine)
    assert error.summary.endswith(": " + USAGE.strip())
    assert "--old" not in error.detail


def test_the_error_is_found_above_what_the_parts_say_while_they_end(machine) -> None:
    died = Frame(unit="activating auto-restart")
    again = Frame(unit="activating auto-restart", restarts=1)
    noise = "".join(f"I1130 12:00:00.0  7 a.go:1] shutting down {n}\n" for n in range(90))
    machine.play([BEFORE, STARTING, died, again], HEADING + FATAL + noise)
    error = failure(machine)
    assert error.summary.endswith('the datastore is "gone"')
    assert error.detail.count("shutting down") == 40


def test_a_k3s_that_somebody_stops_is_not_waited_for(machine) -> None:
    machine.play([BEFORE, STARTING, Frame(), Frame(unit="inactive dead")])
    error = failure(machine)
    assert "inactive (dead)" in error.last_seen and "crashes" in error.summary


def test_a_k3s_that_restarts_while_it_is_asked_is_not_ready_yet(machine) -> None:
    """The last look at the unit comes after the answers."""
    died = Frame(restarts=1, invocation="c", lease="new")
    machine.play([BEFORE, STARTING, NEW, died])
    assert "has not renewed" in failure(machine, timeout=3).summary


def test_readyz_counts(machine) -> None:
    sick = Frame(lease="new", readyz="Error from server: [-]etcd failed: reason withheld\n")
    machine.play([BEFORE, STARTING, sick])
    assert "[-]etcd failed" in failure(machine, timeout=3).summary


def test_a_node_that_is_not_ready_is_told_in_the_kubelets_words(machine) -> None:
    sick = Frame(lease="new", node="False cni plugin not initialized")
    machine.play([BEFORE, STARTING, sick, sick, NEW, NEW])
    said = start(machine)
    assert "node kyrion is not Ready: False cni plugin not initialized" in said


NOISE = (
    'E1130 12:00:00.000000   12345 memcache.go:265] "Unhandled Error" err="no group list"\n'
    'time="2026-11-30T12:00:00Z" level=warning msg="Unable to read /etc/rancher"\n'
    "WARN[0000] Unable to read the kubeconfig\n\n"
)


def test_log_lines_of_kubectl_are_kept_out_of_the_progress(machine) -> None:
    refused = Frame(error="The connection to the server 127.0.0.1:6443 was refused\n", noise=NOISE)
    machine.play(
        [BEFORE, STARTING, refused, refused, Frame(noise=NOISE), Frame(lease="new", noise=NOISE)]
    )
    said = start(machine)
    assert (
        "the API server does not answer: The connection to the server 127.0.0.1:6443 was refused"
        in said
    )
    assert not [line for line in said if "memcache" in line or "WARN" in line or "level=" in line]


def test_one_poll_is_one_kubectl(machine) -> None:
    machine.play([BEFORE, STARTING, Frame(), Frame(), NEW, NEW])
    start(machine)
    asked = (machine.folder / "kubectl").read_text().count("kubectl --kubeconfig")
    assert asked == 7, "one before, one a poll, and at the end /readyz and the pods"


def test_without_an_agent_the_api_has_to_stay(machine) -> None:
    died = Frame(unit="activating auto-restart")
    again = Frame(unit="activating auto-restart", restarts=1)
    machine.play([BEFORE, STARTING, NEW, died, again], HEADING + FATAL)
    assert "gone" in failure(machine, **{"disable-agent": True}).summary


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (FATAL, 'the datastore is "gone"'),
        (f"{FATAL}E1130 12:00:00.0  7 a.go:1] later\n", 'the datastore is "gone"'),
        ('time=x level=error msg="kubelet exited" error=why\nplain\n', "kubelet exited error=why"),
        ('E1130 12:00:00.000000   7 run.go:74] "command failed" err=x\n', '"command failed" err=x'),
        ("Error: unknown flag: --foo\nUsage:\n", "Error: unknown flag: --foo"),
        (USAGE, USAGE.strip()),
        (
            'time=x level=error msg="kubelet exited: unknown flag: --x"\n'
            "E1130 12:00:00.0  7 a.go:1] the rest ends too\n",
            "kubelet exited: unknown flag: --x",
        ),
        ("\x1b[31mFATA\x1b[0m[0001] no room\n\x1b[36mINFO\x1b[0m[x] the end\n", "no room"),
        ("panic: boom\ngoroutine 1\n", "boom"),
        (f"{HEADING}the last words\nk3s.service: Main process exited\n", "the last words"),
        ("time=x level=info msg=quiet\n", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_reason_in_a_journal(log: str, reason: str) -> None:
    assert journal.reason(log) == reason


def test_a_reason_is_short_and_of_one_line() -> None:
    assert len(journal.reason("Error: " + "x" * 5000)) == journal.LIMIT
