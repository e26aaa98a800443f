"""Random trees of a node that has k3s or a media library, and what a removal may take of them.

A world is made from a seed alone. `expected` is the model: the files that elysium and k3s made go,
and each other file, link, folder and mount stays as it was.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping

from provision.provider.k3s import files as k3s_files
from provision.provider.media import files as media_files
from tests.support import removals, rooms

SHA = "ab12" * 16
POD = "0a1b2c3d-0000-4000-8000-0123456789ab"
OURS = (
    *("agent/containerd/meta.db", "agent/client-kubelet.crt", "agent/etc/cni/net.d/10.conf"),
    *("agent/images/a.tar", f"data/{SHA}/bin/containerd", "data/.lock", "server/db/state.db"),
    *("server/token", "server/tls/client-ca.key", "server/manifests/coredns.yaml"),
    *("server/static/charts/traefik.tgz", "server/cred/passwd", "server/etc/cloud-config.yaml"),
    *("agent/etc/kubelet.conf.d/00-k3s-defaults.conf", "agent/etc/resolv.conf"),
)
"""Files of a k3s server, in its data folder."""
ODD = (
    *("family photos", "*", "-rf", "--", "a\nb", "end\n", "\n", "back\\slash", "\\040", "\\n"),
    *("é", ".hidden", "..two", "...", "[x]", "{a,b}", "a'b", 'a"b', "$x", "$(touch x)", "`x`"),
    *("~", "#", "%s", "!", "&& x", "a;b", "\t", " ", " a ", "\x01\x7f", "\x1b[2J", "\r", "\x88"),
    *("left x", os.fsdecode(b"\xff\xfe"), os.fsdecode(b"\x81\x82\x88"), os.fsdecode(b"a\xc3")),
    *("?" * 64, "pvc", "x" * 240, "current", "pods"),
)
"""Names that a script may read as something else."""
DATA = (
    *("", "", "/srv", "/mnt/big", "/mnt/my disk/k3s", "/mnt/it's/k3s", "/opt/-k3s", "/mnt/[x]*/k"),
    *("/mnt/back\\slash/\\040", "/mnt/ü/rancher/k3s", "/home/me/#k3s"),
)
"""Data folders; an empty one is k3s' own."""
_SPECIAL = ("fifo", "socket", "device")


