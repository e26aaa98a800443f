"""What is found out about a restore before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from provision import errors
from provision.gitops.sealing import keyring
from provision.gitops.sealing import keys as sealing_keys
from provision.operations import node_replace, state
from provision.provider import connections
from provision.provider.sealing import seed
from provision.recovery import journal
from provision.recovery.bundle import archive, manifest, parts
from provision.recovery.restore import node as restore_node
from provision.recovery.restore import preconditions, report, workspace
from stacks import cache
from tests.support import elysiumrepo, restores

OLD = sealing_keys.make_key()
NEWER = sealing_keys.make_key(after=OLD)
NEW = node_replace.NewNode(host="10.0.0.9", host_key="SHA256:" + "A" * 43, port=2222)
COPY = manifest.Datastore(kind="sqlite", part=parts.SQLITE, how="copied")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "remembered")


def look(
    monkeypatch: pytest.MonkeyPatch,
    target: Path,
    found: archive.Bundle,
    files: Mapping[str, str],
    mode: journal.Mode = "rebuild",
    **more: Any,
) -> report.Report:
    repository = restores.Repository(files=files, **more)
    monkeypatch.setattr(connections.Live, "github", lambda *_: repository)
    with workspace.opened(found, NEW, ask=False) as space:
        return report.look(space, target, mode)


def test_the_stack_is_pinned_and_lacks_what_was_lost() -> None:
    with workspace.opened(restores.made(OLD, OLD), NEW, ask=False) as space:
        folder = space.stack.directory
        assert (space.stack.config.server.host, space.stack.config.server.port) == (
            "10.0.0.9",
            2222,
        )
        assert b"SHA256:" in space.configuration
        left = [each["type"] for each in space.exported()["deployment"]["resources"]]
        assert "elysium:node:K3sServer" not in left and "elysium:secrets:SealingKey" in left
        for path in folder.rglob("*"):
            assert path.is_dir() or restores.PASSPHRASE.reveal() not in path.read_text()
    assert not folder.exists()


def test_a_key_that_only_the_cluster_had_gets_into_the_state() -> None:
    with workspace.opened(restores.made(OLD, NEWER, OLD), NEW, ask=False) as space:
        (record,) = [
            each
            for each in state.resources(space.stack)
            if each.type.endswith("elysium:secrets:SealingKey")
        ]
        assert record.outputs["fingerprints"] == [NEWER.fingerprint, OLD.fingerprint]
        known = keyring.load(state.sealing_keys(space.stack))
        assert [key.fingerprint for key in known] == record.outputs["fingerprints"]


@pytest.mark.parametrize(
    ("part", "content"),
    [
        (parts.STATE, b"{}"),
        (parts.STATE, b"[]"),
        (parts.STATE, b'{"version": 3, "deployment": {"manifest": 1}}'),
        (parts.PASSPHRASE, b"another"),
        (parts.PROJECT, b"- no project"),
        (parts.stack_file("kyrion"), b"config:\n  elysium:nodes: 3\n"),
    ],
)
def test_a_part_that_cannot_be_used_is_named(part: str, content: bytes) -> None:
    found = restores.made(OLD, OLD, replaced={part: content})
    with (
        pytest.raises(errors.ElysiumError) as caught,
        workspace.opened(found, NEW, ask=False),
    ):
        pass
    assert isinstance(caught.value, (errors.BundlePartError, errors.StackError))


def test_a_state_that_is_kept_elsewhere_is_not_lost() -> None:
    project = b"name: elysium\nbackend:\n  url: s3://bucket\n"
    found = restores.made(OLD, OLD, replaced={parts.PROJECT: project})
    with (
        pytest.raises(errors.StackError, match="s3://bucket") as caught,
        workspace.opened(found, NEW, ask=False),
    ):
        pass
    assert "node replace" in caught.value.hint


def test_it_ends_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = look(monkeypatch, tmp_path, restores.made(OLD, OLD), elysiumrepo.deadlocked(OLD))
    assert [each.name for each in found.sealed] == [
        "flux-system/cluster-secret-vars",
        "tailscale/tsidp-auth",
    ]
    assert not any(each.why for each in found.sealed)
    assert found.soft == () and found.hard == () and found.well
    assert found.secrets == ("default/by-hand",)
    assert any("volumes" in words for words in found.losses)
    assert not any("moved on" in words for words in found.notes)
    assert "never rehearsed" in found.took
    report.refuse(found, anyway=False)


def test_a_definition_that_the_release_lacks_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A backup has it or the pinned release; without both it goes on only with --anyway."""
    message = "Sealed Secrets 0.30.0 has no definition sealedsecrets.bitnami.com"

    def released(*_: object) -> None:
        raise errors.ArtifactError(message, hint="give it in flux.crds")

    monkeypatch.setattr(seed, "released", released)
    files = elysiumrepo.deadlocked(OLD)
    without = restores.made(OLD, OLD, replaced={parts.CRDS: b'{"items": []}'})
    found = look(monkeypatch, tmp_path, without, files)
    assert [message in str(one) for one in found.soft] == [True]
    with pytest.raises(errors.PreflightError, match="not end well") as caught:
        report.refuse(found, anyway=False)
    assert "--anyway" in caught.value.hint
    report.refuse(found, anyway=True)
    assert look(monkeypatch, tmp_path, restores.made(OLD, OLD), files).soft == ()


