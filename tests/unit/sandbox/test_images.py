"""The container images of the sandbox: what is in the archive, and which there are."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from provision import config
from provision.sandbox import build, goparts, images, mirror, ownimages


def read(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as file:
        members = file.getmembers()
        names = [member.name for member in members]
        assert len(names) == len(set(names)), "a blob is there twice"
        found = {member.name: file.extractfile(member) for member in members}
        return {name: content.read() for name, content in found.items() if content is not None}


def blob(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    algorithm, _, digest = descriptor["digest"].partition(":")
    content = files[f"blobs/{algorithm}/{digest}"]
    assert hashlib.sha256(content).hexdigest() == digest
    assert len(content) == descriptor["size"]
    return content


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF" * 1000)
    path.chmod(0o755)
    return path


def test_an_archive_has_each_image_by_its_name(tmp_path: Path, program: Path) -> None:
    one = images.Image(
        names=("docker.io/a/b:1", "docker.io/a/b:2"),
        files={"/bin/program": program},
        links={"/bin/other": "program"},
        entrypoint=("x",),
    )
    two = dataclasses.replace(one, names=("ghcr.io/c/d:3",), entrypoint=("y",), user="0:0")
    images.write(tmp_path / "one.tar", [one, two], "amd64")
    files = read(tmp_path / "one.tar")
    entries = json.loads(files["index.json"])["manifests"]
    names = [entry["annotations"]["io.containerd.image.name"] for entry in entries]
    assert names == ["docker.io/a/b:1", "docker.io/a/b:2", "ghcr.io/c/d:3"]
    layers = set[str]()
    for entry, user in zip(entries, ("65534:65534", "65534:65534", "0:0"), strict=True):
        manifest = json.loads(blob(files, entry))
        config = json.loads(blob(files, manifest["config"]))
        assert config["config"]["User"] == user
        assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
        blob(files, manifest["layers"][0])
        layers.add(manifest["layers"][0]["digest"])
    assert len(layers) == 1, "what two images have is there once"


def test_a_layer_has_its_folders_programs_and_links(tmp_path: Path, program: Path) -> None:
    images.write_layer(tmp_path / "layer.tar", {"/usr/local/bin/program": program})
    with tarfile.open(tmp_path / "layer.tar") as layer:
        modes = {member.name: oct(member.mode) for member in layer.getmembers()}
    assert modes["usr/local/bin/program"] == "0o755"
    assert modes["usr/local"] == "0o755"
    assert modes["tmp"] == "0o1777"


def test_the_same_images_make_the_same_bytes(tmp_path: Path, program: Path) -> None:
    image = images.Image(names=("a/b:1",), files={"/p": program}, entrypoint=("/p",))
    for name in ("first", "second"):
        images.write(tmp_path / name, [image], "amd64")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_the_tags_are_those_that_the_sandboxs_flux_exports() -> None:
    text = (goparts.GOLANG / "cmd/standin/internal/fluxcli/manifest.go").read_text()
    tags = dict(re.findall(r'^\t"([a-z-]+-controller)": +"(v[\d.]+)",$', text, re.M))
    assert tags == ownimages.FLUX_IMAGES


def named() -> set[str]:
    """Return the images that the node has, a placeholder's without its tag."""
    parts = build.Parts(bin=Path("/bin"), crds=Path("/nowhere"))
    names = {
        name
        for image in ownimages.of(parts, Path("/busybox"), Path("/ca.pem"))
        for name in image.names
    }
    return names | {f"docker.io/{name}" for name in ownimages.PLACEHOLDERS}


@pytest.mark.parametrize(
    "folder", ["templates/gitops", "provision/sandbox/golang/cmd/standin/internal"]
)
def test_every_image_that_the_demo_names_is_there(folder: str) -> None:
    root = Path(mirror.__file__).parents[2] / folder
    texts = [path.read_text() for path in root.rglob("*.yaml")]
    asked = {name for text in texts for name in re.findall(r"^ +image: ([\w./:-]+)$", text, re.M)}
    assert asked, folder
    there = named()
    for name in asked:
        short = name if "/" in name else f"library/{name}"
        whole = short if "." in short.split("/")[0] else f"docker.io/{short}"
        assert whole in there or whole.rsplit(":", 1)[0] in there, name


def test_the_gpus_plugin_of_elysium_is_there() -> None:
    assert f"docker.io/{config.Gpu().plugin_image}" in named()


def test_a_placeholder_is_told_its_ports() -> None:
    assert ownimages.placeholders()["plexinc/pms-docker"]["Env"] == ["PORTS=32400"]
