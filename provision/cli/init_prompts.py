"""What ``init`` asks, finds out and pins."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import click

from provision import config_file, errors
from provision.cli.terminal import Terminal
from provision.secret import Secret

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SLUG = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)/([A-Za-z0-9._-]+?)(\.git)?")


class Answers:
    """Gets an answer from an option, else from the user, else from a default."""

    def __init__(self, terminal: Terminal, *, ask: bool, environ: Mapping[str, str]) -> None:
        self.terminal = terminal
        self.asks = ask
        self.environ = environ
        self.media_key: Secret | None = None
        self._missing: list[str] = []

    def text(self, given: str | None, option: str, question: str, default: str | None) -> str:
        """Return a text. Without a default and nobody to ask it is noted as missing."""
        if given is not None:
            return given.strip()
        if self.asks:
            return self.terminal.ask(question, default=default)
        if default is None:
            self._missing.append(option)
            return ""
        return default

    def yes(self, question: str, *, default: bool) -> bool:
        """Return an answer to a yes-or-no question; False when nobody is asked."""
        return self.asks and self.terminal.confirm(question, default=default)

    def complete(self) -> None:
        """Raise a usage error that names every option that would have been needed."""
        if self._missing:
            raise click.UsageError(f"with --yes, these are needed: {', '.join(self._missing)}")


def collect(
    answers: Answers,
    root: Path,
    *,
    cluster: str | None,
    host: str | None,
    user: str | None,
    port: int | None,
    identity_file: str | None,
    host_key: str | None,
    github: str | None,
    branch: str | None,
    media: str | None,
    gpu: bool | None,
    flux_auth: str,
) -> config_file.NewStack:
    """Return what to write. Raises `click.UsageError` and `errors.ElysiumError`."""
    name = answers.text(cluster, "--cluster", "What to call the cluster", None)
    address = answers.text(host, "--host", "The node's name or address", None)
    slug = answers.text(github, "--github", "The GitOps repository (owner/name)", _origin(root))
    answers.complete()
    _check_name(name, root)
    owner, repository = _parse_slug(slug)
    address, user, port = split(address, user, port)
    known = _known(address)
    user_default, port_default = known.get("user", "root"), int(known.get("port", "22"))
    login = answers.text(user, "--user", "Who logs in (root, or who may use sudo)", user_default)
    number = port_default
    if port is not None:
        number = port
    elif answers.asks:
        number = int(
            click.prompt(
                "Its SSH port", default=port_default, type=click.IntRange(1, 65535), err=True
            )
        )
    key_file = identity_file
    if key_file is None and answers.asks and "identityFile" not in known:
        default = "~/.ssh/id_ed25519" if Path("~/.ssh/id_ed25519").expanduser().exists() else ""
        key_file = answers.text(None, "", "Private key file (empty: SSH agent)", default)
    pinned = host_key if host_key is not None else _scan(answers, address, number)
    return config_file.NewStack(
        cluster=name,
        host=address,
        # What the SSH client configuration says stays there, and follows it.
        user="" if "user" in known and login == user_default else login,
        port=0 if "port" in known and number == port_default else number,
        identity_file=key_file or "",
        host_key=checked_key(pinned),
        owner=owner,
        repository=repository,
        branch=branch or "main",
        stack_id=config_file.make_stack_id(),
        flux_auth=flux_auth,
        gpu=gpu
        if gpu is not None
        else answers.yes("Is there an Intel GPU to set up?", default=False),
        media=_media(answers, media),
    )


def with_secrets(
    root: Path, new: config_file.NewStack, media_key: Secret | None, environ: Mapping[str, str]
) -> tuple[config_file.NewStack, Path | None]:
    """Return `new` with salt and encrypted values, and where the passphrase was kept.

    The environment's passphrase is used if there is one; then nothing is kept.
    """
    from provision import crypter

    kept: Path | None = None
    if "PULUMI_CONFIG_PASSPHRASE" in environ or environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        passphrase = config_file.find_passphrase(root, new.cluster, environ)
    else:
        passphrase, kept = config_file.create_passphrase(root, new.cluster)
    made = crypter.PassphraseCrypter.new(passphrase)
    media = new.media
    if media is not None and media_key is not None:
        media = dataclasses.replace(media, key=made.encrypt(media_key.reveal()))
    return dataclasses.replace(new, salt=made.salt, media=media), kept


def split(host: str, user: str | None, port: int | None) -> tuple[str, str | None, int | None]:
    """Split ``user@host:port``; `user` and `port` are options. Raises `click.UsageError`."""
    from provision import config

    try:
        parts = config.split_host(host)
    except ValueError as error:
        raise click.UsageError(f"--host: {error}") from error
    for name, given, said in (("--user", user, parts.user), ("--port", port, parts.port)):
        if given is not None and said and str(given) != str(said):
            raise click.UsageError(
                f"--host {host} says {said}, and {name} says {given}: leave one of them out"
            )
    return parts.host, parts.user or user, parts.port or port


def _known(host: str) -> dict[str, str]:
    """Return what the SSH client configuration says of `host`: user, port, identityFile."""
    from provision import config
    from provision.host import reach

    route = reach.route(config.SshLogin(host=host))
    values = {"user": route.user, "port": str(route.port), "identityFile": "yes"}
    return {
        key: value
        for key, value in values.items()
        if route.sources.get(key, reach.DEFAULT) != reach.DEFAULT
    }


def _check_name(name: str, root: Path) -> None:
    if not _NAME.fullmatch(name):
        raise click.UsageError(
            f"{name!r} is no cluster's name: lower-case letters, digits and hyphens are expected"
        )
    if (root / f"Pulumi.{name}.yaml").exists():
        raise errors.ConfigError(
            f"Pulumi.{name}.yaml is in {root} already",
            [],
            hint="change it with elysium config set, or with an editor",
        )


def _parse_slug(slug: str) -> tuple[str, str]:
    match = _SLUG.fullmatch(slug)
    if match is None:
        raise click.UsageError(f"{slug!r} is no repository: OWNER/REPO is expected")
    return match[1], match[2]


def _origin(root: Path) -> str | None:
    """Return owner/name of the folder's own GitHub remote, if it has one."""
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "config", "--get", "remote.origin.url"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r"github\.com[:/]([^/\s]+/[^/\s]+?)(\.git)?\s*$", found.stdout)
    return match[1] if match else None


