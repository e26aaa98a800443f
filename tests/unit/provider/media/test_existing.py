"""A mount that was set up by hand is left alone when it is as configured, else taken over aloud."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from provision.host import facts as host_facts
from provision.provider.media import existing as media_existing
from provision.provider.media import files as media_files
from provision.provider.media import mount as media_mount
from provision.provider.media import plan as media_plan

KEY = "c2VjcmV0IGtleSwgbmV2ZXIgc2hvd24="
MOUNT = """\
[Mount]
Type=rclone
What=films:library/4k
Where=/mnt/films
Options=rw,_netdev,allow_other,args2env,vfs_cache_mode=full,vfs-cache-max-size=20G,\\
 config=/root/rclone.conf,dir-cache-time=1h
"""
AUTOMOUNT = "[Automount]\nWhere=/mnt/films\nTimeoutIdleSec=60\n"
CONFIG = f"[other]\ntype = s3\n[films]\ntype = azureblob\naccount = films\nkey = {KEY}\n"
ABOUT = f"version rclone v1.75.2\n{CONFIG}"
AT = "/mnt/films"


def inputs(**changes: Any) -> dict[str, Any]:
    values, problems = media_mount.MediaMount().check(
        {
            "node": "kyrion",
            "remote": {"type": "azureblob", "account": "films", "key": KEY},
            "path": "library/4k",
            "mountPoint": AT,
            "idleTimeout": 60,
            "options": {"dir-cache-time": "1h"},
        }
        | changes
    )
    assert problems == []
    return values


def node(
    make: Callable[..., Any],
    *,
    mount: str = MOUNT,
    automount: str | None = AUTOMOUNT,
    about: str = ABOUT,
    active: str = "active",
    **changes: Any,
) -> host_facts.NodeFacts:
    files: dict[str, host_facts.FileFact] = {}
    names = media_files.unit_names(AT)
    for name, text in zip(names, (mount, automount), strict=True):
        if text is not None:
            path = media_files.unit_path(name)
            files[path] = host_facts.FileFact(
                path=path,
                kind="file",
                mode=0o644,
                uid=0,
                gid=0,
                size=len(text),
                mtime=1,
                sha256="0" * 64,
                content=text.encode(),
            )
    request = media_plan.fact_request(inputs())
    found = make(request, files=files, **changes)
    units = {
        name: host_facts.UnitFact(name=name, load="loaded", active=active, enabled="enabled")
        for name in names
    }
    return dataclasses.replace(
        found, units=units, snippets={**found.snippets, media_existing.snippet(AT)[0]: about}
    )


def test_one_that_is_as_configured_is_left_as_it_is(make_facts: Callable[..., Any]) -> None:
    found = node(make_facts)
    assert media_existing.why_taken_over(found, inputs()) == ()
    facts = media_plan.Facts(node=found, binary_sha256="")
    decided = media_plan.decide(facts, inputs())
    assert (decided.changes, decided.files, decided.binary) == ((), (), False)


def test_a_stopped_one_is_started_and_nothing_of_it_is_written(
    make_facts: Callable[..., Any],
) -> None:
    facts = media_plan.Facts(node=node(make_facts, active="inactive"), binary_sha256="")
    decided = media_plan.decide(facts, inputs())
    assert [change.action for change in decided.changes] == ["start"]
    assert (decided.files, decided.start) == ((), True)


@pytest.mark.parametrize(
    ("there", "wanted", "why"),
    [
        ({}, {"remote": {"type": "azureblob", "account": "films", "key": "b3RoZXI="}}, "remote"),
        ({}, {"path": "library"}, "another path"),
        ({}, {"rcloneVersion": "v1.70.0"}, "its rclone is v1.75.2"),
        ({}, {"idleTimeout": 0}, "idle timeout"),
        ({}, {"cacheMode": "writes"}, "option vfs-cache-mode"),
        ({}, {"readOnly": True}, "option read-only"),
        ({}, {"options": {}}, "option dir-cache-time"),
        ({"automount": None}, {}, "not mounted at first use"),
        ({"about": "version rclone v1.75.2\n"}, {}, "not in the configuration file"),
        ({"mount": MOUNT.replace("Type=rclone", "Type=nfs")}, {}, "no mount of type rclone"),
    ],
)
def test_one_that_differs_is_taken_over_and_it_is_said_why(
    make_facts: Callable[..., Any], there: dict[str, Any], wanted: dict[str, Any], why: str
) -> None:
    found = node(make_facts, **there)
    facts = media_plan.Facts(node=found, binary_sha256="b" * 64)
    first = media_plan.decide(facts, inputs(**wanted)).changes[0]
    assert first.property == "settings"
    assert why in first.summary
    assert KEY not in repr(media_plan.decide(facts, inputs(**wanted)).changes)


def test_ours_and_none_at_all_are_not_by_hand(make_facts: Callable[..., Any]) -> None:
    ours = f"{media_existing.HEADER} changes are undone\n{MOUNT}"
    assert media_existing.read(node(make_facts, mount=ours), AT) is None
    empty = make_facts(media_plan.fact_request(inputs()))
    assert media_existing.why_taken_over(empty, inputs()) is None


@pytest.mark.skipif(shutil.which("base64") is None, reason="no base64 here")
def test_the_survey_finds_every_mount_by_hand_and_no_other(
    make_facts: Callable[..., Any], tmp_path: Any
) -> None:
    (tmp_path / "rclone.conf").write_text(CONFIG)
    text = MOUNT.replace("/root/rclone.conf", str(tmp_path / "rclone.conf"))
    (tmp_path / "mnt-films.mount").write_text(text)
    (tmp_path / "mnt-films.automount").write_text(AUTOMOUNT)
    (tmp_path / "mnt-ours.mount").write_text(f"{media_existing.HEADER}\n{MOUNT}")
    (tmp_path / "mnt-nas.mount").write_text("[Mount]\nType=nfs\nWhere=/mnt/nas\n")
    name, script = media_existing.survey()
    script = script.replace(media_files.UNITS, str(tmp_path))
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    facts = dataclasses.replace(make_facts(host_facts.FactRequest()), snippets={name: said})
    ((at, found),) = media_existing.surveyed(facts)
    assert (at, found.path, found.idle) == (AT, "library/4k", 60)
    assert found.remote == {"type": "azureblob", "account": "films", "key": KEY}
    assert KEY not in repr(found)
