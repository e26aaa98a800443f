"""The addresses, local files and settings that a bundle's configuration names. Pure.

Whoever has a recipient's public key can write a valid bundle, so a bundle
proves nothing about who made it. Its configuration says where the GitHub token
is sent, which private key files are read, where later backups go, who can open
them, and how many are kept. Each such value is trusted only if it is GitHub's
own, if the configuration in the user's folder has the same one, or if the user
confirms or names it.

The user gives the address of the new node, so that one is never listed.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

import yaml

from provision import config, safeyaml
from provision.config_file import document
from provision.recovery.bundle import paths, signature
from provision.secret import Secret

GITHUB: Final = "https://api.github.com"
_GITHUB_SSH: Final = ("github.com:22", "ssh.github.com:443")
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?:[^/?#@\s\\]*@)?"
    r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?P<port>:\d+)?(?P<path>/[^?#\s\\]*)?"
    r"(?:[?#][^\s\\]*)?"
)
_RCLONE: Final = re.compile(
    r"(^|_)(host|endpoint|ur[il]|server|address|prox(y|ies)|remote|upstreams?|namenode|site|"
    r"file|path|dir|command|ssh)$"
)
"""Options of rclone that hold an address, a file or a command."""
_K3S: Final = (
    "server",
    "datastore-endpoint",
    "etcd-s3-endpoint",
    "etcd-s3-proxy",
    "system-default-registry",
)
"""Options of k3s that hold an address, also one without ``scheme://``."""
_FILES_IN_KUBECONFIG: Final = (
    "tokenFile",
    "client-certificate",
    "client-key",
    "certificate-authority",
    "exec",
    "auth-provider",
    "proxy-url",
)
_DRILL: Final = ("github", "flux", "k3s", "secretsprovider", "environment")
"""Sections that a drill reads; it replaces node, media library, backup and downloads."""

_AUTHORITY: Final = "whoever it certifies can pose as the forge that the GitHub token is sent to"
_NODE: Final = "the node contacts it"

Kind = Literal["address", "file", "setting"]


@dataclass(frozen=True, kw_only=True)
class Named:
    """One value that the configuration in a bundle names.

    `key` is its place in the configuration, `value` the value as people read
    it, without credentials; `use` says what happens with it. Without an
    `optional` one the work can go on. `at` is the host that a value is only
    for: who names an address there confirms the value.
    """

    key: str
    value: str
    use: str
    kind: Kind = "address"
    optional: bool = False
    at: str = ""

    @property
    def host(self) -> str:
        """The host in an address; empty for a file, and for what is not clear."""
        return host_of(self.value) if self.kind == "address" else ""


def named(cfg: config.Config, given: Collection[str] = ()) -> tuple[Named, ...]:
    """Return every address, local file and setting in `cfg` to be confirmed, each once.

    `given` are keys that the user set on the command line (``github.tokenFile``,
    ``nodes.identityFile``).
    """
    found = [
        *_github(cfg.github),
        *_nodes(cfg.server),
        *_artifacts(cfg),
        *_backup(cfg.backup),
        *_in_cluster(cfg),
    ]
    known = {each.key for each in found}
    found += (each for each in _others(cfg) if each.key not in known)
    return tuple(dict.fromkeys(each for each in found if each.key not in given))


def of_file(text: str) -> tuple[Named, ...]:
    """Return what a stack file says outside ``config``: another provider of secrets.

    Raises `errors.ConfigError` for what is no such file.
    """
    data: Mapping[str, Any] = document.parse_text(Path("Pulumi.yaml"), text).data
    found: list[Named] = []
    provider = data.get("secretsprovider") or "passphrase"
    if provider not in ("passphrase", "default"):
        use = "it decrypts the stack's secrets"
        found.append(Named(key="secretsprovider", value=_plain(provider), use=use))
    if data.get("environment"):
        use = "it adds to the configuration"
        found.append(Named(key="environment", value=_plain(data["environment"]), use=use))
    return tuple(found)


