"""What OpenSSH's files, the node and a git server say."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

from provision import hostkeys
from provision.host import certificates, collect, facts, gitwire, known_hosts, parse
from provision.host.sshconfig import lines, reading
from provision.provider.media import existing as media_existing
from tests.torture.fuzz.target import Target

_KEY: Final = b"AAAAC3NzaC1lZDI1NTE5AAAAI" + b"A" * 43
_LINE: Final = b"ssh-ed25519 " + _KEY
_CONFIG: Final = b"""\
Include other
Host node kyrion.lan !x
  HostName %h.example.org
  Port 2222
  User "o p"
  IdentityFile ~/.ssh/%h-%r
  ProxyJump ops@gw:22,second
  UserKnownHostsFile /k1 ~/k2
Match host x,y user z exec "no"
  Port 22
Match final all
  HostKeyAlias other
  IdentityAgent $SOCK
  CertificateFile ${HOME}/c
CanonicalizeHostname yes
Host *
  ServerAliveInterval 30
"""
_FIELDS: Final = (
    *(collect.MARK, "date", "1000.5", "uname", "kyrion\nx86_64\n", "systemd", "1", "cgroup2", "1"),
    "pseudo",
    "/etc/os-release:ID=debian\n/proc/1/comm:systemd\n/proc/filesystems:\text4\n"
    "/proc/net/route:eth0\t00000000\t0101A8C0\t0003\n/proc/meminfo:MemTotal:  3884136 kB\n"
    "/sys/fs/cgroup/cgroup.controllers:cpuset cpu io\n/proc/cgroups:memory\t0\t70\t0\n",
    *("units", "Id=k3s.service\nLoadState=loaded\nActiveState=active\nSubState=running\n"),
    *("ports", "0A00:1F90 0A\n", "disks", "Avail\n1000\n", "command", "sh", "/bin/sh"),
    *("snippet", "x", "out", "file", "/etc/x", "stat", "81a4 0 0 5 1000\n"),
    *("hashes", "a" * 64 + "  /etc/x\n"),
)
_OUTPUT: Final = b"".join(field.encode() + b"\0" for field in _FIELDS) + b"end\0"
_REQUEST: Final = facts.FactRequest(
    files=frozenset({"/etc/x"}),
    contents=frozenset({"/etc/x"}),
    units=frozenset({"k3s.service"}),
    mounts=frozenset({"/srv"}),
    commands=frozenset({"sh"}),
    ports=frozenset({8080}),
    disks=frozenset({"/"}),
)
_OID: Final = b"c0" * 20


def _packet(payload: bytes) -> bytes:
    return b"%04x%b" % (len(payload) + 4, payload)


def _read_ssh_config(data: bytes, folder: Path) -> object:
    (folder / "config").write_bytes(data)
    (folder / "other").write_bytes(b"Host kyrion.lan\n Port 5\n")
    files = reading.SystemFiles(
        home=folder, user=folder / "config", system=None, checked=False, local_user="me", environ={}
    )
    found = reading.read("node", files)
    jumps = found.get("proxyjump")
    return found.user, found.port, found.paths("identityfile"), jumps


def _read_known_hosts(data: bytes, folder: Path) -> object:
    path = folder / "known_hosts"
    path.write_bytes(data)
    found = known_hosts.trusted([path], ("kyrion.lan", "[192.0.2.1]:2222"))
    return found.types, found.fingerprints


def _read_advertisement(data: bytes, folder: Path) -> object:
    lines_ = gitwire.Lines(io.BytesIO(data).read)
    offered = gitwire.read_advertisement(lines_)
    gitwire.read_shallow(lines_, offered.capabilities)
    return gitwire.receive_pack(lines_, offered.capabilities)


TARGETS: Final = (
    Target(
        name="ssh-config",
        seeds=(_CONFIG,),
        read=_read_ssh_config,
        documented=(lines.BrokenError,),
    ),
    Target(
        name="known-hosts",
        seeds=(
            b"kyrion.lan,192.0.2.1 " + _LINE + b" a comment\n",
            b"@revoked * " + _LINE + b"\n@cert-authority *.lan " + _LINE + b"\n# x\n",
            b"|1|" + b"A" * 27 + b"=|" + b"B" * 27 + b"= " + _LINE + b"\n",
            b"[192.0.2.1]:2222 ecdsa-sha2-nistp256 " + _KEY + b"\n",
        ),
        read=_read_known_hosts,
    ),
    Target(
        name="host-key-pins",
        seeds=(b"SHA256:" + b"A" * 43, _LINE, b"kyrion " + _LINE + b"\nSHA256:" + b"B" * 43),
        read=lambda data, folder: hostkeys.parse_pins(data.decode(errors="replace")),
        documented=(ValueError,),
    ),
    Target(
        name="certificate",
        seeds=(
            b"\0\0\0\x20ssh-ed25519-cert-v01@openssh.com\0\0\0\x04nonc\0\0\0\x20" + b"k" * 32,
            b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + b"k" * 32,
        ),
        read=lambda data, folder: certificates.parse(data),
    ),
    Target(
        name="facts",
        seeds=(_OUTPUT, _OUTPUT[:-4] + b"contents\0hello\0end\0"),
        read=lambda data, folder: parse.parse(data, _REQUEST, sent=1000, received=1001),
        documented=(parse.UnreadableFacts, parse.LackingTools),
    ),
    Target(
        name="git-wire",
        seeds=(
            _packet(_OID + b" HEAD\0multi_ack side-band-64k shallow agent=git/2\n")
            + _packet(_OID + b" refs/heads/main\n")
            + b"0000"
            + _packet(b"shallow " + _OID)
            + b"0000"
            + _packet(b"NAK\n")
            + _packet(b"\x02working")
            + _packet(b"\x01PACK\0\0\0\x02\0\0\0\x01" + b"x" * 20)
            + b"0000",
            _packet(b"ERR not found"),
        ),
        read=_read_advertisement,
        documented=(gitwire.WireError,),
    ),
    Target(
        name="mount-units",
        seeds=(
            b"[Mount]\nType=rclone\nWhat=nas:media\nWhere=/srv\nOptions=config=/r.conf,ro,x=1\n"
            b"\0[Automount]\nTimeoutIdleSec=600\n\0rclone v1.70.1\n\n[nas]\ntype = sftp\n",
        ),
        read=lambda data, folder: _read_mount(data),
    ),
)


def _read_mount(data: bytes) -> object:
    mount, automount, about = (*data.decode(errors="replace").split("\0"), "", "")[:3]
    return media_existing.parse(mount, automount, about)