class _World:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a test's
        self.tree = removals.Tree()
        self.ours: list[str] = []
        """Files that must go."""
        self.kept: list[str] = []
        """Empty folders that must stay."""
        self.views: list[str] = []
        """Mount points that the removal takes away, and not what they show."""
        self._count = 0

    def odd(self) -> str:
        return self.random.choice(ODD) + self.random.choice(["", "1", " 2"])

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def unique(self) -> str:
        self._count += 1
        return f"{self.odd()[:200]}-{self._count}"

    def made(self, path: str) -> None:
        """Have elysium or k3s make the file `path`."""
        self.ours.append(path)
        self.tree.file(path, path)

    def way(self, path: str, target: str) -> None:
        """Make the link `path` to the new folder `target`, sometimes by way of another link."""
        self.tree.folder(target)
        if self.chance(0.3):
            middle = f"/disk/{self.unique()}"
            self.tree.link(middle, target)
            target = middle
        self.tree.link(path, target)

    def foreign(self, folder: str) -> None:
        """Put something of the user's below `folder`."""
        path = f"{folder}/{self.unique()}"
        kind = self.random.choice(("file", "file", "link", "dangling", "hard", "folder", *_SPECIAL))
        if kind == "file":
            self.tree.file(f"{path}/{self.odd()}", path)
        elif kind == "link":
            self.tree.file(f"/precious/{path}", path)
            self.tree.link(path, f"/precious/{path}")
        elif kind == "dangling":
            self.tree.link(path, f"/nowhere/{self.odd()}")
        elif kind == "hard":
            self.tree.file(f"/var/photos{path}", path)
            self.tree.hard_link(path, f"/var/photos{path}")
        elif kind == "folder":
            self.tree.folder(path)
            self.kept.append(path)
        else:
            self.tree.special(path, kind)

    def within(self, folder: str) -> None:
        """Put something into a folder that is removed: it goes, and what it leads to stays."""
        path = f"{folder}/{self.unique()}"
        kind = self.random.choice(("link", "link to folder", "hard", *_SPECIAL))
        self.ours.append(path)
        if kind.startswith("link"):
            target = f"/precious/{self._count}/{self.odd()}"
            self.tree.file(f"{target}/f", "precious")
            self.tree.link(path, target if kind == "link to folder" else f"{target}/f")
        elif kind == "hard":
            self.tree.file(f"/var/photos{path}", "precious")
            self.tree.hard_link(path, f"/var/photos{path}")
        else:
            self.tree.special(path, kind)

    def mounted(self, folder: str, *, view: bool = False) -> None:
        """Mount something of the user's below `folder`; `view` when the removal unmounts it."""
        path = f"{folder}/{self.unique()}"
        kind = self.random.choice(("bind", "file", "nested", "read only", "tmpfs"))
        if view:
            kind = self.random.choice(("bind", "file", "nested", "read only"))
            self.views.append(path)
        source = f"/precious/{self._count}"
        name = self.odd()
        if kind == "tmpfs":
            self.tree.tmpfs(path)
            self.tree.file(f"{path}/{name}", "precious")
            return
        self.tree.file(f"{source}/{name}/f", "precious")
        if kind == "file":
            self.tree.bind(path, f"{source}/{name}/f")
            return
        self.tree.bind(path, source)
        if kind == "nested":
            inner = f"/precious/{self._count}-inner"
            self.tree.file(f"{inner}/f", "precious")
            self.tree.bind(f"{path}/{self.odd()}", inner)
        elif kind == "read only":
            self.tree.read_only(path)

    def _gone(self, before: removals.Seen, gone: set[str]) -> dict[str, str]:
        """Return the files that stay when those at the paths `gone` and all `views` go."""
        links = {path: text[3:] for path, text in before.files.items() if text.startswith("-> ")}
        real = {resolved(path, links) for path in gone}
        views = tuple(resolved(path, links) for path in self.views)
        return {
            path: text
            for path, text in before.files.items()
            if path not in real
            and not any(path == view or path.startswith(f"{view}/") for view in views)
        }

    def stay(self, before: removals.Seen) -> set[str]:
        """Return the folders that must stay."""
        links = {path: text[3:] for path, text in before.files.items() if text.startswith("-> ")}
        return {resolved(path, links) for path in self.kept}


def resolved(path: str, links: Mapping[str, str], depth: int = 0) -> str:
    """Return `path` with all links on the way resolved, but not one in its last part."""
    assert depth < 20, path
    at = ""
    parts = [part for part in path.split("/") if part]
    for number, part in enumerate(parts):
        at += f"/{part}"
        if at in links and number < len(parts) - 1:
            rest = "/".join(parts[number + 1 :])
            return resolved(f"{links[at]}/{rest}", links, depth + 1)
    return at


