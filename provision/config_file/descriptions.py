"""What each key means, in a sentence, where the model does not say it itself."""

from __future__ import annotations

_MEANINGS = {
    "nodes": "The machines of the cluster; one server for now.",
    "nodes[].port": "Where its SSH server listens.",
    "nodes[].user": "Who logs in: root, or a user who may use sudo.",
    "nodes[].name": "The machine's name in Kubernetes.",
    "nodes[].role": "`server` runs the control plane.",
    "k3s": "The k3s server; without this key, all defaults.",
    "k3s.version": "The pinned release. A newer pin upgrades; nothing ever downgrades.",
    "k3s.datastore": "`sqlite` for one server, `etcd` to add servers later. It decides for a "
    "new cluster; only `elysium up --migrate-datastore` moves one, from SQLite to etcd.",
    "k3s.tlsSan": "More names and addresses that the API's certificate is valid for.",
    "k3s.disable": "Parts of k3s to leave out, for example `traefik` or `servicelb`.",
    "k3s.registries": "What `registries.yaml` says: mirrors and logins of image registries.",
    "k3s.proxy": "Proxy settings for k3s and what it downloads.",
    "k3s.proxy.http": "The proxy for HTTP addresses.",
    "k3s.proxy.https": "The proxy for HTTPS addresses.",
    "k3s.proxy.noProxy": "What is reached without a proxy, separated by commas.",
    "kube": "How the Kubernetes API is reached from here; without this key, all defaults.",
    "sops": "What Flux decrypts with; without this key, nothing is put there for it.",
    "gpu": "The Intel GPU; without this key, no GPU is set up.",
    "gpu.driver": "Which kernel driver to expect; `auto` takes the one that is loaded.",
    "gpu.sharedDevNum": "How many containers may share the GPU.",
    "gpu.pluginImage": "The image of the device plugin.",
    "media": "The media library; without this key, nothing is mounted.",
    "media.mountPoint": "Where it appears on the node.",
    "media.rcloneVersion": "The pinned release of rclone.",
    "media.cacheMode": "How much rclone keeps on the node's disk (its `--vfs-cache-mode`).",
    "media.cacheSize": "How large that cache may grow, for example `20G`.",
    "media.cacheDir": "Where that cache is.",
    "media.readOnly": "Whether nothing can be written to it from the node.",
    "github": "The GitOps repository on GitHub.",
    "github.owner": "The user or organisation that owns it.",
    "github.repository": "Its name.",
    "github.branch": "The branch that Flux follows.",
    "github.baseUrl": "The REST API; another one for GitHub Enterprise.",
    "github.sshHost": "The server that Flux fetches from.",
    "github.sshPort": "Where that server listens.",
    "github.tokenFile": "A file that holds the token.",
    "flux": "Flux CD; without this key, all defaults.",
    "flux.version": "The pinned release.",
    "flux.components": "The controllers to install.",
    "flux.componentsExtra": "Controllers beyond the usual four; by default the two for images.",
    "flux.interval": "How often Flux looks for new commits.",
    "flux.keyAlgorithm": "What kind of deploy key is made.",
    "sealing": "The keys that open the repository's SealedSecrets; without this key, all defaults.",
    "stack": "What tells this stack from another one of the same name.",
    "backup": "Backups; without this key, all defaults and a passphrase.",
    "backup.directory": "Where backups are written, relative to the cluster's folder.",
    "backup.copies": "More places for them; each copy is read back.",
    "artifacts": "Where pinned downloads come from; without this key, their own hosts.",
}

_SSH = {
    "host": "Name or address.",
    "port": "Where its SSH server listens.",
    "user": "Who logs in.",
}


def of(path: tuple[str, ...], description: str | None) -> str:
    """Return the meaning of the key at `path`: the model's own words first."""
    if description:
        return description
    name = ".".join(path).replace(".[]", "[]")
    if name in _MEANINGS:
        return _MEANINGS[name]
    if name.startswith(("nodes[].jump.", "backup.copies[].ssh.")):
        return _SSH.get(path[-1], "")
    return ""
