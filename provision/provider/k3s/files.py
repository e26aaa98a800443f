"""What a k3s server has on its node: paths, and the content of each file. Pure.

Facts: k3s' documentation (installation/configuration, advanced, cli/server)
and what its install script writes. ``config.yaml`` is ours; files in
``config.yaml.d`` are the user's, and later settings win over ours there.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provision.provider import node_files, node_templates
from provision.provider.k3s import binaries, folders, network

BINARY = f"{binaries.DEFAULT}/k3s"
"""Where k3s is unless `Places.programs` is another folder."""
CONFIG = "/etc/rancher/k3s/config.yaml"
CONFIG_BACKUP = f"{CONFIG}.before-elysium"
DROP_INS = f"{CONFIG}.d"
REGISTRIES = "/etc/rancher/k3s/registries.yaml"
UNIT_NAME = "k3s.service"
UNIT = f"/etc/systemd/system/{UNIT_NAME}"
ENV = f"{UNIT}.env"
STARTED = "/run/elysium/k3s.started"
KILLALL = f"{binaries.DEFAULT}/k3s-killall.sh"
UNINSTALL = f"{binaries.DEFAULT}/k3s-uninstall.sh"
LINKS = ("kubectl", "crictl", "ctr")
HEADER = "# Written by elysium;"

OWN_OPTIONS = {
    "tls-san": "k3s.tlsSan",
    "disable": "k3s.disable",
    "secrets-encryption": "k3s.secretsEncryption",
    "cluster-init": "k3s.datastore",
}
"""Options that have a place of their own in the configuration."""

SECRET_OPTIONS = (
    "token",
    "agent-token",
    "datastore-endpoint",
    "etcd-s3-access-key",
    "etcd-s3-secret-key",
    "etcd-s3-session-token",
    "vpn-auth",
)
_SECRET_LINE = re.compile(rf"^(\s*(?:{'|'.join(SECRET_OPTIONS)})\s*:).+$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Paths that k3s' own options can move."""

    data: str
    storage: str
    kubeconfig: str
    kubelet: str = folders.KUBELET
    programs: str = binaries.DEFAULT

    @property
    def binary(self) -> str:
        """The program k3s."""
        return f"{self.programs}/k3s"

    @property
    def killall(self) -> str:
        """The script that stops k3s with all containers."""
        return f"{self.programs}/k3s-killall.sh"

    @property
    def uninstall(self) -> str:
        """The script that takes k3s off the node."""
        return f"{self.programs}/k3s-uninstall.sh"

    def link(self, name: str) -> str:
        """Return the path of the link `name` to k3s."""
        return f"{self.programs}/{name}"

    def within(self, name: str) -> str:
        """Return a path in the data folder, which may be ``/``."""
        return f"{self.data.rstrip('/')}/{name}"

    @property
    def token(self) -> str:
        """The server token."""
        return self.within("server/token")

    @property
    def token_before(self) -> str:
        """The server token that a rotation replaces, until the new one is verified."""
        return self.within("server/elysium-token-before")

    @property
    def client_authority(self) -> str:
        """What signs client certificates; a bundle while another takes its place."""
        return self.within("server/tls/client-ca.crt")

    @property
    def encryption(self) -> str:
        """There when Secrets are encrypted in the datastore."""
        return self.within("server/cred/encryption-config.json")

    @property
    def databases(self) -> tuple[str, str]:
        """What only SQLite, and only etcd, has on the disk (`k3s.datastore`)."""
        return self.within("server/db/state.db"), self.within("server/db/etcd/member")


def places(inputs: Mapping[str, Any]) -> Places:
    """Return where this server keeps its things."""
    options = inputs.get("options") or {}
    data = folders.normal(str(options.get("data-dir") or folders.DATA))
    storage = str(options.get("default-local-storage-path") or "")
    return Places(
        data=data,
        storage=folders.normal(storage or f"{data}/storage"),
        kubeconfig=str(options.get("write-kubeconfig") or "/etc/rancher/k3s/k3s.yaml"),
        kubelet=folders.kubelet_root(options.get("kubelet-arg")),
        programs=str(inputs.get(binaries.INPUT) or binaries.DEFAULT),
    )


def wanted_files(inputs: Mapping[str, Any], *, encrypt: bool) -> tuple[node_files.WantedFile, ...]:
    """Return every file of the server but the binary.

    `encrypt` is whether Secrets are encrypted, which an existing datastore decides.
    """
    places_ = places(inputs)
    found = [
        node_files.WantedFile(
            path=CONFIG, content=render_config(inputs, encrypt=encrypt), mode=0o600, redact=redact
        ),
        node_files.WantedFile(
            path=ENV, content=render_environment(inputs), mode=0o600, secret=True
        ),
        node_files.WantedFile(path=UNIT, content=render_unit(places_), mode=0o644),
        node_files.WantedFile(path=places_.killall, content=render_killall(places_), mode=0o755),
        node_files.WantedFile(
            path=places_.uninstall, content=render_uninstall(places_), mode=0o755
        ),
    ]
    if inputs.get("registries"):
        content = json.dumps(inputs["registries"], indent=2, sort_keys=True, ensure_ascii=False)
        text = f"{HEADER} changes are undone by the next 'elysium up'.\n{content}\n"
        found.insert(
            1,
            node_files.WantedFile(path=REGISTRIES, content=text.encode(), mode=0o600, secret=True),
        )
    return tuple(found)


