"""The scripts that delete, on random trees: what is not on their list stays byte for byte."""

from __future__ import annotations

import random

import pytest

from provision.provider import node_templates
from provision.provider.k3s import files as k3s_files
from provision.provider.media import files as media_files
from provision.provider.media import scripts as media_scripts
from tests.support import removals

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(180)]

SHA = "ab12" * 16
POD = "0a1b2c3d-0000-4000-8000-0123456789ab"
OURS = (
    *("agent/containerd/meta.db", "agent/client-kubelet.crt", "agent/etc/cni/net.d/10.conf"),
    *("agent/images/a.tar", f"data/{SHA}/bin/containerd", "data/.lock", "server/db/state.db"),
    *("server/token", "server/tls/client-ca.key", "server/manifests/coredns.yaml"),
    *("server/static/charts/traefik.tgz", "server/cred/passwd"),
)
"""Files of a k3s server, in its data folder."""
ODD = (
    "family photos",
    "*",
    "-rf",
    "a\nb",
    "back\\slash",
    "\\040",
    "é",
    ".hidden",
    "[x]",
    "a'b",
    "$x",
)


def uninstall(options: dict[str, str]) -> str:
    return k3s_files.render_uninstall(k3s_files.places({"options": options})).decode()


class World:
    """A node with k3s, links, mounts and files of the user's, as `seed` says."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a test's
        self.tree = removals.Tree()
        self.ours: list[str] = []
        self.volumes: list[str] = []
        self.theirs: list[str] = []
        pick = self.random.choice
        self.data = pick(["", "/srv", "/mnt/big", "/mnt/my disk/k3s"])
        self.options = {"data-dir": self.data} if self.data else {}
        self.at = self.data or "/var/lib/rancher/k3s"
        self.links()
        for name in OURS:
            self.ours.append(f"{self.at}/{name}")
        for number in range(2):
            self.volumes.append(f"{self.at}/storage/pvc-{number}_default_data/f")
        self.ours += [f"/var/lib/kubelet/pods/{POD}/etc-hosts", "/var/lib/kubelet/pki/kubelet.key"]
        self.ours += ["/etc/rancher/k3s/config.yaml", "/usr/local/bin/k3s", "/run/k3s/x/y"]
        self.ours += [f"/var/log/pods/default_p_{POD}/c/0.log", "/etc/rancher/node/password"]
        for _ in range(12):
            self.foreign()
        for path in (*self.ours, *self.volumes, *self.theirs):
            self.tree.file(path, path)
        for number in range(5):
            self.mount(number)
        # A token of a pod, on a tmpfs as the kubelet mounts it.
        token = f"/var/lib/kubelet/pods/{POD}/volumes/kubernetes.io~projected/token"
        self.tree.tmpfs(token)
        self.tree.file(f"{token}/token", "token")
        self.ours.append(f"{token}/token")

    def odd(self) -> str:
        return self.random.choice(ODD) + self.random.choice(["", "1", " 2"])

    def links(self) -> None:
        chance = self.random.random
        if chance() < 0.5:
            self.tree.link("/var/lib/rancher", "/disk/rancher")
            self.tree.folder("/disk/rancher")
        if chance() < 0.5:
            self.tree.link("/var/lib/kubelet", "/disk/my kubelet")
            self.tree.folder("/disk/my kubelet")
        elif chance() < 0.5:
            self.tree.link("/var/lib/kubelet/pods", "/disk/pods")
            self.tree.folder("/disk/pods")
        for name in ("agent", "server", "storage"):
            if chance() < 0.25:
                self.tree.link(f"{self.at}/{name}", f"/disk/{name} of k3s")
                self.tree.folder(f"/disk/{name} of k3s")

    def foreign(self) -> None:
        shared = [f"{self.at}/data", f"{self.at}/server", f"{self.at}/agent"] if self.data else []
        places = [self.at, f"{self.at}/storage", "/disk", "/var/lib", "/var/lib/kubelet", "/srv"]
        places += ["/var/log/pods", "/var/lib/cni/networks/podman", "/etc/rancher/k3s", "/run"]
        self.theirs.append(f"{self.random.choice(places + shared)}/{self.odd()}/{self.odd()}")

    def mount(self, number: int) -> None:
        places = [self.at, f"{self.at}/server/db", f"{self.at}/agent/images", "/var/lib/kubelet"]
        places += [f"{self.at}/storage/pvc-0_default_data", f"{self.at}/data/{SHA}/bin"]
        path = f"{self.random.choice(places)}/{self.odd()}-{number}"
        if self.random.random() < 0.5:
            source = f"/precious/{number}"
            self.tree.file(f"{source}/{self.odd()}/f", "precious")
            self.tree.bind(path, source)
        else:
            self.tree.tmpfs(path)
            self.tree.file(f"{path}/in memory", "precious")


def real(done: removals.Done, path: str) -> str:
    """Return `path` with the links that were there before."""
    at = ""
    for part in path.split("/")[1:]:
        at += f"/{part}"
        link = done.before.get(at, "")
        at = link[3:] if link.startswith("-> ") and at != path else at
    return at


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_uninstalling_removes_what_is_listed_and_nothing_else(seed: int, keep: bool) -> None:
    world = World(seed)
    arguments = ("--keep-data",) if keep else ()
    done = removals.run(world.tree, uninstall(world.options), *arguments)
    assert done.status == 0, done.stderr
    gone = {real(done, path) for path in world.ours}
    gone |= set() if keep else {real(done, path) for path in world.volumes}
    expected = {path: text for path, text in done.before.items() if path not in gone}
    assert done.after == expected


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("stub", ["cat", "readlink"])
def test_what_cannot_tell_what_to_keep_removes_nothing(stub: str, keep: bool) -> None:
    world = World(1)
    world.tree.stub(stub, "exit 1")
    arguments = ("--keep-data",) if keep else ()
    done = removals.run(world.tree, uninstall(world.options), *arguments)
    assert done.status != 0 and "cannot tell what to keep" in done.stderr
    data = {path: text for path, text in done.before.items() if "token/token" not in path}
    assert {path: text for path, text in done.after.items() if "token/token" not in path} == data


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
