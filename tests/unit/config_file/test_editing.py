"""One value changes; comments, order, quotes and layout stay."""

from __future__ import annotations

import difflib
import stat
from pathlib import Path
from typing import Any

import pytest

from provision import config_file, errors
from provision.secret import Secret

TEXT = """\
# Our cluster.
config:
  # Machines.
  elysium:nodes:
    - name: kyrion   # the old NUC
      host: "192.168.1.5"
      hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA
      # port: 22

  # Where everything comes from.
  elysium:github:
    owner: me  # us
    repository: elysium

  # Kubernetes.
  elysium:k3s:
    disable:
      - traefik
      # servicelb stays

    options: {cluster-cidr: 10.42.0.0/16}   # house rule

  # The end.
"""


def change(stack: Any, key: str, value: str, text: str = TEXT, **options: Any) -> list[str]:
    """Set a value; return the lines that went and came, without the rest."""
    path = stack(text)
    config_file.set_value(path, key, value, **options)
    lines = difflib.ndiff(text.splitlines(), path.read_text().splitlines())
    return [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize(
    ("key", "value", "lines"),
    [
        ("github.owner", "you", ["-     owner: me  # us", "+     owner: you # us"]),
        (
            "elysium:nodes[0].host",
            "node.lan",
            ['-       host: "192.168.1.5"', '+       host: "node.lan"'],
        ),
        ("nodes[0].port", "2222", ["+       port: 2222"]),
        ("nodes[0].agent", "false", ["+       agent: false"]),
        ("github.branch", "release", ["+     branch: release"]),
        ("github.branch", "true", ["+     branch: 'true'"]),
        ("github.branch", "007", ["+     branch: '007'"]),
        ("k3s.disable", "servicelb", None),
        ("k3s.disable[1]", "servicelb", ["+       - servicelb"]),
        ("k3s.tlsSan", "a.lan, b.lan", ["+     tlsSan:", "+       - a.lan", "+       - b.lan"]),
        ("k3s.options.flannel-backend", "host-gw", None),
        (
            'k3s.registries.mirrors["docker.io"].endpoint[0]',
            "https://mirror.lan",
            [
                "+     registries:",
                "+       mirrors:",
                "+         docker.io:",
                "+           endpoint:",
                "+             - https://mirror.lan",
            ],
        ),
        ("k3s.registries", '{"mirrors": {"a": {}}}', None),
        ("flux.interval", "5m", ["+   elysium:flux:", "+     interval: 5m"]),
        ("gpu.sharedDevNum", "4", ["+   elysium:gpu:", "+     sharedDevNum: 4"]),
    ],
)
def test_only_what_was_asked_changes(stack, key, value, lines):
    changed = change(stack, key, value)
    if lines is not None:
        assert [" ".join(c.split()) for c in changed] == [" ".join(x.split()) for x in lines]
    comments = [line for line in TEXT.splitlines() if "#" in line]
    text = Path(stack.__closure__[0].cell_contents, "Pulumi.kyrion.yaml").read_text()
    for comment in comments:
        if not comment.strip().startswith("# servicelb") or "disable" not in key:
            assert comment.strip().partition("#")[2] in text


def test_a_new_key_comes_before_the_comment_of_the_next_section(stack):
    path = stack(TEXT)
    config_file.set_value(path, "github.branch", "release")
    lines = path.read_text().splitlines()
    at = lines.index("    branch: release")
    assert lines[at - 1] == "    repository: elysium"
    assert lines[at + 1 : at + 3] == ["", "  # Kubernetes."]


def test_replacing_the_last_value_of_a_section_keeps_what_follows(stack):
    path = stack(TEXT)
    config_file.set_value(path, "github.repository", "homelab")
    assert path.read_text() == TEXT.replace("repository: elysium", "repository: homelab")


def test_set_twice_is_set_once(stack):
    path = stack(TEXT)
    config_file.set_value(path, "nodes[0].port", "2222")
    once = path.read_text()
    config_file.set_value(path, "nodes[0].port", "2222")
    assert path.read_text() == once


def test_lists_without_indent_stay_without(stack):
    text = (
        "config:\n  elysium:nodes:\n  - name: n\n    host: h\n"
        "  elysium:github:\n    owner: o\n    repository: r\n"
    )
    assert change(stack, "nodes[0].port", "23", text) == ["+     port: 23"]


def test_a_secret_is_encrypted_and_the_salt_kept(stack, crypter):
    path = stack(TEXT)
    config_file.set_value(path, "github.token", "hunter2", secret=True, crypter=crypter)
    text = path.read_text()
    assert "hunter2" not in text
    assert text.splitlines()[1] == f"encryptionsalt: {crypter.salt}"
    assert config_file.load(path, crypter).github.token == Secret("hunter2")
    config_file.set_value(path, "github.token", "other", secret=True, crypter=crypter)
    assert config_file.load(path, crypter).github.token == Secret("other")
    assert path.read_text().count("encryptionsalt") == 1


def test_a_secret_replaces_plain_text_and_what_follows_stays_behind_it(stack, crypter):
    text = TEXT.replace("repository: elysium\n", "repository: elysium\n    token: hunter2\n")
    path = stack(text)
    config_file.set_value(path, "github.token", "hunter2", secret=True, crypter=crypter)
    lines = path.read_text().splitlines()
    at = lines.index("    token:")
    assert lines[at + 1].startswith("      secure: v1:fake:")
    assert lines[at + 2 : at + 4] == ["", "  # Kubernetes."]


def test_upstreams_json_text_becomes_keys(stack, crypter):
    text = TEXT.replace(
        "  elysium:github:\n    owner: me  # us\n    repository: elysium\n",
        '  elysium:github: \'{"owner": "me", "repository": "elysium"}\'\n',
    )
    path = stack(text)
    config_file.set_value(path, "github.branch", "b")
    assert config_file.load(path, None).github.branch == "b"
    assert "    owner: me\n" in path.read_text()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("nodes[0].prot", "1", "elysium:nodes[0].prot: unknown key (did you mean 'port'?)"),
        ("nodse[0].port", "1", "elysium:nodse"),
        ("nodes[0].port", "x", "a whole number is expected, not 'x'"),
        ("nodes[0].port", "99999", "at most 65535 is expected"),
        ("nodes[2].host", "x", "the list has 1 items, so the next is [1]"),
        ("k3s.tlsSan[1]", "x", "the list has 0 items, so the next is [0]"),
        ("nodes.host", "x", "does not fit what is there"),
        ("github[0]", "x", "does not fit what is there"),
        ("github", "x", "holds keys and values"),
        ("github.token", "x", "github.token is a secret and is not written as plain text"),
        ("flux.commit", "yes", "one of push, pull-request, none is expected"),
        ("media.cacheSize", "20G", "remote: it is missing"),
        ("", "x", "is not a key path"),
        ("a..b", "x", "is not a key path"),
        ("[0]", "x", "is not a key path"),
        ("nodes", "=", "a value of an unknown kind"),
        ("a[", "x", "is not a key path"),
    ],
)
def test_a_value_that_would_be_wrong_is_not_written(stack, key, value, message):
    path = stack(TEXT)
    with pytest.raises(errors.ConfigError) as caught:
        config_file.set_value(path, key, value)
    assert message in str(caught.value)
    assert path.read_text() == TEXT