def _scan(answers: Answers, host: str, port: int) -> str:
    """Show the host key that `host` shows now and return it, if the user takes it for right."""
    from provision.host import transport

    terminal = answers.terminal
    terminal.say(f"Asking {host} for its host key …")
    try:
        shown = transport.scan_host_key(host, port)
    except errors.RemoteError as error:
        if not answers.asks:
            raise
        terminal.warn(error.summary)
        if not answers.yes("Go on without pinning its key?", default=False):
            raise
        return ""
    terminal.say(f"{host} shows the host key\n  {shown.type} {shown.fingerprint}")
    if not answers.asks:
        terminal.say("It is pinned as shown (--yes); --host-key pins one you know.")
        return shown.line
    terminal.say(
        "To compare, on the node itself:\n"
        "  for key in /etc/ssh/ssh_host_*.pub; do ssh-keygen -lf $key; done"
    )
    if not answers.yes("Is this the right machine?", default=False):
        raise click.Abort
    return shown.line


def checked_key(text: str) -> str:
    """Return a host key or fingerprint that can be pinned. Raises `click.UsageError`."""
    if not text:
        return ""
    from provision.host import hostkey

    try:
        hostkey.parse_pin(text)
    except ValueError as error:
        raise click.UsageError(f"--host-key: {error}") from error
    return text.strip()


def _media(answers: Answers, given: str | None) -> config_file.AzureMedia | None:
    if given is None:
        if not answers.yes("Is there a media library in Azure Blob to mount?", default=False):
            return None
        given = answers.text(None, "--media", "Storage account/container[/path]", None)
    account, _, path = given.strip().partition("/")
    if not account or not path.strip("/"):
        raise click.UsageError(f"--media: {given!r} is not ACCOUNT/CONTAINER[/PATH]")
    key = answers.environ.get("AZURE_STORAGE_KEY", "")
    if not key and answers.asks:
        key = answers.terminal.ask("The storage account's key (not shown)", secret=True)
    if key:
        answers.media_key = Secret(key)
        answers.terminal.keep_secret([answers.media_key])
    return config_file.AzureMedia(account=account, path=path.strip("/"))
