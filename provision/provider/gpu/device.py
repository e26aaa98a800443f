"""``elysium:node:IntelGpu``: the Intel GPU of a node, as its kernel shows it.

Kernel facts are those of Documentation/ABI sysfs: ``/sys/class/drm/<name>/device``
is the PCI device of a DRM node, ``driver`` in it links to the bound driver. A
device plugin offers ``gpu.intel.com/i915`` or ``gpu.intel.com/xe`` by that driver.
Nothing is written to the node; a driver that is not loaded is asked for with
modprobe, which the kernel forgets with the next boot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provision import errors
from provision.change import Change
from provision.host import facts as host_facts
from provision.host import scripts
from provision.provider.context import Context
from provision.provider.resource import UNKNOWN, Observed, Resource, Values

DRIVERS = ("i915", "xe")
_INTEL = "8086"
_SNIPPET = "intel-gpu"

# One line a thing; fields hold no blank. Firmware may be compressed or live in
# folders below (huc, guc), so only whether there is any is told.
_SCRIPT = r"""
for n in /sys/class/drm/card[0-9]* /sys/class/drm/renderD[0-9]*; do
case ${n##*/} in *-*) continue;; esac
[ -e "$n/device/vendor" ] || continue
read -r v <"$n/device/vendor"; read -r i <"$n/device/device"
d=$(readlink "$n/device/driver"); s=$(readlink -f "$n/device")
echo "drm ${n##*/} $v $i ${s##*/} ${d##*/}"
done
for n in /dev/dri/*; do
if [ -c "$n" ]; then echo "node $n $(stat -c '%a %G' "$n")"; fi
done
for f in i915 xe; do
for p in /lib/firmware/$f/*; do
if [ -e "$p" ]; then echo "firmware $f"; break; fi
done
done
for n in /sys/bus/pci/devices/*; do
[ -e "$n/class" ] || continue
read -r c <"$n/class"; read -r v <"$n/vendor"
case $v$c in 0x80860x03*) read -r i <"$n/device"; echo "pci ${n##*/} $v $i";; esac
done
"""


@dataclass(frozen=True, kw_only=True)
class Device:
    """One Intel GPU. `slot` is its PCI address, `pci_id` ``8086:46d1``.

    `card` and `render` are paths below /dev/dri, empty where there is none;
    `mode` and `group` are those of the render node.
    """

    slot: str
    pci_id: str
    driver: str
    card: str = ""
    render: str = ""
    mode: int = 0
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the node shows.

    `unbound` are Intel display devices on the PCI bus without a DRM device, as
    (slot, id); `firmware` the drivers that any firmware is there for.
    """

    node: str
    os: str
    devices: tuple[Device, ...]
    unbound: tuple[tuple[str, str], ...]
    firmware: frozenset[str]
    modules: frozenset[str]


def fact_request(inputs: Values) -> host_facts.FactRequest:
    """Return what is asked of the node; the same for all inputs."""
    del inputs
    return host_facts.FactRequest(snippets=frozenset({(_SNIPPET, _SCRIPT)}))


def parse(node: str, found: host_facts.NodeFacts) -> Facts:
    """Read what the node said."""
    drm: dict[str, list[str]] = {}
    nodes: dict[str, tuple[int, str]] = {}
    pci: dict[str, str] = {}
    firmware: set[str] = set()
    for line in found.snippet(_SNIPPET).splitlines():
        kind, *fields = line.split(" ")
        if kind == "drm" and len(fields) == 5:
            drm[fields[0]] = fields[1:]
        elif kind == "node" and len(fields) == 3:
            nodes[fields[0]] = (int(fields[1], 8), fields[2])
        elif kind == "firmware":
            firmware.add(fields[0])
        elif kind == "pci" and len(fields) == 3:
            pci[fields[0]] = _pci_id(fields[1], fields[2])
    devices = _devices(drm, nodes)
    bound = {device.slot for device in devices}
    return Facts(
        node=node,
        os=found.system.id,
        devices=devices,
        unbound=tuple(sorted((slot, pid) for slot, pid in pci.items() if slot not in bound)),
        firmware=frozenset(firmware),
        modules=found.system.modules,
    )


