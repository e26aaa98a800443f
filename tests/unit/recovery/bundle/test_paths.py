"""What a bundle puts on a node: the paths that elysium writes, and nothing else."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from provision import errors
from provision.gitops.sealing import keys as sealing_keys
from provision.recovery.bundle import archive, manifest, parts, paths
from provision.recovery.bundle import validation as bundle_validation
from tests.support import restores

KEY = sealing_keys.make_key()
ALLOWED = ("/etc/mine", "/srv/app")


def member(name: str, **fields: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def link(name: str, target: str) -> tarfile.TarInfo:
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def tar(*members: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as file:
        for each in members:
            file.addfile(each)
    return out.getvalue()


GOOD = (
    member("etc/mine", type=tarfile.DIRTYPE, mode=0o2775),
    member("etc/mine/file"),
    link("etc/mine/near", "file"),
    link("etc/mine/deep/up", "../file"),
    link("etc/mine/there", "/srv/app/x"),
    member("etc/mine/same", type=tarfile.LNKTYPE, linkname="etc/mine/file"),
    member("srv/app/" + "long" * 40),
)
BAD: dict[str, tuple[tarfile.TarInfo, ...]] = {
    "off the list": (member("root/.ssh/authorized_keys"),),
    "beside the list": (member("etc/mine2"),),
    "upwards": (member("etc/mine/../passwd"),),
    "absolute": (member("/etc/mine/file"),),
    "a link out": (link("etc/mine/out", "/root"),),
    "a relative link out": (link("etc/mine/out", "../passwd"),),
    "a link by way of another": (link("etc/mine/a", "/etc/mine"), link("etc/mine/b", "a/../x")),
    "behind a link": (link("etc/mine/a", "/srv/app"), member("etc/mine/a/x")),
    "a hard link out": (member("etc/mine/h", type=tarfile.LNKTYPE, linkname="etc/shadow"),),
    "a hard link to a link": (
        link("etc/mine/a", "file"),
        member("etc/mine/h", type=tarfile.LNKTYPE, linkname="etc/mine/a"),
    ),
    "a device": (member("etc/mine/d", type=tarfile.CHRTYPE),),
    "a disk": (member("etc/mine/d", type=tarfile.BLKTYPE),),
    "a pipe": (member("etc/mine/d", type=tarfile.FIFOTYPE),),
    "setuid": (member("etc/mine/s", mode=0o4755),),
    "setgid": (member("etc/mine/s", mode=0o2755),),
    "a setuid folder": (member("etc/mine/s", type=tarfile.DIRTYPE, mode=0o4755),),
    "twice": (link("etc/mine/file", "near"), member("etc/mine/file")),
    "a folder twice": (link("etc/mine/l", "near"), member("etc/mine/l", type=tarfile.DIRTYPE)),
}


def test_what_a_folder_of_the_user_holds_is_taken() -> None:
    found = paths.read(tar(*GOOD), ALLOWED)
    assert [each.header.name for each in found] == [each.name for each in GOOD]
    assert paths.cleaned(tar(*GOOD), ALLOWED) == (paths.packed(found), ())


@pytest.mark.parametrize("kind", BAD)
def test_anything_else_is_refused_and_left_out_of_a_new_backup(kind: str) -> None:
    content = tar(*GOOD[:2], *BAD[kind]) if kind != "twice" else tar(*BAD[kind])
    with pytest.raises(paths.PathError):
        paths.read(content, ALLOWED)
    left, words = paths.cleaned(content, ALLOWED)
    assert len(words) == 1
    # No other reason than the one that is meant.
    assert ("twice" in words[0]) == ("twice" in kind)
    assert ("setuid" in words[0]) == ("set" in kind)
    paths.read(left, ALLOWED)


def with_paths(content: bytes) -> archive.Bundle:
    text = restores.CONFIGURATION.format(salt=restores.vault().salt)
    text += "  elysium:backup:\n    paths: [/etc/mine]\n"
    replaced = {parts.stack_file("kyrion"): text.encode(), parts.PATHS: content}
    return restores.made(KEY, KEY, replaced=replaced)


def test_a_bundle_with_other_paths_cannot_be_used() -> None:
    bundle_validation.check(with_paths(tar(*GOOD[:3])))
    for kind in ("off the list", "a link out", "a device", "setuid"):
        wrong = with_paths(tar(*BAD[kind]))
        with pytest.raises(errors.BundlePartError, match=r"paths\.tar") as caught:
            bundle_validation.check(wrong)
        assert "--without-paths" in caught.value.hint
        bundle_validation.check(archive.without(wrong, parts.PATHS))


def with_part(**fields: Any) -> archive.Bundle:
    found = restores.made(KEY, KEY)
    info = manifest.PartInfo(size=0, sha256="0" * 64, **fields)
    changed = found.manifest.model_copy(update={"parts": (*found.manifest.parts, info)})
    return archive.Bundle(manifest=changed, contents={**found.contents, info.name: b""})


def at(path: str, kind: str = parts.CONFIG_KIND, mode: int = 0o600) -> dict[str, Any]:
    return {"name": parts.node_file(path), "source": path, "kind": kind, "mode": mode}


@pytest.mark.parametrize(
    "fields",
    [
        at("/root/.ssh/authorized_keys"),
        at("/etc/systemd/system/evil.service"),
        at("/etc/rancher/k3s/config.yaml.d/deeper/x.yaml"),
        at("/etc/rancher/k3s/config.yaml.d/x.yaml", mode=0o4755),
        at("/etc/rancher/k3s/config.yaml.d/x.yaml", kind=parts.AUTHORITY_KIND),
        at("/etc/rancher/k3s/config.yaml.d/x.yaml", kind="another"),
        at("/var/lib/rancher/k3s/server/tls/../token", kind=parts.TOKEN_KIND),
        {"name": "node/root/x", "source": "/etc/rancher/k3s/config.yaml"},
        {"name": "surprise", "kind": parts.CONFIG_KIND},
        {"name": "node/etc/passwd"},
    ],
    ids=str,
)
def test_a_part_that_elysium_does_not_write_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(errors.BundlePartError, match="cannot be used"):
        bundle_validation.check(with_part(**fields))


def test_every_part_that_elysium_writes_is_taken() -> None:
    for pattern, kind in paths.wanted({}, authorities=True).items():
        path = pattern.replace("*", "x")
        if path not in restores.FILES:
            bundle_validation.check(with_part(**at(path, kind)))
    moved = paths.wanted({"data-dir": "/data/k3s"}, authorities=True)
    for path, kind in moved.items():
        assert paths.kind_of(path.replace("*", "x"), {"data-dir": "/data/k3s"}) == kind
