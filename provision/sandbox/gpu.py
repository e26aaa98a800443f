"""A made-up Intel GPU: what the kernel shows of one, with no driver behind it.

Two device files and a piece of sysfs, laid over the node's own ``/sys/class``:
enough for whoever looks, and nothing that could be opened. The numbers are
those of an Alder Lake-N (PCI id 8086:46d1), bound to the driver i915.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_SLOT = "0000:00:02.0"
_DEVICE = {
    "vendor": "0x8086\n",
    "device": "0x46d1\n",
    "class": "0x030000\n",
    "subsystem_vendor": "0x8086\n",
    "subsystem_device": "0x7270\n",
    "uevent": "DRIVER=i915\nPCI_CLASS=30000\nPCI_ID=8086:46D1\n"
    f"PCI_SUBSYS_ID=8086:7270\nPCI_SLOT_NAME={_SLOT}\n",
}
_NODES = {"card0": 0, "renderD128": 128}
_MAJOR = 226  # DRM, in the kernel's list of device numbers
FIRMWARE = ("adlp_dmc.bin", "adlp_guc_70.bin", "tgl_huc.bin")


def make(folder: Path, root: Path) -> tuple[str, ...]:
    """Make the GPU's files below `folder`; return the options of systemd-nspawn for it.

    Its firmware is put into the node's tree `root`.
    """
    dri, sysfs = folder / "dri", folder / "class" / "drm"
    _devices(dri, root)
    _sysfs(sysfs)
    firmware = root / "usr/lib/firmware/i915"
    firmware.mkdir(parents=True, exist_ok=True)
    for name in FIRMWARE:
        (firmware / name).write_bytes(b"made up\n")
    # Only the card of the sandbox shows, also where this machine has one.
    os.setxattr(sysfs, "trusted.overlay.opaque", b"y")
    return (
        f"--bind={dri}:/dev/dri",
        f"--overlay-ro=+/sys/class:{folder / 'class'}:/sys/class",
    )


def _devices(dri: Path, root: Path) -> None:
    dri.mkdir(parents=True)
    dri.chmod(0o755)
    groups = dict(
        (fields[0], int(fields[2]))
        for line in (root / "etc/group").read_text().splitlines()
        if len(fields := line.split(":")) > 2
    )
    for name, minor in _NODES.items():
        os.mknod(dri / name, 0o660 | stat.S_IFCHR, os.makedev(_MAJOR, minor))
        (dri / name).chmod(0o660)
        group = "render" if name.startswith("render") else "video"
        os.chown(dri / name, 0, groups.get(group, 0))


def _sysfs(drm: Path) -> None:
    device = drm / ".pci" / _SLOT
    device.mkdir(parents=True)
    for name, content in _DEVICE.items():
        (device / name).write_text(content)
    (device / "driver").symlink_to("../../../../bus/pci/drivers/i915")
    for name, minor in _NODES.items():
        node = drm / name
        node.mkdir()
        (node / "device").symlink_to(f"../.pci/{_SLOT}")
        (node / "dev").write_text(f"{_MAJOR}:{minor}\n")
        uevent = f"MAJOR={_MAJOR}\nMINOR={minor}\nDEVNAME=dri/{name}\nDEVTYPE=drm_minor\n"
        (node / "uevent").write_text(uevent)
    for path in (drm.parent, *drm.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o444)