def _devices(drm: dict[str, list[str]], nodes: dict[str, tuple[int, str]]) -> tuple[Device, ...]:
    by_slot: dict[str, dict[str, Any]] = {}
    for name, (vendor, device, slot, driver) in sorted(drm.items()):
        if vendor != f"0x{_INTEL}":
            continue
        known = by_slot.setdefault(
            slot, {"slot": slot, "pci_id": _pci_id(vendor, device), "driver": driver}
        )
        path = f"/dev/dri/{name}"
        if path not in nodes:
            continue
        if name.startswith("render"):
            mode, group = nodes[path]
            known.update(render=path, mode=mode, group=group)
        else:
            known["card"] = path
    made = [Device(**fields) for fields in by_slot.values()]
    return tuple(sorted(made, key=lambda one: (not one.render, one.render, one.slot)))


def _pci_id(vendor: str, device: str) -> str:
    return f"{vendor.removeprefix('0x')}:{device.removeprefix('0x')}"


def usable(facts: Facts, driver: str) -> tuple[Device, ...]:
    """Return the devices with a render node that `driver` (or ``auto``) asks for."""
    wanted = DRIVERS if driver == "auto" else (driver,)
    return tuple(one for one in facts.devices if one.render and one.driver in wanted)


def missing(facts: Facts, driver: str) -> str:
    """Return, in one sentence without its end, why there is no usable GPU; empty: there is one."""
    if usable(facts, driver):
        return ""
    for one in facts.devices:
        where = f"the Intel GPU at {one.slot} ({one.pci_id})"
        if one.driver not in DRIVERS:
            return f"{where} is driven by {one.driver or 'nothing'}, not by i915 or xe"
        if driver not in ("auto", one.driver):
            return f"{where} is driven by {one.driver}, and {driver} is wanted"
        return f"{where} has no render node in /dev/dri"
    if facts.unbound:
        slot, pci_id = facts.unbound[0]
        return f"the Intel GPU at {slot} ({pci_id}) has no driver"
    return "there is no Intel GPU"


def warnings(facts: Facts, driver: str) -> tuple[str, ...]:
    """Return what keeps a usable GPU from being of full use."""
    said: list[str] = []
    for one in usable(facts, driver):
        if one.driver not in facts.firmware:
            said.append(
                f"there is no firmware for {one.driver} in /lib/firmware/{one.driver}: "
                f"video encoding may not work; install {_firmware_package(facts.os)} and reboot"
            )
        if one.group == "root" or not one.mode & 0o060:
            said.append(
                f"{one.render} belongs to group {one.group} with mode {one.mode:04o}: "
                "only root can use it; a group render is expected to read and write it"
            )
    return tuple(dict.fromkeys(said))


def _firmware_package(os: str) -> str:
    names = {
        "debian": "firmware-misc-nonfree (from Debian 13 on: firmware-intel-graphics)",
        "fedora": "intel-gpu-firmware",
    }
    return names.get(os, "linux-firmware")


def _described(one: Device) -> dict[str, Any]:
    return {
        "path": one.card or one.render,
        "renderNode": one.render,
        "driver": one.driver,
        "pciId": one.pci_id,
    }


