"""Starting a k3s server and waiting until its node is Ready; taking it down."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from provision import errors, secret
from provision.host import scripts, session
from provision.kube import kubeconfig as kubeconfigs
from provision.provider import node_templates
from provision.provider.k3s import binaries, files, journal, network

_CRASHED = 3


def start(
    node: session.NodeSession,
    inputs: Mapping[str, Any],
    *,
    restart: bool,
    name: str,
    progress: Callable[[str], None],
) -> None:
    """(Re)start k3s and wait until the Kubernetes node `name` is Ready.

    Ready is what this start brought about: the unit is active and was not
    started again, the kubelet renewed the node's lease, and the API server is
    ready. A condition that an earlier process left does not count. The
    deadline is ``startTimeout`` (seconds): the unit itself has none. Raises
    `errors.WaitError` with the end of the unit's journal; for a k3s that ends
    again and again, without waiting for the deadline.
    """
    timeout = int(inputs.get("startTimeout", 300))
    options = inputs.get("options") or {}
    at = files.places(inputs)
    script = node_templates.render(
        "k3s-start.sh",
        verb="restart" if restart else "start",
        timeout=timeout,
        kubeconfig=at.kubeconfig,
        data=at.data.rstrip("/"),
        external=bool(options.get("datastore-endpoint") or options.get("server")),
        node="" if options.get("disable-agent") else name,
        binary=at.binary,
    )
    progress(f"{'restarting' if restart else 'starting'} k3s on {node.name}")
    done = node.run(
        script,
        timeout=timeout + 30,
        what="starting k3s",
        check=False,
        on_output=session.each_line(lambda line: progress(f"k3s on {node.name}: {line}")),
    )
    if done.status == 0:
        return
    seen = (done.text.strip().splitlines() or ["nothing"])[-1]
    masked = [secret.Secret(value) for value in files.secret_values(inputs)]
    log = secret.mask(done.error_text, masked)
    if done.status == _CRASHED:
        reason = journal.reason(log)
        summary = f"k3s on {node.name} crashes when it is started"
        hint = "put right what it complains of, then run the same command again"
    else:
        reason = seen
        summary = f"k3s on {node.name} was not Ready within {timeout} s"
        hint = "a slow machine needs a longer k3s.startTimeout"
    raise errors.WaitError(
        f"{summary}: {reason}" if reason else summary,
        what=f"k3s on {node.name}",
        last_seen=seen,
        detail=f"last seen: {seen}\n{log}",
        hint=f"its journal is above (journalctl -u k3s on the node); {hint}",
    )


def record(node: session.NodeSession) -> None:
    """Write on the node what it has before k3s starts there for the first time, for `remove`."""
    node.run(
        network.render_record(files.STARTED),
        timeout=30,
        what="noting the kernel settings before k3s",
    )


def mark_stale(node: session.NodeSession, path: str) -> None:
    """Note on the node that k3s runs with another `path`, until it is restarted."""
    line = scripts.quote([f"{'-' * 64}  {path}"])
    folder = files.STARTED.rpartition("/")[0]
    node.run(
        f"umask 077; mkdir -p {folder} && printf '%s\\n' {line} >>{files.STARTED}",
        timeout=30,
        what="noting that k3s is to be restarted",
    )


def remove(
    node: session.NodeSession, inputs: Mapping[str, Any], *, keep_data: bool
) -> tuple[str, ...]:
    """Take k3s off the node: what elysium and k3s put there, nothing else.

    Returns, in sentences, what stays in folders of k3s, because k3s did not create
    it, because something is mounted there, or because `keep_data` spares it; what
    stays of its firewall, network and kernel settings; and what could not be checked.
    """
    script = files.render_uninstall(files.places(inputs)).decode()
    argument = "--keep-data" if keep_data else ""
    done = node.run(
        f"set -- {argument}\n{script}",
        timeout=600,
        what="uninstalling k3s",
    )
    lines = dict.fromkeys(done.text.splitlines())
    told: list[str] = []
    for line in lines:
        kind, _, text = line.partition(" ")
        if kind == "left":
            told.append(f"{text} stays on {node.name}")
        elif kind == "note":
            told.append(f"{node.name}: {text}")
    return tuple(told)


def kubeconfig(text: str, *, cluster: str, address: str) -> str:
    """Return k3s' own kubeconfig with `address` as server and everything named `cluster`.

    Raises `errors.RemoteError` for a text that is no kubeconfig of k3s, or that
    holds more than a server, an authority, and a client certificate with its key.
    """
    import io

    import ruamel.yaml

    try:
        document = kubeconfigs.document(text)
        (one,), (user,) = document["clusters"], document["users"]
        port = re.search(r":(\d+)/?$", one["cluster"]["server"])
    except errors.KubeError as error:
        raise errors.RemoteError(
            "the kubeconfig on the node cannot be used",
            host=address,
            detail=error.detail,
            hint=error.hint or "remove it and restart k3s, which writes it anew",
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        # The text holds a private key: it is not quoted.
        raise errors.RemoteError(
            "the kubeconfig on the node cannot be understood",
            host=address,
            detail=type(error).__name__,
            hint="remove it and restart k3s, which writes it anew",
        ) from None
    host = f"[{address}]" if ":" in address and not address.startswith("[") else address
    server = f"https://{host}:{port.group(1) if port else 6443}"
    result = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": {**one["cluster"], "server": server}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
        "current-context": cluster,
        "users": [{"name": cluster, "user": dict(user["user"])}],
    }
    writer = ruamel.yaml.YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.width = 1 << 20
    buffer = io.StringIO()
    # Through JSON, so that no type of the reader's reaches the writer.
    writer.dump(json.loads(json.dumps(result)), buffer)
    return buffer.getvalue()


def version_snippet() -> tuple[str, str]:
    """Return the fact snippet that asks the binary for its version."""
    paths = scripts.quote(f"{folder}/k3s" for folder in binaries.FOLDERS)
    return (
        "k3s-version",
        f'for p in {paths}; do [ ! -x "$p" ] || {{ timeout 10 "$p" --version; break; }}; done',
    )
