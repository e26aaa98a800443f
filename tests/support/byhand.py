"""A cluster set up by hand in a sandbox: as k3s' install script, a person and flux leave it.

Nothing of elysium's provider has a part in it. What the files hold is what
k3s' install script writes (``curl … | sh -s - server --disable traefik …``),
what rclone's documentation shows for a mount unit, and what ``flux bootstrap
github`` commits, applies and registers.
"""

from __future__ import annotations

import io
import pathlib
import shlex
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Any

from provision.sandbox import mirror, node, tryout
from provision.sandbox.forge import client
from provision.secret import Secret
from tests.support import lab as labs

K3S = mirror.K3S_VERSIONS[-1]
COMPONENTS = "source-controller,kustomize-controller"
EXTRA = "image-reflector-controller,image-automation-controller"

_UNIT = """\
[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-/etc/systemd/system/k3s.service.env
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStart=/usr/local/bin/k3s \\
    server \\
\t'--write-kubeconfig-mode' \\
\t'640' \\
\t'--disable' \\
\t'traefik' \\
\t'--secrets-encryption' \\

"""
_MOUNT = """\
[Unit]
Description=Films
After=network-online.target

[Mount]
Type=rclone
What=films:{container}
Where=/mnt/films
Options=rw,_netdev,allow_other,args2env,vfs-cache-mode=writes,vfs-cache-max-size=2G,\
config=/etc/rclone/rclone.conf,cache-dir=/var/cache/films
"""
_AUTOMOUNT = """\
[Unit]
Description=Films, when somebody looks

[Automount]
Where=/mnt/films
TimeoutIdleSec=600

[Install]
WantedBy=multi-user.target
"""


def release(lab: labs.Lab, name: str) -> pathlib.Path:
    """Return a release's file as the sandbox's mirror offers it."""
    assert lab.sandbox.artifacts is not None and lab.sandbox.artifacts.mirror is not None
    (found,) = lab.sandbox.artifacts.mirror.glob(name)
    return found


def put(lab: labs.Lab, path: str, content: bytes | str, mode: int = 0o644) -> None:
    """Write a file on the node."""
    data = content.encode() if isinstance(content, str) else content
    where = shlex.quote(path)
    script = f"umask 077; mkdir -p -m 755 {shlex.quote(path.rpartition('/')[0])}; cat > {where}"
    argv = node.ssh_argv(lab.sandbox.node, f"{script} && chmod {mode:o} {where}")
    subprocess.run(argv, input=data, check=True, timeout=120)


def k3s(lab: labs.Lab) -> None:
    """Do what k3s' install script does."""
    put(lab, "/usr/local/bin/k3s", release(lab, f"github.com/**/{K3S}/k3s").read_bytes(), 0o755)
    put(lab, "/etc/systemd/system/k3s.service", _UNIT)
    put(lab, "/etc/systemd/system/k3s.service.env", "", 0o600)
    for name in ("kubectl", "crictl", "ctr"):
        lab.on_node(f"ln -sf k3s /usr/local/bin/{name}")
    put(lab, "/usr/local/bin/k3s-killall.sh", "#!/bin/sh\nsystemctl stop k3s\n", 0o755)
    lab.on_node("systemctl daemon-reload; systemctl enable -q --now k3s")
    # The unit is started before the node is there, and kubectl waits only for what is.
    registered = "until k3s kubectl get nodes -o name | grep -q .; do sleep 0.2; done"
    lab.on_node(f"timeout 90 sh -c '{registered}'")
    lab.on_node("k3s kubectl wait --for=condition=Ready nodes --all --timeout=90s")


def media(lab: labs.Lab) -> None:
    """Mount the library as rclone's documentation shows."""
    azure = lab.sandbox.azure
    assert azure is not None
    with zipfile.ZipFile(release(lab, "downloads.rclone.org/*/rclone-*.zip")) as archive:
        (name,) = archive.namelist()
        put(lab, "/usr/bin/rclone", archive.read(name), 0o755)
    remote = {
        "type": "azureblob",
        "account": azure.account,
        "key": tryout.media_key(lab.sandbox),
        "endpoint": azure.endpoint,
    }
    lines = "".join(f"{key} = {value}\n" for key, value in remote.items())
    put(lab, "/etc/rclone/rclone.conf", f"[films]\n{lines}", 0o600)
    put(lab, "/etc/systemd/system/mnt-films.mount", _MOUNT.format(container=azure.container))
    put(lab, "/etc/systemd/system/mnt-films.automount", _AUTOMOUNT)
    lab.on_node("ln -sfn /usr/bin/rclone /sbin/mount.rclone; mkdir -p /mnt/films")
    lab.on_node("systemctl daemon-reload; systemctl enable -q --now mnt-films.automount")
    lab.on_node("ls /mnt/films")