class IntelGpu(Resource[Facts]):
    """The GPU of one node: there is nothing to make of it, only to find and to tell."""

    type = "elysium:node:IntelGpu"

    def check(self, inputs: Values) -> tuple[dict[str, Any], list[errors.Problem]]:
        """Default the driver to whatever is found."""
        checked = {"driver": "auto"} | dict(inputs)
        problems: list[errors.Problem] = []
        if checked["driver"] not in ("auto", *DRIVERS, UNKNOWN):
            message = f"{checked['driver']!r} is not a driver of Intel GPUs"
            hint = "one of auto, i915, xe"
            problems.append(errors.Problem(message=message, key="driver", hint=hint))
        return checked, problems

    def identity(self, inputs: Values) -> str:
        """Return the node's name."""
        return str(inputs["node"])

    def observe(self, ctx: Context, inputs: Values, state: Values) -> Observed[Facts]:
        """Look; and say what is not as good as it could be, once while it stays so."""
        found = ctx.node(inputs["node"]).facts(fact_request(inputs))
        facts = parse(inputs["node"], found)
        known = state.get("warnings") or ()
        for warning in warnings(facts, inputs["driver"]):
            if warning not in known:
                ctx.warn(f"node {inputs['node']}: {warning}")
        return Observed(exists=True, facts=facts)

    def plan(self, facts: Facts, inputs: Values, state: Values) -> tuple[Change, ...]:
        """Ask for a GPU where there is none; take note where there is another one."""
        why = missing(facts, inputs["driver"])
        if why:
            return (
                Change(
                    property="devices",
                    action="run",
                    summary=f"find an Intel GPU on node {facts.node}: {why}",
                ),
            )
        now = self._found(facts, inputs)
        before = {name: state[name] for name in now if name in state}
        # Without a state there is nothing to do either: what is found is known at once.
        if not before or "resourceName" not in before or before == now:
            return ()
        return (
            Change(
                property="devices",
                action="update",
                summary=f"take note of what node {facts.node} has now: "
                + ", ".join(f"{d['pciId']} ({d['driver']})" for d in now["devices"]),
            ),
        )

    def apply(
        self, ctx: Context, inputs: Values, facts: Facts, changes: tuple[Change, ...], state: Values
    ) -> dict[str, Any]:
        """Load a driver that is not loaded.

        Raises `errors.NotConvergedError` where that cannot bring a GPU.
        """
        del changes, state
        wanted = inputs["driver"]
        why = missing(facts, wanted)
        if not why:
            return self._found(facts, inputs)
        names = [one for one in DRIVERS if wanted in ("auto", one)]
        unloaded = [one for one in names if one not in facts.modules]
        if facts.devices or not facts.unbound or not unloaded:
            raise _unusable(facts, why)
        ctx.progress(f"loading the driver {' or '.join(unloaded)}")
        session = ctx.node(inputs["node"])
        session.run(
            "".join(f"modprobe -- {scripts.quote([name])} || true\n" for name in unloaded)
            + "udevadm settle --timeout=20 2>/dev/null || true\n",
            timeout=60,
            what="loading the GPU's driver",
        )
        after = parse(inputs["node"], session.facts(fact_request(inputs)))
        if why := missing(after, wanted):
            raise _unusable(after, why)
        return self._found(after, inputs)

    def outputs(self, facts: Facts, inputs: Values, state: Values) -> dict[str, Any]:
        """Return the devices and the name of the resource that the cluster will offer."""
        return {"driver": inputs["driver"]} | self._found(facts, inputs)

    def _found(self, facts: Facts, inputs: Values) -> dict[str, Any]:
        devices = usable(facts, inputs["driver"])
        driver = devices[0].driver if devices else ""
        if not driver:
            driver = DRIVERS[0] if inputs["driver"] == "auto" else inputs["driver"]
        return {
            "devices": [_described(one) for one in devices],
            "resourceName": f"gpu.intel.com/{driver}",
            "warnings": list(warnings(facts, inputs["driver"])),
        }

    def unknown_outputs(self, inputs: Values) -> dict[str, Any]:
        """Nothing is known of a node that cannot be asked yet."""
        return dict.fromkeys(("devices", "resourceName", "warnings"), UNKNOWN)

    def delete(self, ctx: Context, inputs: Values, state: Values) -> None:
        """Leave the GPU alone: nothing was brought."""
        del ctx, inputs, state


def _unusable(facts: Facts, why: str) -> errors.NotConvergedError:
    return errors.NotConvergedError(
        f"node {facts.node} has no usable Intel GPU: {why}",
        remaining=("a render node in /dev/dri that i915 or xe drives",),
        hint="look at the firmware setup, the kernel's log (dmesg) and, in a virtual machine, "
        "at the pass-through; or take 'gpu' out of the configuration",
    )
