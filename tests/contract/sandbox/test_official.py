"""`sandbox up` with the official releases, from a folder laid out as their hosts are."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision import config, errors
from provision.sandbox import build, lifecycle, mirror, model, node, official, outward, tryout

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("releases")
    mirror.build_into(folder, build.ensure().bin)
    (listing,) = folder.glob(f"github.com/k3s-io/k3s/*/*/{config.K3s().version}/sha256sum-*.txt")
    archive = listing.with_name(f"k3s-airgap-images-{build.goarch()}.tar.zst")
    archive.write_bytes(b"images")
    text = listing.read_text()
    listing.unlink()  # it is a link into the cache
    listing.write_text(f"{text}{hashlib.sha256(b'images').hexdigest()}  {archive.name}\n")
    return folder


@pytest.fixture(scope="module")
def box(releases: Path) -> Iterator[model.Sandbox]:
    name = "t-official"
    try:
        options = lifecycle.Options(parts="auto", releases=releases)
        yield lifecycle.up(name, options, fresh=True)
    finally:
        lifecycle.down(name)


def test_nothing_of_the_stand_ins_is_in_it(box: model.Sandbox) -> None:
    assert node.run(box.node, f"ls {node.OPT}/bin").returncode != 0
    words = {part.part for part in box.stood_in}
    assert words == {"GPU", "Azure Blob storage", "GitHub"}
    assert "k3s" in {part.part for part in box.real}
    status = lifecycle.status(box.name)
    assert status is not None and status.healthy
    assert [each.service for each in status.services] == ["node", "forge", "azure", "way out"]


def test_a_kubelet_may_set_what_it_needs(box: model.Sandbox) -> None:
    script = "test -c /dev/kmsg && cat /proc/sys/vm/overcommit_memory >/tmp/v &&"
    done = node.run(box.node, f"{script} cat /tmp/v >/proc/sys/vm/overcommit_memory")
    assert done.returncode == 0, done.stderr


def test_k3s_sees_the_controllers_that_a_kubelet_needs(box: model.Sandbox) -> None:
    """Its unit starts it by a script of the node's; the program here says what it sees."""
    at = "/sys/fs/cgroup"
    program = f"#!/bin/sh\necho $* in $(ls {at}) $(cat {at}/cgroup.controllers 2>/dev/null)\n"
    place = "cat >/usr/local/bin/k3s && chmod 755 /usr/local/bin/k3s"
    assert node.run(box.node, place, stdin=program).returncode == 0
    unit = "[Service]\nType=oneshot\nExecStart=/usr/local/bin/k3s server\n"
    start = "systemctl start k3s && journalctl -u k3s -o cat"
    said = node.run(box.node, f"cat >/run/systemd/system/k3s.service && {start}", stdin=unit)
    gone = "rm -rf /usr/local/bin/k3s /run/systemd/system/k3s.service /var/lib/rancher"
    node.run(box.node, f"{gone} && systemctl daemon-reload")
    assert "server in " in said.stdout, said
    (line,) = (line for line in said.stdout.splitlines() if line.startswith("server in "))
    assert "memory" in line.split()


def test_what_is_told_to_config_set(box: model.Sandbox, releases: Path) -> None:
    told = tryout.settings(box)
    assert told["artifacts.mirror"] == str(releases)
    assert told["k3s.airgapImages"] == "true"
    assert told["k3s.proxy.https"] == f"http://{box.host_address}:{outward.PORT}"


def test_the_node_gets_no_further_than_the_proxy_lets_it(box: model.Sandbox) -> None:
    where = f"/dev/tcp/{box.host_address}/{outward.PORT}"
    ask = f'exec 3<>{where}; printf "%s\\r\\n\\r\\n" "{{}}" >&3; head -n1 <&3'
    for line, answer in (
        ("CONNECT 127.0.0.1:22 HTTP/1.1", "403"),
        ("GET http://example.invalid/ HTTP/1.1", "403"),
        ("CONNECT no-such-host.invalid:443 HTTP/1.1", "502"),
    ):
        command = f"timeout 40 bash -c '{ask.format(line)}'"
        assert answer in node.run(box.node, command).stdout, line


def test_a_damaged_release_is_refused_before_anything_starts(
    releases: Path, tmp_path: Path
) -> None:
    (listing,) = releases.glob("downloads.rclone.org/*/SHA256SUMS")
    text = listing.read_text()
    listing.unlink()  # it is a link into the cache
    listing.write_text("0" * 64 + text[64:])
    try:
        with pytest.raises(errors.ArtifactError, match="official releases") as caught:
            official.fetch(tmp_path, releases)
    finally:
        listing.write_text(text)
    assert "--parts built" in caught.value.hint


def test_bytes_go_both_ways_and_ends_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONNECT to a server that answers when the client has said all it has to say."""

    async def upper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        await writer.drain()
        writer.close()

    async def talk() -> bytes:
        server = await asyncio.start_server(upper, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(outward, "target", lambda line: ("127.0.0.1", port))
        proxy = await outward.serve("127.0.0.1", 0)
        async with server, proxy:
            reader, writer = await asyncio.open_connection(*proxy.sockets[0].getsockname())
            writer.write(b"CONNECT anywhere:443 HTTP/1.1\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            writer.write(b"x" * 3_000_000)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            return answer

    assert asyncio.run(asyncio.wait_for(talk(), 60)) == b"X" * 3_000_000
