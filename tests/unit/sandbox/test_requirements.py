"""What a machine must have, and what is said where it does not."""

import os
import platform
import sys
from pathlib import Path

import pytest

from provision import errors
from provision.sandbox import jobs, processes, requirements


def test_packages_are_named_once_each() -> None:
    assert requirements.missing_packages(requirements.PROGRAMS) == ()
    some = set(requirements.PROGRAMS) - {"ssh", "ssh-keygen", "ip"}
    assert requirements.missing_packages(some) == ("iproute2", "openssh-client")


def test_another_system_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with pytest.raises(errors.PreflightError) as caught:
        requirements.ensure()
    assert [p.message for p in caught.value.problems] == [
        "a sandbox needs Linux, and this is Darwin"
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="asks what Linux offers")
def test_all_that_is_in_the_way_is_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(processes, "cgroup_mounts", lambda: ())
    with pytest.raises(errors.PreflightError) as caught:
        requirements.ensure()
    text = str(caught.value)
    assert "needs root" in text
    assert "riscv64" in text
    assert "cgroup version 2" in text


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """A machine without debootstrap, whose commands are only noted."""
    ran: list[tuple[str, ...]] = []
    there = {name: f"/usr/bin/{name}" for name in requirements.PROGRAMS if name != "debootstrap"}
    there["apt-get"] = "/usr/bin/apt-get"

    def run(argv: tuple[str, ...], **_: object) -> str:
        ran.append(argv)
        return ""

    monkeypatch.setattr(requirements, "check", lambda: None)
    monkeypatch.setattr(requirements, "find_program", there.get)
    monkeypatch.setattr(jobs, "run", run)
    return ran


def test_a_missing_package_is_named_and_installed(bare: list[tuple[str, ...]]) -> None:
    said: list[str] = []
    requirements.ensure(said.append)
    assert said == ["installing Debian packages: debootstrap"]
    assert [argv[:2] for argv in bare] == [("apt-get", "update"), ("apt-get", "install")]
    assert bare[1][-1] == "debootstrap"


def test_where_it_cannot_be_installed_its_name_is_in_the_hint(
    bare: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(argv: tuple[str, ...], **_: object) -> str:
        raise errors.ElysiumError("It failed.", detail="Unable to fetch some archives")

    monkeypatch.setattr(jobs, "run", fail)
    with pytest.raises(errors.ElysiumError) as caught:
        requirements.ensure()
    assert caught.value.detail == "Unable to fetch some archives"
    assert "debootstrap" in caught.value.hint
    assert bare == []


def test_without_apt_the_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "check", lambda: None)
    monkeypatch.setattr(requirements, "find_program", lambda _: None)
    with pytest.raises(errors.PreflightError) as caught:
        requirements.ensure()
    assert "systemd-nspawn" in caught.value.hint


def test_programs_only_root_has_on_its_path_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert requirements.find_program("sh")
    assert requirements.find_program("no-such-program") is None


@pytest.mark.parametrize(("limit", "told"), [("128\n", True), ("8192\n", False), ("", False)])
def test_too_few_inotify_instances_are_told_with_the_command(
    tmp_path: Path, limit: str, told: bool
) -> None:
    limit_file = tmp_path / "max_user_instances"
    limit_file.write_text(limit)
    for process in range(2):
        folder = tmp_path / f"proc/{process}/fd"
        folder.mkdir(parents=True)
        for number in range(50):
            (folder / str(number)).symlink_to("anon_inode:inotify")
        (folder / "50").symlink_to("/dev/null")
    problem = requirements.inotify_problem(limit_file, tmp_path / "proc")
    assert (problem is not None) is told
    if problem is not None:
        assert "128" in problem.message and "100 are in use" in problem.message
        assert problem.hint == "sysctl -w fs.inotify.max_user_instances=8192"


LEGACY = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t2\t1\nmemory\t4\t9\t1\n"


@pytest.mark.parametrize(
    ("unified", "legacy", "missing"),
    [
        ("cpuset cpu io memory pids", "", ""),
        ("cpuset pids", LEGACY, ""),  # some in each version
        ("cpuset cpu pids", LEGACY.replace("4\t9\t1", "0\t9\t1"), "memory"),
        ("", LEGACY.replace("9\t1", "9\t0"), "cpuset, memory, pids"),
    ],
)
def test_controllers_that_a_kubelet_misses_are_told(
    tmp_path: Path, unified: str, legacy: str, missing: str
) -> None:
    (tmp_path / "cgroup.controllers").write_text(unified + "\n")
    (tmp_path / "enabled").write_text(legacy)
    problem = requirements.controllers_problem([tmp_path], tmp_path / "enabled")
    assert (problem.message if problem else "") == (
        f"the cgroup controllers {missing} are off, which a kubelet needs" if missing else ""
    )


@pytest.mark.skipif(sys.platform != "linux", reason="asks what Linux offers")
def test_the_kernels_log_that_a_kubelet_reads_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(requirements, "KERNEL_LOG", tmp_path / "kmsg")
    with pytest.raises(errors.PreflightError) as caught:
        requirements.check()
    (problem,) = [p for p in caught.value.problems if "kmsg" in p.message]
    assert problem.hint is not None and "mknod" in problem.hint