class K3sWorld(_World):
    """A node with k3s, links, mounts and files of the user's."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.data = self.random.choice(DATA)
        self.options: dict[str, str] = {"data-dir": self.data} if self.data else {}
        self.at = self.data or "/var/lib/rancher/k3s"
        self.storage = f"{self.at}/storage"
        self.own = self.at.endswith("/rancher/k3s")
        if self.chance(0.2):
            self.storage = self.random.choice(
                ("/disk/my volumes", f"{self.at}/mine/volumes", f"{self.at}/agent/images/volumes")
            )
            self.options["default-local-storage-path"] = self.storage
        self._links()
        self._mounted_trees()
        for name in OURS:
            self.made(f"{self.at}/{name}")
        self.volumes = [f"{self.storage}/pvc-{number}_default_data/f" for number in range(2)]
        for path in self.volumes:
            self.tree.file(path, path)
        if self.chance(0.3):
            self.volumes.append(f"{self.storage}/pvc-9_default_{self.unique()}")
            self.tree.file("/disk/a volume/f", "precious")
            self.tree.link(self.volumes[-1], "/disk/a volume")
        for path in (
            *(f"/var/lib/kubelet/pods/{POD}/etc-hosts", "/var/lib/kubelet/pki/kubelet.key"),
            *("/etc/rancher/k3s/config.yaml", "/usr/local/bin/k3s", "/run/k3s/x/y"),
            *(f"/var/log/pods/default_p_{POD}/c/0.log", "/etc/rancher/node/password"),
            *("/var/lib/cni/networks/cbr0/10.42.0.2", "/var/lib/cni/flannel/a", "/run/flannel/e"),
        ):
            self.made(path)
        script = "/var/log/containers/p_default_c-1.log"
        self.ours.append(script)
        self.tree.link(script, f"/var/log/pods/default_p_{POD}/c/0.log")
        self.tree.file(rooms.SCRIPT, uninstall(self.options))
        self.tree.steps.append(["executable", rooms.SCRIPT])
        self.ours.append(rooms.SCRIPT)
        for _ in range(14):
            self.foreign(self.random.choice(self._foreign_places()))
        for _ in range(4):
            self.within(self.random.choice(self._inner_places()))
        for _ in range(5):
            self.mounted(self.random.choice(self._inner_places(mounts=True)))
        for _ in range(2):
            self.mounted(self.random.choice(self._unmounted_places()), view=True)
        # A token of a pod, on a tmpfs as the kubelet mounts it.
        token = f"/var/lib/kubelet/pods/{POD}/volumes/kubernetes.io~projected/token"
        self.tree.tmpfs(token)
        self.views.append(token)
        self.made(f"{token}/token")

    def _links(self) -> None:
        if self.chance(0.3):
            self.way(self.at, "/disk/of k3s")
            self.own = False
        elif self.chance(0.4):
            self.way("/var/lib/rancher", "/disk/rancher")
        if self.chance(0.4):
            self.way("/var/lib/kubelet", "/disk/my kubelet")
        elif self.chance(0.4):
            self.way("/var/lib/kubelet/pods", "/disk/pods")
        if self.chance(0.2):
            self.way("/var/lib/cni", "/disk/cni")
        for name in ("agent", "server"):
            if self.chance(0.25):
                self.way(f"{self.at}/{name}", f"/disk/{name} of k3s")
        if self.storage == f"{self.at}/storage" and self.chance(0.25):
            self.way(self.storage, "/disk/storage of k3s")

    def _mounted_trees(self) -> None:
        """Let whole trees be disks of their own; their content is made later."""
        for path in (self.at, "/var/lib/kubelet", "/var/log", "/var/lib/cni"):
            if self.chance(0.15):
                links = {step[1]: step[2] for step in self.tree.steps if step[0] == "link"}
                self.tree.tmpfs(resolved(f"{path}/.", links).removesuffix("/."))

    def _foreign_places(self) -> list[str]:
        places = ["/disk", "/var/lib", "/srv/x", "/run", "/etc", "/root", "/home/me", "/opt"]
        places += ["/var/log/pods", "/var/lib/kubelet", "/var/lib/cni/networks/podman"]
        places += ["/etc/rancher/k3s", "/etc/rancher", "/var/lib/cni/cache/results", f"{self.at}/x"]
        places += ["/var/log/containers", "/usr/local/bin"]
        if "/agent/" not in self.storage:
            places.append(f"{self.storage}/mine")
        shared = [f"{self.at}/{name}" for name in ("data", "server", "agent", "agent/etc")]
        return places + ([] if self.own else shared)

    def _inner_places(self, *, mounts: bool = False) -> list[str]:
        """Return folders that are removed whole; with `mounts` also those beside them."""
        places = [f"{self.at}/server/db", f"{self.at}/agent/etc/cni", f"{self.at}/data/{SHA}"]
        places += [f"{self.at}/agent/images/x", "/var/lib/kubelet/plugins_registry/x"]
        places += [f"/var/log/pods/default_p_{POD}/c", "/run/flannel"]
        places += ["/var/lib/cni/networks/cbr0", "/var/lib/cni/flannel"]
        if mounts:
            places += [self.at, "/var/lib/kubelet", f"{self.at}/data/{SHA}/bin", "/var/lib/cni"]
            places += [os.path.dirname(self.volumes[0]), f"{self.at}/agent"]  # noqa: PTH120
        return places

    def _unmounted_places(self) -> list[str]:
        """Return folders below which k3s mounts, so that a removal unmounts all there."""
        pod = f"/var/lib/kubelet/pods/{POD}"
        return [f"{pod}/volumes/x", f"{pod}/containers", "/run/k3s", "/var/lib/kubelet/plugins/x"]

    def expected(self, before: removals.Seen, *, keep: bool) -> dict[str, str]:
        """Return what has to be there afterwards."""
        inside = self.storage.startswith(f"{self.at}/")
        return self._gone(before, {*self.ours, *(() if keep or not inside else self.volumes)})


def uninstall(options: Mapping[str, str]) -> str:
    """Return the script that a node with these options of k3s has."""
    return k3s_files.render_uninstall(k3s_files.places({"options": options})).decode()


class MediaWorld(_World):
    """A node with a media library."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.cache = self.random.choice(
            ("/var/cache/rclone", "/disk/[x]*/cache", "/-c/cache", "/mnt/$x/ü", "/var/#cache/a;b")
        )
        self.point = self.random.choice(("/mnt/media-library", "/media/[x]*", "/srv/ü/-m"))
        self.inputs = {
            "cacheDir": self.cache,
            "mountPoint": self.point,
            "remote": {"type": "azureblob"},
        }
        self._links()
        made = [path for path in (self.cache, self.point, "/etc/rclone") if self.chance(0.7)]
        mine = [path for path in (media_files.BINARY, media_files.LINK) if self.chance(0.7)]
        before = media_files.Before(
            mount_point=self.point, cache_dir=self.cache, absent=(*made, *mine)
        )
        self.tree.folder(self.point)
        for path in (media_files.CONFIG, media_files.PROVEN, media_files.HASHED):
            self.made(path)
        for name in media_files.unit_names(self.point):
            self.made(media_files.unit_path(name))
        if media_files.BINARY in mine:
            self.made(media_files.BINARY)
        else:
            self.tree.file(media_files.BINARY, "theirs")
        self.ours.append(media_files.BEFORE)
        self.tree.file(media_files.BEFORE, before.text)
        self.dirty = self.chance(0.2)
        self.cached = [f"{self.cache}/{name}/media/{self.odd()}" for name in ("vfs", "vfsMeta")]
        for path in self.cached:
            self.tree.file(path, json.dumps({"Dirty": self.dirty}))
        inner = [f"{self.cache}/vfs/media", f"{self.cache}/vfsMeta/media/a/b"]
        for _ in range(6):
            self.foreign(self.random.choice(self._foreign_places()))
        for _ in range(0 if self.dirty else 3):
            self.within(self.random.choice(inner))
        for _ in range(4):
            self.mounted(self.random.choice([*inner, self.cache, f"{self.cache}/vfs"]))

    def _links(self) -> None:
        parent, _, _ = self.cache.rpartition("/")
        if self.chance(0.3):
            self.way(self.cache, "/disk/the cache")
        elif self.chance(0.4):
            self.way(parent, "/disk/caches")
        if self.chance(0.3):
            self.way(f"{self.cache}/vfs", "/disk/of vfs")

    def _foreign_places(self) -> list[str]:
        places = [self.cache, f"{self.cache}/vfs", f"{self.cache}/vfsMeta/other", self.point]
        return [*places, "/etc/rclone", "/var/lib/elysium", "/etc/systemd/system", "/usr/local/bin"]

    def expected(self, before: removals.Seen) -> dict[str, str]:
        """Return what has to be there afterwards."""
        return self._gone(before, {*self.ours, *(() if self.dirty else self.cached)})
