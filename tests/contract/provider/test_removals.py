"""The scripts that delete, on random trees: what is not on their list stays byte for byte."""

from __future__ import annotations

import pytest

from provision.provider import node_templates
from provision.provider.media import files as media_files
from provision.provider.media import scripts as media_scripts
from tests.support import removals, removalworlds
from tests.support.removalworlds import ODD, OURS, uninstall

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(180)]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_uninstalling_removes_what_is_listed_and_nothing_else(seed: int, keep: bool) -> None:
    """`test_removals_by_shell` does the same with random seeds, over SSH."""
    world = removalworlds.K3sWorld(seed)
    arguments = ("--keep-data",) if keep else ()
    done = removals.run(world.tree, uninstall(world.options), *arguments)
    assert done.status == 0, done.stderr
    before = removals.Seen(files=done.before, folders=frozenset(), mounts=frozenset())
    assert done.after == world.expected(before, keep=keep)
    assert world.stay(before) <= done.folders


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("stub", ["cat", "readlink"])
def test_what_cannot_tell_what_to_keep_removes_nothing(stub: str, keep: bool) -> None:
    world = removalworlds.K3sWorld(1)
    world.tree.stub(stub, "exit 1")
    arguments = ("--keep-data",) if keep else ()
    done = removals.run(world.tree, uninstall(world.options), *arguments)
    assert done.status != 0 and "cannot tell what to keep" in done.stderr
    assert done.after == done.before


@pytest.mark.parametrize("data", ["/", "/home", "/etc", "/var/lib", "/srv"])
def test_a_system_folder_stays(data: str) -> None:
    tree = removals.Tree()
    at = data.rstrip("/")
    ours = [f"{at}/{name}" for name in OURS] + [f"{at}/storage/pvc-1/f"]
    theirs = [f"{at}/me/photo", f"{at}/data/mine", f"{at}/server/www/index", f"{at}/storage/x"]
    for path in (*ours, *theirs):
        tree.file(path)
    done = removals.run(tree, uninstall({"data-dir": data}))
    assert done.status == 0, done.stderr
    assert set(done.after) == set(theirs)
    assert data in done.folders


def test_all_that_a_real_k3s_leaves_goes_and_a_users_part_stays() -> None:
    """Listed on a node with k3s v1.36.3; `/mnt/big` is its data folder."""
    kubelet = ("actuated_pods_state", "allocated_pods_state", "checkpoints/c", "cpu_manager_state")
    kubelet += ("device-plugins/d", "dra_manager_state", "image_manager/pulled/sha256-1", "pods/p")
    kubelet += ("memory_manager_state", "plugins/p", "plugins_registry/p", "pod-resources/p")
    drop_ins = "/mnt/big/agent/etc/kubelet.conf.d"
    kubelets = ("00-k3s-defaults.conf", "10-cli-config.conf", "20-cli-config-dir/mine.conf")
    tree = removals.Tree()
    for path in (
        *(f"/mnt/big/{name}" for name in OURS),
        *(f"/var/lib/kubelet/{name}" for name in kubelet),
        *(f"{drop_ins}/{name}" for name in kubelets),
        f"{drop_ins}/50-mine.conf",
    ):
        tree.file(path)
    done = removals.run(tree, uninstall({"data-dir": "/mnt/big"}))
    assert done.status == 0, done.stderr
    assert set(done.after) == {f"{drop_ins}/50-mine.conf"}
    assert "/var/lib/kubelet" not in done.folders and "/mnt/big/server" not in done.folders


def test_what_stays_is_told() -> None:
    tree = removals.Tree()
    for path in ("/mnt/big/photos/1.jpg", "/mnt/big/server/token", "/precious/f"):
        tree.file(path)
    tree.bind("/mnt/big/server/db/disk", "/precious")
    done = removals.run(tree, uninstall({"data-dir": "/mnt/big"}))
    told = set(done.stdout.splitlines())
    assert {"left /mnt/big/photos", "left /mnt/big/server", "left /mnt/big/server/db/disk"} <= told
    assert "/precious/f" in done.after and "/mnt/big/server/token" not in done.after


def test_making_room_for_a_datastore_spares_what_is_mounted_there() -> None:
    """`elysium restore` empties server/db; snapshots may be on another machine's disk."""
    tree = removals.Tree()
    folder = "/var/lib/rancher/k3s/server/db"
    tree.link("/var/lib/rancher", "/disk/rancher")
    tree.folder("/disk/rancher")
    for path in ("/precious/snapshot", f"{folder}/state.db", f"{folder}/etcd/member/wal"):
        tree.file(path)
    tree.bind(f"{folder}/snapshots", "/precious")
    done = removals.run(tree, f"set -eu\n{node_templates.removal(folder)}")
    assert done.status == 0, done.stderr
    at = folder.replace("/var/lib", "/disk")
    assert set(done.before) - set(done.after) == {f"{at}/state.db", f"{at}/etcd/member/wal"}
    tree.stub("cat", "exit 1")
    assert removals.run(tree, f"set -eu\n{node_templates.removal(folder)}").status == 1


# -- the media library ---------------------------------------------------------


def media_tree(cache: str) -> removals.Tree:
    tree = removals.Tree()
    for name in ("vfs/media/a", "vfsMeta/media/a"):
        tree.file(f"{cache}/{name}", '{"Dirty": false}')
    return tree


def media_removal(cache: str, *, made: bool = True) -> str:
    absent = (cache, "/media/library") if made else ()
    before = media_files.Before(mount_point="/media/library", cache_dir=cache, absent=absent)
    return media_scripts.remove(before)


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("linked", [False, True])
def test_removing_the_media_library_spares_mounts_and_what_others_keep_there(
    linked: bool, made: bool
) -> None:
    tree = removals.Tree()
    if linked:
        tree.link("/var/cache", "/disk/cache")
        tree.folder("/disk/cache")
    cache = "/var/cache/my cache"
    tree.steps += media_tree(cache).steps
    theirs = {"/precious/f", *(f"{cache}/{name}/{name}" for name in ODD), f"{cache}/vfs/other/f"}
    for path in theirs:
        tree.file(path)
    for number, name in enumerate(ODD):
        tree.bind(f"{cache}/vfs/media/{name}{number}", "/precious")
    done = removals.run(tree, media_removal(cache, made=made))
    assert done.status == 0, done.stderr
    removed = set(done.before) - set(done.after)
    at = "/disk/cache/my cache" if linked else cache
    assert removed == {f"{at}/vfs/media/a", f"{at}/vfsMeta/media/a"}


@pytest.mark.parametrize("stub", ["grep", "cat", "readlink"])
def test_a_cache_that_cannot_be_read_is_kept(stub: str) -> None:
    tree = media_tree("/var/cache/media")
    tree.stub(stub, "exit 2")
    done = removals.run(tree, media_removal("/var/cache/media"))
    assert done.after == done.before


def test_an_empty_cache_goes() -> None:
    done = removals.run(media_tree("/var/cache/media"), media_removal("/var/cache/media"))
    assert done.status == 0 and not done.after and "/var/cache/media" not in done.folders
