"""The Intel GPU in the cluster: the device plugin, and the proof that it works.

The DaemonSet is what Intel's own manifests run (``intel/intel-gpu-plugin``,
deployments/gpu_plugin/base of intel-device-plugins-for-kubernetes): read-only
root, no privilege escalation, host paths of devices, sysfs, the kubelet's
device plugin socket and CDI.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apps import v1 as apps
from pulumi_kubernetes.core import v1 as core
from pulumi_kubernetes.meta import v1 as meta

from stacks import resources

NAMESPACE = "intel-device-plugins"
_LABELS = {"app.kubernetes.io/name": "intel-gpu-plugin"}


@dataclass(frozen=True, kw_only=True)
class GpuPluginArgs:
    """How the GPU is shared."""

    image: str
    shared_dev_num: int
    node: pulumi.Resource
    """What everything in the cluster goes with."""


class GpuPlugin(pulumi.ComponentResource):
    """The device plugin, where Flux does not bring it."""

    def __init__(
        self, name: str, args: GpuPluginArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("elysium:components:GpuPlugin", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, deleted_with=args.node)
        namespace = core.Namespace(
            f"{name}-namespace", metadata=meta.ObjectMetaArgs(name=NAMESPACE), opts=child
        )
        apps.DaemonSet(
            f"{name}-plugin",
            metadata=meta.ObjectMetaArgs(
                name="intel-gpu-plugin", namespace=NAMESPACE, labels=_LABELS
            ),
            spec=apps.DaemonSetSpecArgs(
                selector=meta.LabelSelectorArgs(match_labels=_LABELS),
                update_strategy=apps.DaemonSetUpdateStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=apps.RollingUpdateDaemonSetArgs(max_unavailable=1),
                ),
                template=core.PodTemplateSpecArgs(
                    metadata=meta.ObjectMetaArgs(labels=_LABELS), spec=_pod(args)
                ),
            ),
            opts=pulumi.ResourceOptions.merge(
                child, pulumi.ResourceOptions(depends_on=[namespace])
            ),
        )
        self.register_outputs({"namespace": NAMESPACE})


def _pod(args: GpuPluginArgs) -> core.PodSpecArgs:
    return core.PodSpecArgs(
        node_selector={"kubernetes.io/arch": "amd64"},
        containers=[
            core.ContainerArgs(
                name="intel-gpu-plugin",
                image=args.image,
                args=[f"-shared-dev-num={args.shared_dev_num}"],
                env=[_field("NODE_NAME", "spec.nodeName"), _field("HOST_IP", "status.hostIP")],
                security_context=core.SecurityContextArgs(
                    read_only_root_filesystem=True,
                    allow_privilege_escalation=False,
                    se_linux_options=core.SELinuxOptionsArgs(type="container_device_plugin_t"),
                ),
                volume_mounts=[
                    core.VolumeMountArgs(name="devfs", mount_path="/dev/dri", read_only=True),
                    core.VolumeMountArgs(
                        name="sysfsdrm", mount_path="/sys/class/drm", read_only=True
                    ),
                    core.VolumeMountArgs(
                        name="kubeletsockets", mount_path="/var/lib/kubelet/device-plugins"
                    ),
                    core.VolumeMountArgs(name="cdipath", mount_path="/var/run/cdi"),
                ],
            )
        ],
        volumes=[
            _host_path("devfs", "/dev/dri"),
            _host_path("sysfsdrm", "/sys/class/drm"),
            _host_path("kubeletsockets", "/var/lib/kubelet/device-plugins"),
            _host_path("cdipath", "/var/run/cdi", "DirectoryOrCreate"),
        ],
    )


def _field(name: str, path: str) -> core.EnvVarArgs:
    # With the version that the API would fill in: the field is owned as a whole, so that without it
    # a stack whose state was lost could not take its own DaemonSet over again.
    field = core.ObjectFieldSelectorArgs(api_version="v1", field_path=path)
    return core.EnvVarArgs(name=name, value_from=core.EnvVarSourceArgs(field_ref=field))


def _host_path(name: str, path: str, kind: str | None = None) -> core.VolumeArgs:
    return core.VolumeArgs(name=name, host_path=core.HostPathVolumeSourceArgs(path=path, type=kind))


@dataclass(frozen=True, kw_only=True)
class GpuCapacityArgs:
    """Where to look for the GPU, and how long to wait."""

    kubeconfig: pulumi.Input[str]
    node_name: pulumi.Input[str]
    resource_name: pulumi.Input[str]
    timeout: int


def capacity(
    name: str, args: GpuCapacityArgs, opts: pulumi.ResourceOptions
) -> resources.GpuCapacity:
    """Wait until the cluster can give the GPU to a pod: the only proof that counts."""
    return resources.GpuCapacity(
        name,
        {
            "kubeconfig": args.kubeconfig,
            "nodeName": args.node_name,
            "resourceName": args.resource_name,
            "timeout": args.timeout,
        },
        opts,
    )
