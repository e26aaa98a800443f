"""What a watcher of a namespace's Secrets sees; kubectl watches, nothing of ours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from provision.gitops.build import kustomize

_SECONDS = 45


def secrets(
    folder: Path, kubeconfig: str, namespace: str, *, since: str
) -> Iterator[tuple[str, dict]]:
    """Yield kind (``ADDED``, ``MODIFIED``, ``DELETED``) and object of every event after `since`."""
    config = folder / "watcher.kubeconfig"
    config.write_text(kubeconfig)
    url = (
        f"/api/v1/namespaces/{namespace}/secrets"
        f"?watch=true&resourceVersion={since}&timeoutSeconds={_SECONDS}"
    )
    command = [kustomize.kubectl(), f"--kubeconfig={config}", "get", "--raw", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as kubectl:
        try:
            for line in kubectl.stdout or ():
                event = json.loads(line)
                yield event["type"], event["object"]
        finally:
            kubectl.kill()