def on_node(members: Iterable[paths.Member]) -> tuple[Named, ...]:
    """Return the files of ``backup.paths`` that a restore puts outside k3s' folders."""
    places = (
        "/" + each.header.name.removeprefix("./") for each in members if not each.header.isdir()
    )
    use = "it is put on the new node"
    return tuple(
        Named(key="backup.paths", value=_shown(place), use=use, kind="file")
        for place in places
        if not paths.is_of_k3s(place)
    )


def old_cluster(kubeconfig: str) -> Named | None:
    """Return the API server in the state's kubeconfig; None where it must not be asked.

    A kubeconfig that names files, commands or a proxy is not one that elysium
    writes.
    """
    try:
        data: Any = safeyaml.load(kubeconfig)
        clusters, users = data.get("clusters") or [], data.get("users") or []
        parts = [each.get("cluster") or {} for each in clusters]
        logins = [each.get("user") or {} for each in users]
        (server,) = {each["server"] for each in parts}
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
        return None
    if any(each.get(key) for each in (*parts, *logins) for key in _FILES_IN_KUBECONFIG):
        return None
    if not isinstance(server, str):
        return None
    use = "it is asked whether the old cluster still runs"
    return Named(key="the state's kubeconfig", value=_shown(server), use=use, optional=True)


def used_in_drill(found: Iterable[Named]) -> tuple[Named, ...]:
    """Return those of `found` that a drill contacts or reads."""
    return tuple(each for each in found if each.key.partition(".")[0] in _DRILL)


def untrusted(
    found: Iterable[Named],
    *,
    trusted: Collection[str] = (),
    here: Collection[Named] = (),
    hosts: Collection[str] = (),
) -> tuple[Named, ...]:
    """Return those of `found` that the user has to confirm.

    `trusted` are the values that the user named, `here` what the configuration
    in the user's folder names, `hosts` the hosts of its node and of the new one.
    A named URL covers SSH at the same host.
    """
    trusted = tuple(filter(None, trusted))  # an empty one would be the current folder
    known = {(each.key, each.value) for each in here}
    named_hosts = {host for host in map(host_of, trusted) if host}
    plain = {_normal(each) for each in trusted}

    def is_trusted(each: Named) -> bool:
        if (each.key, each.value) in known or _normal(each.value) in plain:
            return True
        if each.key == "backup.paths":  # a named folder covers the files in it
            folders = (*trusted, *(one.value for one in here if one.key == each.key))
            return any(each.value.startswith(f"{one.rstrip('/')}/") for one in folders if one)
        if each.at and each.at in named_hosts:
            return True
        if each.kind == "setting":
            return False
        if each.kind == "file":
            return _path(each.value) in {_path(one) for one in trusted}
        if each.key == "github.sshHost":
            return each.value in _GITHUB_SSH or each.host in named_hosts
        if each.optional or each.key == "nodes.address":
            return each.host in named_hosts or bool(each.host and each.host in hosts)
        return each.key == "github.baseUrl" and each.value.rstrip("/") == GITHUB

    return tuple(each for each in found if not is_trusted(each))


def host_of(value: str) -> str:
    """Return the host in ``scheme://host…``, ``host:port`` or ``host``; empty where unclear."""
    match = _URL.fullmatch(value if "://" in value else f"ssh://{value}")
    return match["host"].strip("[]").lower() if match else ""


