"""The authority that signs the certificates of the chart server.

One for all sandboxes of this machine: the container images that trust it are
made once. Only nodes of sandboxes and their images trust it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from provision.sandbox import files
from provision.sandbox.forge import authority

NODE: Final = "/etc/ssl/certs/elysium-sandbox-charts.pem"
"""Where a node or an image has the certificate: programs read every file of that folder."""
_NAME: Final = "elysium sandbox charts"


def folder() -> Path:
    """Return the folder of the authority and of the certificates that it signed."""
    return files.cache_root() / "charts-authority"


def file() -> Path:
    """Return the certificate of the authority. Make the authority when there is none.

    Raises:
        OSError: when the folder cannot be written.
    """
    root = folder()
    with files.locked(root.with_suffix(".lock"), what="making the charts' authority"):
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)
        authority.ensure(root, _NAME)
    return authority.ca_file(root)