def test_what_the_keys_do_not_open_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = elysiumrepo.deadlocked(OLD)
    path = "clusters/kyrion/sealed-secrets.yaml"
    files[path] = elysiumrepo.sealed_secret(
        NEWER, "cluster-secret-vars", "flux-system", DOMAIN="example.org", TOKEN="t"
    )
    found = look(monkeypatch, tmp_path, restores.made(OLD, OLD), files)
    closed = {each.name: bool(each.why) for each in found.sealed}
    assert closed == {"flux-system/cluster-secret-vars": True, "tailscale/tsidp-auth": False}
    with pytest.raises(errors.PreflightError, match="not end well") as caught:
        report.refuse(found, anyway=False)
    assert path in caught.value.detail and "--anyway" in caught.value.hint
    report.refuse(found, anyway=True)
    both = look(monkeypatch, tmp_path, restores.made(OLD, NEWER, OLD), files)
    assert not any(each.why for each in both.sealed)


def test_a_repository_that_moved_on_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = look(
        monkeypatch,
        tmp_path,
        restores.made(OLD, OLD),
        elysiumrepo.deadlocked(OLD),
        commit="b2" * 20,
    )
    (words,) = [words for words in found.notes if "moved on" in words]
    assert restores.HEAD[:12] in words and "b2" * 6 in words


def test_how_long_it_took_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundled = restores.made(OLD, OLD, changes={"took": {"up": 65.2, "restore": 131.0}})
    files = elysiumrepo.deadlocked(OLD)
    assert look(monkeypatch, tmp_path, bundled, files).took == "the last restore took 2 min 11 s"


def test_the_datastore_needs_what_opens_it() -> None:
    def problems(**more: Any) -> list[str]:
        found = restores.made(OLD, OLD, **more)
        with workspace.opened(found, NEW, ask=False) as space:
            config = space.stack.config
            return [each.message for each in preconditions.of_bundle(found, config, "datastore")]

    assert problems() == ["the backup has no copy of the datastore"]
    whole = {"changes": {"datastore": COPY}, "replaced": {parts.SQLITE: b"x"}}
    assert problems(**whole) == []
    for without, word in (
        ("/var/lib/rancher/k3s/server/token", "token"),
        ("/etc/rancher/node/password", "node password"),
    ):
        (message,) = problems(**whole, without=(without,))
        assert word in message
    snapshot = manifest.Datastore(kind="etcd", part=parts.ETCD, how="taken")
    etcd = {"changes": {"datastore": snapshot}, "replaced": {parts.ETCD: b"x"}}
    assert problems(**etcd) == ["the copy is of etcd, and k3s.datastore is sqlite"]
    configured = restores.CONFIGURATION.format(salt=restores.vault().salt)
    etcd["replaced"][parts.stack_file("kyrion")] = (
        f"{configured}  elysium:k3s: {{datastore: etcd}}\n".encode()
    )
    assert problems(**etcd) == []
    sqlite = {**etcd["replaced"], parts.SQLITE: b"x"}
    del sqlite[parts.ETCD]
    before_the_move = {"changes": {"datastore": COPY}, "replaced": sqlite}
    assert problems(**before_the_move) == [], "elysium up --migrate-datastore makes such a one"
    newer = {"datastore": COPY, "versions": {"k3s": "v1.99.0+k3s1"}}
    (message,) = problems(changes=newer, replaced={parts.SQLITE: b"x"})
    assert "older" in message


def test_what_is_in_the_way_here_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: other\nruntime: python\n")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another")
    with workspace.opened(restores.made(OLD, OLD), NEW, ask=False) as space:
        told = [str(each) for each in preconditions.here(space, tmp_path)]
        assert len(told) == 2
        assert "another project" in told[0] and "PULUMI_CONFIG_PASSPHRASE" in told[1]
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", restores.PASSPHRASE.reveal())
        (tmp_path / "Pulumi.yaml").write_text(restores.PROJECT)
        assert list(preconditions.here(space, tmp_path)) == []


def test_only_the_users_own_files_go_back() -> None:
    found = restore_node.users_files(restores.made(OLD, OLD))
    assert [each.source for each in found] == ["/etc/rancher/k3s/config.yaml.d/10.yaml"]
