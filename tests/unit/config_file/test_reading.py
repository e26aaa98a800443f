"""A stack file becomes a configuration, or every problem with file, line and a way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provision import config_file, errors
from provision.secret import Secret

GOOD = """\
config:
  elysium:nodes:
    - name: kyrion
      host: 192.168.1.5
      hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA
  elysium:github:
    owner: me
    repository: elysium
"""


def problems(path: Path, crypter: Any = None) -> list[str]:
    with pytest.raises(errors.ConfigError) as caught:
        config_file.load(path, crypter)
    assert caught.value.exit_code == 2
    return [str(problem) for problem in caught.value.problems] or [str(caught.value)]


def test_a_small_file_gets_all_defaults(stack):
    loaded = config_file.load(stack(GOOD), None)
    assert loaded.cluster == "kyrion"
    assert loaded.server.host == "192.168.1.5"
    assert loaded.github.slug == "me/elysium"
    assert loaded.flux_path == "clusters/kyrion"
    assert loaded.gpu is None


def test_a_key_alone_means_all_its_defaults(stack):
    assert config_file.load(stack(GOOD + "  elysium:gpu:\n"), None).gpu is not None


def test_secrets_are_decrypted_wherever_they_lie(stack, crypter):
    opened = crypter()
    text = GOOD.replace(
        "host: 192",
        f"sudoPassword:\n        secure: {opened.encrypt('swordfish')}\n      host: 192",
    )
    text += f"""\
  elysium:media:
    remote: {{type: azureblob, account: a, key: {{secure: "{opened.encrypt("k3y")}"}}}}
"""
    loaded = config_file.read(stack(text), crypter)
    assert loaded.config.server.sudo_password == Secret("swordfish")
    assert loaded.config.media is not None
    assert loaded.config.media.remote["key"] == Secret("k3y")
    assert "swordfish" not in repr(loaded)
    assert "k3y" not in repr(loaded)


def test_the_crypter_is_not_opened_for_a_file_without_secrets(stack):
    def refuse() -> Any:
        raise AssertionError

    config_file.load(stack(GOOD), refuse)


def test_without_a_crypter_everything_else_is_still_checked(stack):
    path = stack(GOOD + "    token: {secure: v1:x:y}\n    brunch: main\n")
    assert problems(path) == [
        "Pulumi.kyrion.yaml:10: elysium:github.brunch: unknown key (did you mean 'branch'?)"
    ]


def test_json_texts_as_upstream_writes_them(stack, crypter):
    nodes = json.dumps([{"name": "n", "host": "h", "hostKey": "SHA256:" + "a" * 43}])
    github = crypter().encrypt(json.dumps({"owner": "me", "repository": "r", "token": "t0ken"}))
    text = f"config:\n  elysium:nodes: '{nodes}'\n  elysium:github:\n    secure: {github}\n"
    loaded = config_file.read(stack(text), crypter)
    assert loaded.config.server.host == "h"
    assert loaded.config.github.token == Secret("t0ken")
    assert loaded.warnings == ()


def test_every_problem_at_once_in_the_order_of_the_file(stack):
    path = stack(
        """\
config:
  elysium:nodes:
    - name: Kyrion!
      host: h
      prot: 22
      port: 70000
      agent: perhaps
  elysium:k3s:
    version: 1.36
    datastore: sqllite
    start_timeout: 10
  elysium:flux:
    componentsExtra: [image-automation-contoller]
    interval: often
  elysium:nodse: []
  elysium:github:
    owner: ''
