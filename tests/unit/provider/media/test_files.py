"""Units, configuration, inputs: text from values."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.provider.media import files as media_files
from provision.provider.media import mount as media_mount
from provision.provider.media import scripts as media_scripts
from provision.provider.media import validation as media_validation
from provision.provider.resource import UNKNOWN

RAW: dict[str, Any] = {"node": "kyrion", "remote": {"type": "azureblob", "key": "a2V5=="}}


def checked(**changes: Any) -> dict[str, Any]:
    values, problems = media_mount.MediaMount().check(RAW | changes)
    assert problems == []
    return values


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "-"),
        ("/mnt/media-library", r"mnt-media\x2dlibrary"),
        ("/srv//films/", "srv-films"),
        ("/.hidden/.a", r"\x2ehidden-.a"),
        ("/mnt/a_b:c.d", "mnt-a_b:c.d"),
        ("/mnt/é", r"mnt-\xc3\xa9"),
    ],
)
def test_unit_names(path: str, name: str) -> None:
    assert media_files.escape_path(path) == name


@pytest.mark.skipif(not shutil.which("systemd-escape"), reason="systemd-escape is not installed")
@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1)))
def test_unit_names_are_those_of_systemd(parts: list[str]) -> None:
    path = "/" + "/".join(part for part in parts if part not in (".", ".."))
    command = ["systemd-escape", "--path", "--suffix=automount", "--", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        assert not media_files.fits(path), done.stderr
    else:
        assert media_files.unit_names(path)[1] == done.stdout.removesuffix("\n")


def test_the_mount_unit() -> None:
    want = media_files.wanted(
        checked(
            path="library/100% mine",
            cacheDir="/var/cache/media",
            options={"umask": "022", "no_modtime": True, "exclude": "a,b", "vfs-read-wait": 5.0},
        )
    )
    unit = configparser.RawConfigParser()
    unit.optionxform = str  # type: ignore[assignment]
    unit.read_string(want.mount_file.content.decode())
    assert unit["Mount"]["What"] == "media:library/100%% mine"
    assert unit["Mount"]["Where"] == "/mnt/media-library"
    assert unit["Mount"]["Type"] == "rclone"
    assert unit["Mount"]["Options"] == (
        "rw,_netdev,allow_other,args2env,syslog,vfs-cache-mode=full,vfs-cache-max-size=20G,"
        "config=/etc/rclone/elysium-media.conf,cache-dir=/var/cache/media,"
        'exclude="a,b",no_modtime,umask=022,vfs-read-wait=5'
    )
    assert want.mount_file.content.startswith(b"# Written by elysium")


def test_the_automount_unit() -> None:
    want = media_files.wanted(checked(idleTimeout=600))
    text = want.automount_file.content.decode()
    assert "TimeoutIdleSec=600\n" in text
    assert "Where=/mnt/media-library\n" in text
    assert "WantedBy=multi-user.target\n" in text


def test_the_configuration_is_what_rclone_reads_and_nobody_else() -> None:
    want = media_files.wanted(checked(remote={"type": "s3", "env_auth": False, "chunk_size": 5.0}))
    file = want.config_file
    assert (file.mode, file.secret) == (0o600, True)
    config = configparser.RawConfigParser()
    config.read_string(file.content.decode())
    assert dict(config["media"]) == {"type": "s3", "env_auth": "false", "chunk_size": "5"}


@pytest.mark.parametrize("mode", ["off", "minimal"])
def test_a_size_is_given_only_where_there_is_a_cache(mode: str) -> None:
    options = ",".join(media_files.mount_options(checked(cacheMode=mode)))
    assert ("vfs-cache-max-size" in options) is (mode != "off")


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"mountPoint": "media"}, "mountPoint", "no absolute path"),
        ({"mountPoint": "/"}, "mountPoint", "folder of the system"),
        ({"mountPoint": "/mnt/" + "é" * 60}, "mountPoint", "too long for systemd"),
        ({"mountPoint": "/mnt/"}, "mountPoint", "folder of the system"),
        ({"mountPoint": "/mnt/x/../../usr"}, "mountPoint", "folder of the system"),
        ({"mountPoint": "/mnt/my films"}, "mountPoint", "no absolute path"),
        ({"mountPoint": '/mnt/"x"'}, "mountPoint", "no absolute path"),
        ({"cacheDir": "/mnt/media-library/cache"}, "cacheDir", "one in the other"),
        ({"cacheMode": "all"}, "cacheMode", "no cache mode"),
        ({"cacheSize": "lots"}, "cacheSize", "no size"),
        ({"path": "a\nb"}, "path", "line ends"),
        ({"path": "a\\"}, "path", "backslash"),
        ({"remote": {}}, "remote", "no type"),
        ({"remote": "media:"}, "remote", "missing"),
        ({"remote": {"type": "local", "a b": "c"}}, "remote.a b", "no name"),
        ({"remote": {"type": "local", "x": "a\nb"}}, "remote.x", "line ends"),
        ({"remote": {"type": "local", "x": "`a"}}, "remote.x", "cannot hold"),
        ({"remote": {"type": "local", "x": ["a"]}}, "remote.x", "a text"),
        ({"options": {"cache_dir": "/x"}}, "options.cache_dir", "media.cacheDir"),
        ({"options": {"Allow-Other": False}}, "options.Allow-Other", "cannot be changed"),
        ({"options": {"--umask": "0"}}, "options.--umask", "no name"),
        ({"options": {"umask": "0\n[Unit]"}}, "options.umask", "line ends"),
    ],
)
def test_what_cannot_work_is_refused(change: dict[str, Any], key: str, words: str) -> None:
    _, problems = media_mount.MediaMount().check(RAW | change)
    assert [(problem.key, words in problem.message) for problem in problems] == [(key, True)]


def test_every_problem_is_told_at_once_and_no_secret() -> None:
    bad = {"mountPoint": "x", "cacheMode": "y", "remote": {"type": "s3", "key": "top\nsecret"}}
    _, problems = media_mount.MediaMount().check(RAW | bad)
    assert len(problems) == 3
    assert "secret" not in str(problems)


def test_what_is_not_known_yet_is_not_judged() -> None:
    kind = media_mount.MediaMount()
    for key in (*media_validation.DEFAULTS, "remote"):
        values, problems = kind.check(RAW | {key: UNKNOWN})
        assert problems == []
        assert values[key] is UNKNOWN


def test_paths_are_taken_as_what_they_mean() -> None:
    values = checked(mountPoint="//mnt/./films/", cacheDir="/var/cache/x/../rclone/")
    assert (values["mountPoint"], values["cacheDir"]) == ("/mnt/films", "/var/cache/rclone")


def test_the_note_is_read_as_written() -> None:
    note = media_files.Before(mount_point="/mnt/é", cache_dir="/c", absent=("/mnt/é",), link="/x")
    assert media_files.Before.parse(note.text) == note
    # How the facts' snippet finds out whether it is about this mount point.
    assert '"mountPoint": "/mnt/é"' in note.text
    for broken in ("", "{}", "[1]", "null", '{"absent": 1}'):
        assert media_files.Before.parse(broken) is None


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("link", ["", "/usr/bin/rclone"])
def test_scripts_are_shell(made: bool, link: str) -> None:
    absent = ("/c", "/mnt/x y", media_files.BINARY, media_files.LINK) if made else ()
    note = media_files.Before(mount_point="/mnt/x y", cache_dir="/c", absent=absent, link=link)
    for script in (
        media_scripts.install_fuse(),
        media_scripts.hash_binary(),
        media_scripts.need_device(),
        media_scripts.put_aside("/a b", "/c"),
        media_scripts.clear("/mnt/x y"),
        media_scripts.leave(note),
        media_scripts.drop_cache(note),
        media_scripts.listing("/mnt/x y", "media:it's", 5, "proof\n"),
        media_scripts.remove(note),
    ):
        done = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, ""), script


def test_only_a_cache_that_we_made_is_removed_whole() -> None:
    theirs = media_files.Before(mount_point="/mnt/x", cache_dir="/home/me")
    script = media_scripts.drop_cache(theirs)
    assert 'rm -rf -- "$cache"\n' not in script
    assert '"$cache/vfs/media"' in script