def _github(cfg: config.GitHub) -> Iterable[Named]:
    clear = "" if cfg.base_url.lower().startswith("https:") else ", unencrypted"
    yield Named(
        key="github.baseUrl",
        value=_shown(cfg.base_url),
        use=f"the GitHub token is sent there{clear}",
    )
    yield Named(
        key="github.sshHost",
        value=_ssh(cfg.ssh_host, cfg.ssh_port),
        use="Flux fetches the repository there",
    )
    for authority in _file("github.caFile", cfg.ca_file, _AUTHORITY):
        yield dataclasses.replace(authority, at=host_of(cfg.base_url))
    for line in cfg.git_host_keys:
        yield Named(
            key="github.gitHostKeys",
            value=_public(line),
            use="who has this key can pose as the git server that Flux fetches from",
            kind="setting",
            at=cfg.ssh_host.lower(),
        )
    yield from _file("github.tokenFile", cfg.token_file, "its content is sent as the GitHub token")
    if cfg.app is not None:
        use = "it is read as the GitHub App's private key"
        yield from _file("github.app.privateKeyFile", cfg.app.private_key_file, use)


def _nodes(node: config.Node) -> Iterable[Named]:
    yield from _file(
        "nodes.identityFile", node.identity_file, "it is read as the private key for the node"
    )
    yield from _ssh_config("nodes.sshConfig", node)
    if node.address:
        use = "the API of the new cluster is looked for there"
        yield Named(key="nodes.address", value=_shown(node.address), use=use)
    if node.jump is not None:
        yield from _login("nodes.jump", node.jump, "SSH connections go through it")


def _login(key: str, login: config.SshLogin, use: str) -> Iterable[Named]:
    yield Named(key=f"{key}.host", value=_ssh(login.host, login.port), use=use)
    yield from _file(
        f"{key}.identityFile", login.identity_file, "it is read as the private key for that host"
    )
    yield from _ssh_config(f"{key}.sshConfig", login)


def _ssh_config(key: str, login: config.SshLogin) -> Iterable[Named]:
    if login.ssh_config != "none":
        yield from _file(key, login.ssh_config, "it says how the host is reached by SSH")


def _artifacts(cfg: config.Config) -> Iterable[Named]:
    artifacts, flux = cfg.artifacts, cfg.flux
    if artifacts.mirror:
        kind: Kind = "address" if "://" in artifacts.mirror else "file"
        use = "the programs that the node runs come from there"
        yield Named(key="artifacts.mirror", value=_shown(artifacts.mirror), use=use, kind=kind)
    yield from _file("artifacts.pins", artifacts.pins, "checksums are read from and written to it")
    if flux.auth == "token" and not (flux.token or flux.token_file or cfg.github.token):
        use = "the GitHub token of this computer is stored in the new cluster"
        yield Named(key="flux.auth", value="flux.auth=token", use=use, kind="setting")
    app = cfg.github.app
    if flux.auth == "app" and not (app and (app.private_key or app.private_key_file)):
        use = "the GitHub App's private key of this computer is stored in the new cluster"
        yield Named(key="flux.auth", value="flux.auth=app", use=use, kind="setting")
    yield from _file("flux.tokenFile", flux.token_file, "its content is the token of Flux")
    yield from _file("flux.manifests", flux.manifests, "its content goes into the repository")
    yield from _file("flux.crds", flux.crds, "the definitions in it go into the cluster")


def _backup(backup: config.Backup) -> Iterable[Named]:
    folder = PurePosixPath(backup.directory)
    if folder.is_absolute() or ".." in folder.parts or backup.directory.startswith("~"):
        yield from _file("backup.directory", backup.directory, "later backups go there")
    for number, copy in enumerate(backup.copies):
        key, use = f"backup.copies[{number}]", "copies of later backups go there"
        yield from _file(f"{key}.directory", copy.directory, use)
        if copy.rclone:
            yield Named(key=f"{key}.rclone", value=_shown(copy.rclone), use=use)
        if copy.ssh is not None:
            yield from _login(f"{key}.ssh", copy.ssh, use)
    for line in backup.recipients:
        use = "who has its private key can open later backups"
        yield Named(key="backup.recipients", value=_public(line), use=use, kind="setting")
    for line in backup.verify_keys:
        use = "later backups count as yours when this key signed them"
        yield Named(key="backup.verifyKeys", value=_signer(line), use=use, kind="setting")
    if backup.signing_key:
        use = "later backups are signed with it"
        yield Named(
            key="backup.signingKey",
            value=_shown(backup.signing_key),
            use=use,
            kind="file" if len(backup.signing_key.split()) == 1 else "setting",
        )
    usual = config.Backup()
    if backup.keep < usual.keep:
        yield _removing("backup.keep", backup.keep)
    if backup.keep_days:
        yield _removing("backup.keepDays", backup.keep_days)