def settings(inputs: Mapping[str, Any], *, encrypt: bool) -> dict[str, Any]:
    """Return the k3s options that ``config.yaml`` holds."""
    names = [*inputs.get("tlsSan", ()), inputs.get("address", "")]
    chosen: dict[str, Any] = {
        "cluster-init": True if inputs.get("datastore") == "etcd" else None,
        "disable": list(inputs.get("disable", ())) or None,
        # Not the host's name, which a rebuilt machine may not have again.
        "node-name": inputs["node"],
        "secrets-encryption": True if encrypt else None,
        # The address in the kubeconfig must be one that the certificate names.
        "tls-san": list(dict.fromkeys(filter(None, names))) or None,
    }
    chosen |= dict(inputs.get("options") or {})
    return {key: value for key, value in sorted(chosen.items()) if value is not None}


def render_config(inputs: Mapping[str, Any], *, encrypt: bool) -> bytes:
    """Return ``config.yaml``."""
    lines = list(settings(inputs, encrypt=encrypt).items())
    return node_templates.render("k3s-config.yaml", settings=lines, dropins=DROP_INS).encode()


def render_environment(inputs: Mapping[str, Any]) -> bytes:
    """Return the unit's environment file: the proxy, or nothing but its heading."""
    proxy = inputs.get("proxy") or {}
    pairs = (("HTTP_PROXY", "http"), ("HTTPS_PROXY", "https"), ("NO_PROXY", "noProxy"))
    variables = [
        (name, str(proxy[key]).replace("\\", "\\\\").replace('"', '\\"'))
        for name, key in pairs
        if proxy.get(key)
    ]
    return node_templates.render("k3s.env", variables=variables).encode()


@functools.cache
def render_unit(at: Places) -> bytes:
    """Return the systemd unit."""
    return node_templates.render(
        "k3s.service",
        env=ENV,
        binary=at.binary,
        started=STARTED,
        watched=(
            at.binary,
            CONFIG,
            f"{DROP_INS}/*.yaml",
            f"{DROP_INS}/*.yml",
            REGISTRIES,
            UNIT,
            ENV,
        ),
    ).encode()


@functools.cache
def render_killall(at: Places) -> bytes:
    """Return the script that stops k3s with all containers."""
    return node_templates.render(
        "k3s-killall.sh",
        data_dir=at.data,
        kubelet_dir=at.kubelet,
        mounts=node_templates.render("mounts.sh"),
        network=network.render_removal().rstrip("\n"),
        remove_tree=node_templates.render("remove-tree.sh"),
    ).encode()


@functools.cache
def render_uninstall(at: Places) -> bytes:
    """Return the script that takes k3s off the node."""
    return node_templates.render(
        "k3s-uninstall.sh",
        data_dir=at.data,
        storage_dir=at.storage,
        kubelet_dir=at.kubelet,
        storage_parent=at.storage.rpartition("/")[0] or "/",
        storage_inside=folders.inside(at.storage, at.data),
        system=folders.is_system(at.data),
        inner=[at.within(name) for name in folders.INNER],
        inner_names=list(folders.INNER.items()),
        volumes=folders.VOLUMES,
        pods=folders.PODS,
        kubelet_names=folders.KUBELET_NAMES,
        mounts=node_templates.render("mounts.sh"),
        remove_tree=node_templates.render("remove-tree.sh"),
        killall=render_killall(at).decode().partition("\n")[2].rstrip("\n"),
        settings=network.render_settings().rstrip("\n"),
        programs=at.programs,
        config=CONFIG,
        config_backup=CONFIG_BACKUP,
        files=(
            CONFIG,
            REGISTRIES,
            at.kubeconfig,
            UNIT,
            ENV,
            at.killall,
            at.binary,
            STARTED,
            network.RECORD,
            at.uninstall,
        ),
    ).encode()


def redact(text: str) -> str:
    """Return a ``config.yaml`` with the values of secret options as ``***``."""
    return _SECRET_LINE.sub(r"\1 ***", text)


def secret_values(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the secrets among the options and proxy, to be masked in a journal."""
    options = inputs.get("options") or {}
    proxy = inputs.get("proxy") or {}
    values = [str(options[key]) for key in SECRET_OPTIONS if options.get(key)]
    for key in ("http", "https"):
        credentials = re.search(r"//([^/@]+)@", str(proxy.get(key, "")))
        if credentials:
            values.append(credentials.group(1).partition(":")[2] or credentials.group(1))
    return tuple(values)