"""
    )
    assert problems(path) == [
        "Pulumi.kyrion.yaml:3: elysium:nodes[0].name: lower-case letters, digits and hyphens are"
        " expected, not 'Kyrion!'",
        "Pulumi.kyrion.yaml:5: elysium:nodes[0].prot: unknown key (did you mean 'port'?)",
        "Pulumi.kyrion.yaml:6: elysium:nodes[0].port: at most 65535 is expected, not 70000",
        "Pulumi.kyrion.yaml:7: elysium:nodes[0].agent: true or false is expected, not 'perhaps'",
        "Pulumi.kyrion.yaml:9: elysium:k3s.version: a text is expected, not 1.36",
        "Pulumi.kyrion.yaml:10: elysium:k3s.datastore: one of sqlite, etcd is expected,"
        " not 'sqllite' (did you mean 'sqlite'?)",
        "Pulumi.kyrion.yaml:11: elysium:k3s.start_timeout: unknown key"
        " (did you mean 'startTimeout'?)",
        "Pulumi.kyrion.yaml:13: elysium:flux.componentsExtra[0]: 'image-automation-contoller' is"
        " no component of Flux (did you mean 'image-automation-controller'?)",
        "Pulumi.kyrion.yaml:14: elysium:flux.interval: a duration such as '1m' or '1h30m' is"
        " expected",
        "Pulumi.kyrion.yaml:15: elysium:nodse: unknown key (did you mean 'elysium:nodes'?)",
        "Pulumi.kyrion.yaml:16: elysium:github.repository: it is missing (Its name)",
        "Pulumi.kyrion.yaml:17: elysium:github.owner: a text that is not empty is expected, not ''",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["Pulumi.kyrion.yaml: elysium:nodes: it is missing", "elysium:github: it is missing"]),
        ("config:\n  - a\n", ["keys such as 'elysium:nodes' are expected"]),
        ("- a\n", ["Pulumi.kyrion.yaml:1: keys and values are expected here"]),
        ("a: [1\n", ["Pulumi.kyrion.yaml:2: "]),
        ("config:\n\ta: 1\n", ["Pulumi.kyrion.yaml:2: found character"]),
        ("config: {}\nconfig: {}\n", ["Pulumi.kyrion.yaml:2: the key 'config' is there twice"]),
        ("conifg: {}\n", ["Pulumi.kyrion.yaml:1: conifg: unknown key (did you mean 'config'?)"]),
        (
            "elysium:nodes: []\n",
            ["Pulumi.kyrion.yaml:1: elysium:nodes: unknown key (indent it under 'config:')"],
        ),
        ("config:\n  nodes: []\n", ["nodes: unknown key (write elysium:nodes)"]),
        ("config:\n  elysum:nodes: []\n", ["did you mean 'elysium:nodes'?"]),
        (
            GOOD + "    host: x\n",
            ["elysium:github.host: unknown key (did you mean 'sshHost'?)"],
        ),
        (GOOD + "    timeout: 3\n", ["elysium:github.timeout: unknown key (it belongs at"]),
        (GOOD + "    zzz: 3\n", ["unknown key (known keys: owner, repository, branch"]),
        (GOOD + "  elysium:k3s: v1.36\n", ["keys and values are expected, or the same as a JSON"]),
        (
            GOOD + "  elysium:k3s: &a\n    options: *a\n",
            ["Pulumi.kyrion.yaml:10: the anchor 'a' contains itself"],
        ),
        (GOOD + "  elysium:k3s: {options: {a: .nan}}\n", ["not finite"]),
        (GOOD + "  elysium:k3s: {options: {a: !!set {}}}\n", ["unknown kind"]),
        (GOOD + "  elysium:media: {remote: {account: a}}\n", ["elysium:media: remote.type is"]),
        (GOOD + "  elysium:media: {remote: {type: s3, a: [b]}}\n", ["a text, a number, true or"]),
        (
            GOOD.replace("  elysium:github:", "    - name: two\n      host: b\n  elysium:github:"),
            ["exactly one node, with role server, is supported now"],
        ),
        (GOOD.replace("ssh-ed25519 AAAA", "AAAA"), ["elysium:nodes[0].hostKey: a host key is"]),
    ],
)
def test_bad_files(stack, text, expected):
    found = problems(stack(text))
    for part in expected:
        assert any(part in line for line in found), found


def test_another_programs_keys_are_none_of_our_business(stack):
    config_file.load(stack(GOOD + "  kubernetes:context: x\n"), None)


def test_a_file_name_that_is_no_cluster(tmp_path):
    path = tmp_path / "Pulumi.My_Cluster.yaml"
    path.write_text(GOOD)
    assert "'My_Cluster' is no name for a cluster" in problems(path)[0]


def test_not_there_not_text_not_readable(tmp_path):
    path = tmp_path / "Pulumi.kyrion.yaml"
    assert "elysium init writes one" in problems(path)[0]
    path.write_bytes(b"config: {}\n# \xff\n")
    assert problems(path) == ["Pulumi.kyrion.yaml:2: it is not UTF-8 text"]
    path.unlink()
    path.mkdir()
    assert "cannot be read" in problems(path)[0]
    other = tmp_path / "Pulumi.big.yaml"
    other.write_text("#" * 1_000_001)
    assert "1000001 bytes" in problems(other)[0]


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "    token: hunter2secret\n    token: hunter2secret\n",
        GOOD + "    token: [hunter2secret]\n",
        GOOD + "    tokem: hunter2secret\n",
        GOOD + "    token: 'hunter2secret\n",
        GOOD + '    token: "hunter2secret\\q"\n',
        GOOD + "  elysium:media: {remote: {type: s3, pass: [hunter2secret]}}\n",
        GOOD + "  elysium:media: {remote: {pass: hunter2secret}}\n",
        GOOD + "  elysium:github2: hunter2secret\n",
        GOOD + "  elysium:flux: hunter2secret\n",
        GOOD + "    hunter2secret\n",
    ],
)
def test_no_error_quotes_what_may_be_a_secret(stack, text):
    with pytest.raises(errors.ConfigError) as caught:
        config_file.load(stack(text), None)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__context__)


def test_a_decrypted_text_is_never_quoted(stack, crypter):
    cipher = crypter().encrypt("hunter2secret")
    text = GOOD + f"    branch: {{secure: '{cipher}'}}\n    sshPort: {{secure: '{cipher}'}}\n"
    found = "\n".join(problems(stack(text), crypter))
    assert "would be printed" in found
    assert "hunter2" not in found
    inside = crypter().encrypt('{"owner": "o", "repository": "r", "sshPort": "hunter2secret"}')
    text = GOOD[: GOOD.index("  elysium:github")] + f"  elysium:github: {{secure: '{inside}'}}\n"
    found = "\n".join(problems(stack(text), crypter))
    assert "a whole number is expected" in found
    assert "hunter2" not in found


def test_values_that_cannot_be_decrypted_are_named_with_what_to_do(stack, crypter):
    text = GOOD + "    token: {secure: v1:other:abc}\n"
    assert problems(stack(text), crypter) == [
        "Pulumi.kyrion.yaml:9: elysium:github.token: the encrypted value cannot be opened with"
        " this stack's passphrase (set it again: elysium config set --secret"
        " elysium:github.token)"
    ]


def test_a_wrong_passphrase_is_its_own_error(stack):
    def wrong() -> Any:
        raise errors.StackError("the passphrase is wrong", operation="decrypt")

    with pytest.raises(errors.StackError) as caught:
        config_file.load(stack(GOOD + "    token: {secure: v1:a:b}\n"), wrong)
    assert caught.value.exit_code == 7


def test_plaintext_secrets_files_not_there_and_unpinned_keys_are_warned_of(stack):
    text = GOOD.replace(
        "hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA",
        "identityFile: /nowhere/id\n      password: hunter2secret",
    )
    text += "  elysium:media: {remote: {type: azureblob, account: a, key: hunter2secret}}\n"
    loaded = config_file.read(stack(text), None)
    found = [str(w) for w in loaded.warnings]
    assert found == [
        "Pulumi.kyrion.yaml:5: elysium:nodes[0].identityFile: there is no file /nowhere/id",
        "Pulumi.kyrion.yaml:6: elysium:nodes[0].password: a secret lies here as plain text"
        " (encrypt it: elysium config set --secret nodes[0].password)",
        "Pulumi.kyrion.yaml:10: elysium:media.remote.key: a secret lies here as plain text"
        " (encrypt it: elysium config set --secret media.remote.key)",
        "Pulumi.kyrion.yaml:3: elysium:nodes[0]: no hostKey: the node's identity is not pinned"
        " (elysium init, or: elysium config set nodes[0].hostKey 'ssh-ed25519 AAAA…')",
    ]


def test_files_not_there_are_warned_of_below_the_folder_of_the_file(stack, tmp_path):
    signer = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA me"
    text = GOOD + "    caFile: certs/ca.pem\n  elysium:backup: {signingKey: signer}\n"
    path = stack(text)
    keys = [w.key for w in config_file.read(path, None).warnings]
    assert keys == ["elysium:github.caFile", "elysium:backup.signingKey"]
    (path.parent / "certs").mkdir()
    (path.parent / "certs" / "ca.pem").write_text("x")
    (path.parent / "signer").write_text("x")
    assert config_file.read(path, None).warnings == ()
    agents = stack(text.replace("signingKey: signer", f"signingKey: {signer}"))
    assert config_file.read(agents, None).warnings == ()


@pytest.mark.parametrize("key", ["age1mine", "ssh-dss AAAA", "/a/file", "SHA256:short"])
def test_keys_that_check_signatures_have_a_form(stack, crypter, key):
    text = f"{GOOD}  elysium:backup: {{verifyKeys: ['{key}']}}\n"
    (found,) = problems(stack(text), crypter)
    assert "backup.verifyKeys[0]" in found and "a public SSH key" in found


def test_an_anchor_that_is_used_again_is_no_warning(stack, recwarn):
    config_file.load(stack(GOOD + "  other:x: [&a 1, &a 2, *a]\n"), None)
    assert [str(one.message) for one in recwarn] == []