def _signer(line: str) -> str:
    """Return the fingerprint of a key that signs; the line where it is no key."""
    try:
        (found,) = signature.fingerprints([line])
    except ValueError:
        return _shown(line)
    return found


def _public(line: str) -> str:
    """Return a public key without the comment behind it."""
    return _shown(" ".join(line.split()[:2]))


def _removing(key: str, number: int) -> Named:
    use = "the next backup removes older ones by it"
    return Named(key=key, value=f"{key}={number}", use=use, kind="setting")


def _in_cluster(cfg: config.Config) -> Iterable[Named]:
    """Return what the node contacts, where the value alone does not look like an address."""
    use = "the node sends its requests through it"
    for name in ("http", "https"):
        value = getattr(cfg.k3s.proxy, name)
        if value:
            yield Named(key=f"k3s.proxy.{name}", value=_shown(value), use=use)
    for name, value in cfg.k3s.options.items():
        if name in _K3S and value and "://" not in str(value):
            yield Named(key=f"k3s.options.{name}", value=_shown(str(value)), use=_NODE)
    if cfg.gpu is not None:
        registry = cfg.gpu.plugin_image.partition("/")[0]
        if "/" in cfg.gpu.plugin_image and ("." in registry or ":" in registry):
            use = "the node downloads the GPU plugin there"
            yield Named(key="gpu.pluginImage", value=_shown(cfg.gpu.plugin_image), use=use)
    remote = cfg.media.remote if cfg.media is not None else {}
    for name, value in remote.items():
        if not _RCLONE.search(name) or isinstance(value, bool) or not value:
            continue
        key, use = f"media.remote.{name}", "the node reads the media library there"
        yield Named(key=key, value=_printed(key, value), use=use)


def _others(cfg: config.Config) -> Iterable[Named]:
    """Return every other value with an address in it, wherever it stands."""
    sections = {name.lower(): body for name, body in cfg.model_dump(by_alias=True).items()}
    for key, value in _leaves(sections):  # pydantic's alias of k3s is k3S
        text = value.reveal() if isinstance(value, Secret) else value
        if isinstance(text, str) and "://" in text:
            yield Named(key=key, value=_printed(key, value), use=_NODE)


def _leaves(value: Any, key: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{key}[{number}]")
    else:
        yield key, value


def _file(key: str, path: str, use: str) -> Iterable[Named]:
    if path:
        yield Named(key=key, value=_shown(path), use=use, kind="file")


def _ssh(host: str, port: int) -> str:
    return _shown(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def _shown(text: str) -> str:
    """Return `text` without user and query of an address; control characters are escaped."""
    match = _URL.fullmatch(text)
    if match:
        text = f"{match['scheme']}://{match['host']}{match['port'] or ''}{match['path'] or ''}"
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _plain(value: object) -> str:
    return _shown(value) if isinstance(value, str) else "a structure"


def _printed(key: str, value: object) -> str:
    """Return what may be shown of a value: of an encrypted one, scheme and host at most."""
    if not isinstance(value, Secret):
        return _shown(str(value))
    match = _URL.fullmatch(value.reveal())
    if not match:
        return f"{key} (encrypted)"
    return f"{match['scheme']}://{match['host']}{match['port'] or ''}"


def _normal(value: str) -> str:
    match = _URL.fullmatch(value)
    if not match:
        return value
    return _shown(value).rstrip("/").replace(match["host"], match["host"].lower(), 1)


def _path(value: str) -> str:
    return str(Path(value.removeprefix("file://")).expanduser().absolute())