def test_secret_where_none_is_held(stack, crypter):
    with pytest.raises(errors.ConfigError, match="is not a secret"):
        config_file.set_value(stack(TEXT), "github.branch", "x", secret=True, crypter=crypter)


def test_inside_one_encrypted_value(stack, crypter):
    cipher = crypter().encrypt('{"version": "v1.36.3+k3s1"}')
    text = TEXT[: TEXT.index("  # Kubernetes")] + f"  elysium:k3s:\n    secure: {cipher}\n"
    with pytest.raises(errors.ConfigError, match="inside one encrypted value"):
        config_file.set_value(stack(text), "k3s.datastore", "etcd")


def test_a_problem_that_was_there_does_not_block_repairing_another(stack):
    path = stack(TEXT.replace("owner: me", "ownr: me"))
    config_file.set_value(path, "nodes[0].port", "23")
    assert "port: 23" in path.read_text()


def test_the_file_keeps_its_permissions_and_its_link(stack, tmp_path):
    path = stack(TEXT)
    path.chmod(0o600)
    real = tmp_path / "elsewhere.yaml"
    path.rename(real)
    path.symlink_to(real)
    config_file.set_value(path, "nodes[0].port", "23")
    assert path.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert "port: 23" in real.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["Pulumi.kyrion.yaml", "elsewhere.yaml"]


def test_a_write_that_fails_leaves_the_file(stack, monkeypatch, tmp_path):
    path = stack(TEXT)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("provision.fileio.atomic.os.fsync", full)
    with pytest.raises(errors.ConfigError, match="No space left"):
        config_file.set_value(path, "nodes[0].port", "23")
    assert path.read_text() == TEXT
    assert [p.name for p in tmp_path.iterdir()] == ["Pulumi.kyrion.yaml"]