def flux(lab: labs.Lab, work: pathlib.Path) -> None:
    """Do what ``flux bootstrap github --read-write-key`` does."""
    forge = lab.forge
    key = work / "identity"
    generate = ["ssh-keygen", "-q", "-t", "ecdsa", "-b", "384", "-N", "", "-C", "", "-f", str(key)]
    subprocess.run(generate, check=True)
    public = key.with_suffix(".pub").read_text().strip()
    forge.register_key(
        public, title=f"flux-system-main-flux-system-./clusters/{lab.cluster}", read_only=False
    )
    fields = {
        "identity": key.read_text(),
        "identity.pub": public + "\n",
        # flux scans and pins one of the server's keys.
        "known_hosts": forge.known_hosts().splitlines()[0] + "\n",
    }
    _bootstrap(lab, forge, work, forge.ssh_url.removesuffix(".git"), fields)


def flux_with_token(lab: labs.Lab, forge: client.Forge, work: pathlib.Path, token: Secret) -> None:
    """Do what ``flux bootstrap github --token-auth --ca-file`` does in the repository `forge`."""
    fields = {"username": "git", "password": token.reveal(), "ca.crt": _authority(forge)}
    _bootstrap(lab, forge, work, https_url(forge), fields)


def flux_with_app(
    lab: labs.Lab, forge: client.Forge, work: pathlib.Path, app: dict[str, Any], key: Secret
) -> None:
    """Do what a person does with ``flux create secret githubapp`` and `spec.provider: github`."""
    fields = {
        "githubAppID": str(app["id"]),
        "githubAppInstallationOwner": forge.info.owner,
        "githubAppPrivateKey": key.reveal(),
        "githubAppBaseURL": forge.info.api,
        "ca.crt": _authority(forge),
    }
    _bootstrap(lab, forge, work, https_url(forge), fields, provider="github")


def https_url(forge: client.Forge) -> str:
    """Return the address over HTTPS that ``flux bootstrap github`` writes."""
    return f"{forge.info.api.removesuffix('/api/v3')}/{forge.slug}.git"


def _authority(forge: client.Forge) -> str:
    assert forge.info.ca_file is not None
    return forge.info.ca_file.read_text()


def _bootstrap(
    lab: labs.Lab,
    forge: client.Forge,
    work: pathlib.Path,
    url: str,
    fields: Mapping[str, str],
    provider: str = "",
) -> None:
    """Commit and apply Flux, then the Secret with `fields`, then the sync objects for `url`."""
    folder = f"clusters/{lab.cluster}/flux-system"
    _commit(forge, f"{folder}/gotk-components.yaml", _components(lab, work))
    _commit(forge, f"{folder}/gotk-sync.yaml", _sync(lab, url, provider))
    resources = "resources:\n- gotk-components.yaml\n- gotk-sync.yaml\n"
    kind = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
    _commit(forge, f"{folder}/kustomization.yaml", kind + resources)
    put(lab, "/tmp/components.yaml", forge.read_file(f"{folder}/gotk-components.yaml") or "")
    apply = "k3s kubectl apply --server-side --field-manager=flux -f"
    # As flux itself: definitions first, and what uses them once they are served.
    lab.on_node(f"{apply} /tmp/components.yaml || {{ sleep 1; {apply} /tmp/components.yaml; }}")
    for name, text in fields.items():
        put(lab, f"/tmp/access/{name}", text, 0o600)
    given = " ".join(f"--from-file=/tmp/access/{name}" for name in fields)
    lab.on_node(f"k3s kubectl create secret generic -n flux-system flux-system {given}")
    put(lab, "/tmp/sync.yaml", forge.read_file(f"{folder}/gotk-sync.yaml") or "")
    lab.on_node(f"{apply} /tmp/sync.yaml; rm -r /tmp/access /tmp/sync.yaml /tmp/components.yaml")
    wait = "k3s kubectl wait -n flux-system --timeout=120s --for=condition=Ready"
    lab.on_node(f"{wait} kustomization/flux-system && {wait} kustomizations --all")


def _components(lab: labs.Lab, work: pathlib.Path) -> str:
    packed = release(lab, "github.com/fluxcd/**/flux_*.tar.gz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extract("flux", work, filter="data")
    arguments = ["install", "--export", f"--version={mirror.FLUX_VERSION}"]
    arguments += [f"--components={COMPONENTS}", f"--components-extra={EXTRA}"]
    done = subprocess.run(
        [str(work / "flux"), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout


def _sync(lab: labs.Lab, url: str, provider: str) -> str:
    log_in_as = f"  provider: {provider}\n" if provider else ""
    return f"""\
# This manifest was generated by flux. DO NOT EDIT.
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata:
  name: flux-system
  namespace: flux-system
spec:
  interval: 2s
  ref:
    branch: main
  secretRef:
    name: flux-system
{log_in_as}  url: {url}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: flux-system
  namespace: flux-system
spec:
  interval: 10m0s
  path: ./clusters/{lab.cluster}
  prune: true
  sourceRef:
    kind: GitRepository
    name: flux-system
"""


def _commit(forge: client.Forge, path: str, text: str) -> None:
    """Commit a file, unless it is there."""
    if forge.read_file(path) is None:
        forge.commit_files({path: text}, message=f"Add {path}")
