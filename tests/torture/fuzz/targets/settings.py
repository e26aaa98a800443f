"""What a user writes: arguments, ``Pulumi*.yaml``, addresses."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

import click

from provision import errors, gitpaths, giturls, hosts
from provision.artifacts import pins
from provision.cli import main
from provision.config_file import document, edit, paths, project, reader
from tests.support import restores
from tests.torture.fuzz.target import CANARY, Target

_FILE: Final = "Pulumi.kyrion.yaml"
_CONFIGURATION: Final = restores.CONFIGURATION.format(salt=restores.vault().salt)
_FULL: Final = f"""\
encryptionsalt: {restores.vault().salt}
config:
  elysium:nodes:
    - name: kyrion
      host: ops@192.0.2.9:22
      hostKey: SHA256:{"A" * 43}
  elysium:k3s:
    version: v1.36.4+k3s1
    disable: [traefik]
    tlsSan: [kyrion.lan]
  elysium:github:
    owner: me
    repository: homelab
    branch: main
    app: {{id: '1', installation: '2', privateKeyFile: ~/key.pem}}
  elysium:flux:
    path: clusters/kyrion
    commit: pull-request
    components: [source-controller, kustomize-controller]
  elysium:media:
    mountPoint: /srv/media
    remote: {{type: sftp, host: nas.lan, pass: {{secure: "{restores.vault().encrypt(CANARY)}"}}}}
    cacheSize: 20G
    idleTimeout: 60
  elysium:backup:
    directory: ~/backups
    keepDays: 30
    copies: [{{rclone: 'nas:backups'}}]
"""
_PROJECT: Final = b"name: elysium\nruntime: python\nbackend:\n  url: file://./.elysium/state\n"


def _read_configuration(data: bytes, folder: Path) -> object:
    (folder / _FILE).write_bytes(data)
    return reader.read(folder / _FILE, restores.vault)


def _rewrite_configuration(data: bytes, folder: Path) -> object:
    return document.render(document.parse_text(folder / _FILE, data.decode(errors="replace")))


def _set_value(data: bytes, folder: Path) -> None:
    key, _, value = data.decode(errors="replace").partition("=")
    (folder / _FILE).write_text(_CONFIGURATION)
    edit.set_value(folder / _FILE, key, value)


def _open_project(data: bytes, folder: Path) -> object:
    (folder / "Pulumi.yaml").write_bytes(data)
    return project.open_project(folder).choose(None)


def _read_arguments(data: bytes, folder: Path) -> None:
    """Read arguments as click does, and carry none of them out."""
    del folder
    words = [word.decode(errors="surrogateescape") for word in data.split(b"\0")]
    command: click.Command = main.cli
    context: click.Context | None = None
    with contextlib.suppress(click.exceptions.Exit, click.Abort):
        while True:
            context = command.make_context(command.name, words, parent=context)
            if not isinstance(command, click.Group):
                return
            words = [*context._protected_args, *context.args]
            if not words:
                return
            _, found, words = command.resolve_command(context, words)
            if found is None:
                return
            command = found


TARGETS: Final = (
    Target(
        name="configuration",
        seeds=(_CONFIGURATION.encode(), _FULL.encode()),
        read=_read_configuration,
        form="yaml",
    ),
    Target(
        name="configuration-rewritten",
        seeds=(_CONFIGURATION.encode(), b"# a\nconfig:\n  a: &x [1, 2] # b\n  b: *x\n"),
        read=_rewrite_configuration,
        form="yaml",
    ),
    Target(
        name="configuration-set",
        seeds=(
            b"nodes[0].host=192.0.2.7",
            b"elysium:k3s.version=v1.36.4+k3s1",
            b"k3s.disable=traefik,servicelb",
            b'backup.copies=[{"directory": "~/x"}]',
            b"backup.keepDays=30",
            b"media.remote={type: sftp, host: x}",
        ),
        read=_set_value,
    ),
    Target(name="project", seeds=(_PROJECT,), read=_open_project, form="yaml"),
    Target(
        name="config-key",
        seeds=(b"nodes[0].host", b"elysium:k3s.version", b'media[0].options["a.b"]'),
        read=lambda data, folder: paths.text(paths.parse(data.decode(errors="replace"))),
        documented=(errors.ConfigError,),
    ),
    Target(
        name="arguments",
        seeds=(
            b"up\0--stack\0kyrion\0--yes",
            b"init\0--host\0root@192.0.2.1:22\0--github\0me/homelab\0-C\0/tmp",
            b"backup\0--keep\x007\0--to-nowhere",
            b"backup\0verify\0file.age\0-i\0key.txt",
            b"restore\0x.age\0--dry-run\0--host\0h\0--trust-address\0a",
            b"status\0--json",
            b"config\0set\0k3s.version\0v1",
            b"secret\0seal\0x.yaml\0--scope\0strict",
            b"gitops\0cold-start\0.\0--path\0.",
            b"rotate\0deploy-key\0--yes\0--debug\0-vv",
            b"stack\0graph\0--format\0dot",
            b"kubeconfig\0--merge\0--context\0x",
            b"sandbox\0up\0--parts\0built",
            b"destroy\0--yes\0--keep-data",
        ),
        read=_read_arguments,
        documented=(click.ClickException,),
    ),
    Target(
        name="host",
        seeds=(b"root@192.0.2.1:22", b"[fe80::1%eth0]:22", b"ssh://ops@kyrion.lan:2222/"),
        read=lambda data, folder: hosts.split_host(data.decode(errors="replace")),
        documented=(ValueError,),
    ),
    Target(
        name="git-url",
        seeds=(
            b"https://github.com/me/homelab.git",
            b"git@github.com:me/homelab",
            b"ssh://git@[::1]:22/me/x?ref=a#b",
        ),
        read=lambda data, folder: giturls.parse(data.decode(errors="replace")).spelled,
    ),
    Target(
        name="git-path",
        seeds=(b"./clusters//kyrion/", b"a/../b", b".git/x"),
        read=lambda data, folder: (
            gitpaths.normal(data.decode(errors="replace")),
            gitpaths.unusable(data.decode(errors="replace")),
        ),
    ),
    Target(
        name="pins",
        seeds=(b'{"k3s/v1/amd64": {"sha256": "%s", "url": "https://x/y"}}' % (b"a" * 64),),
        read=lambda data, folder: _read_pins(data, folder),
        form="json",
    ),
)


def _read_pins(data: bytes, folder: Path) -> object:
    (folder / "pins.json").write_bytes(data)
    return pins.read(folder / "pins.json")
