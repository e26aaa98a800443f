"""Rules between the fields of Kubernetes' kinds that the API server holds.

From the API reference, each tried on a real API server. They are those that are often broken in
repositories: entries of a list with the same key, a selector that does not fit the template, a
volume that is not there. `fields` has the types of the fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from provision.gitops.build.schema import Wrong
from provision.gitops.documents import mapping, mappings

TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"), ("spec", "template")
    ),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where each kind has the template of its pods."""
_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc")
_PORTS: Final = 65535
_CONTAINER_LISTS: Final = ("initContainers", "containers")


def wrong(obj: Mapping[str, Any], unknown: re.Pattern[str]) -> Iterator[Wrong]:
    """Yield the rules that `obj` breaks. A text `unknown` may be anything."""
    version, kind = str(obj.get("apiVersion")), str(obj.get("kind"))
    if version in ("apps/v1", "batch/v1") and kind in TEMPLATES:
        path = TEMPLATES[kind]
        template: Any = obj
        for name in path:
            template = mapping(mapping(template).get(name))
        yield from _pod(obj, mapping(template.get("spec")), ".".join((*path, "spec")), unknown)
        if version == "apps/v1":
            yield from _selector(mapping(obj.get("spec")), template, unknown)
    elif (version, kind) == ("v1", "Pod"):
        yield from _pod(obj, mapping(obj.get("spec")), "spec", unknown)
    rule = _RULES.get(f"{version} {kind}")
    if rule is not None:
        yield from rule(obj)


def _selector(
    spec: Mapping[str, Any], template: Mapping[str, Any], unknown: re.Pattern[str]
) -> Iterator[Wrong]:
    """Yield a selector that does not choose the pods of the template."""
    selector = mapping(spec.get("selector"))
    labels = mapping(mapping(template.get("metadata")).get("labels"))
    for name, value in mapping(selector.get("matchLabels")).items():
        is_unknown = any(
            unknown.search(str(one)) for one in (name, value, *labels, *labels.values())
        )
        if labels.get(name) != value and not is_unknown:
            yield Wrong(
                key=f"spec.selector.matchLabels.{name}",
                message="the template has no such label, or another value of it",
                hint=f"add the label {name}: {value} to spec.template.metadata.labels",
            )


def _pod(
    obj: Mapping[str, Any], spec: Mapping[str, Any], key: str, unknown: re.Pattern[str]
) -> Iterator[Wrong]:
    if not mappings(spec.get("containers")):
        yield Wrong(key=f"{key}.containers", message="at least one is required")
    names = [str(one.get("name")) for one in mappings(spec.get("volumes"))]
    yield from _twice(f"{key}.volumes", names)
    claims = mappings(mapping(obj.get("spec")).get("volumeClaimTemplates"))
    volumes = {*names, *(str(mapping(one.get("metadata")).get("name")) for one in claims)}
    yield from _twice(f"{key}.imagePullSecrets", _values(spec, "imagePullSecrets", "name"))
    is_known = not any(unknown.search(name) for name in volumes)
    for part in _CONTAINER_LISTS:
        yield from _twice(f"{key}.{part}", _values(spec, part, "name"))
        for number, one in enumerate(mappings(spec.get(part))):
            place = f"{key}.{part}[{number}]"
            yield from _container(one, place)
            for index, mount in enumerate(mappings(one.get("volumeMounts"))):
                name = str(mount.get("name"))
                if is_known and name not in volumes and not unknown.search(name):
                    yield Wrong(
                        key=f"{place}.volumeMounts[{index}].name",
                        message=f"there is no volume {name!r}",
                        hint=f"add it to {key}.volumes",
                    )
    yield from _restart(obj, spec, key, unknown)


def _restart(
    obj: Mapping[str, Any], spec: Mapping[str, Any], key: str, unknown: re.Pattern[str]
) -> Iterator[Wrong]:
    kind, policy = obj.get("kind"), str(spec.get("restartPolicy") or "")
    if unknown.search(policy) or kind == "Pod":
        return
    ends = kind in ("Job", "CronJob")
    allowed = ("OnFailure", "Never") if ends else ("Always", "")
    if policy not in allowed:
        said = " or ".join(one for one in allowed if one)
        yield Wrong(
            key=f"{key}.restartPolicy",
            message=f"{said} is expected" + (f", not {policy}" if policy else ""),
        )


def _container(one: Mapping[str, Any], key: str) -> Iterator[Wrong]:
    yield from _twice(f"{key}.env", _values(one, "env", "name"))
    yield from _twice(f"{key}.volumeMounts", _values(one, "volumeMounts", "mountPath"))
    ports = mappings(one.get("ports"))
    yield from _twice(f"{key}.ports", [_port(port, "containerPort") for port in ports])
    yield from _twice(f"{key}.ports", _values(one, "ports", "name"))
    for number, port in enumerate(ports):
        yield from _range(port.get("containerPort"), f"{key}.ports[{number}].containerPort")
    for number, variable in enumerate(mappings(one.get("env"))):
        if variable.get("value") and variable.get("valueFrom"):
            message = "value and valueFrom exclude each other"
            yield Wrong(key=f"{key}.env[{number}]", message=message)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = mapping(one.get(name))
        given = [handler for handler in _HANDLERS if probe.get(handler) is not None]
        if probe and len(given) != 1:
            said = f"not {' and '.join(given)}" if given else "and none is there"
            message = f"one of {', '.join(_HANDLERS)} is expected, {said}"
            yield Wrong(key=f"{key}.{name}", message=message)


def _service(obj: Mapping[str, Any]) -> Iterator[Wrong]:
    spec = mapping(obj.get("spec"))
    ports = mappings(spec.get("ports"))
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield Wrong(key="spec.ports", message="at least one is required")
    yield from _twice("spec.ports", [_port(port, "port") for port in ports])
    yield from _twice("spec.ports", _values(spec, "ports", "name"))
    for number, port in enumerate(ports):
        yield from _range(port.get("port"), f"spec.ports[{number}].port")
        if len(ports) > 1 and not port.get("name"):
            message = "each of several ports needs a name"
            yield Wrong(key=f"spec.ports[{number}].name", message=message)


def _claim(obj: Mapping[str, Any]) -> Iterator[Wrong]:
    spec = mapping(obj.get("spec"))
    if not spec.get("accessModes"):
        yield Wrong(key="spec.accessModes", message="at least one is required")
    requests = mapping(mapping(spec.get("resources")).get("requests"))
    if requests.get("storage") is None:
        yield Wrong(key="spec.resources.requests.storage", message="it is required")


def _cron(obj: Mapping[str, Any]) -> Iterator[Wrong]:
    schedule = mapping(obj.get("spec")).get("schedule")
    if isinstance(schedule, str) and "${" not in schedule:
        words = schedule.split()
        if not schedule.startswith("@") and len(words) != _CRON_FIELDS:
            message = f"{schedule!r} has {len(words)} fields, and five are expected"
            yield Wrong(key="spec.schedule", message=message)


_CRON_FIELDS: Final = 5


def _budget(obj: Mapping[str, Any]) -> Iterator[Wrong]:
    spec = mapping(obj.get("spec"))
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield Wrong(key="spec", message="minAvailable and maxUnavailable exclude each other")


def _role(obj: Mapping[str, Any]) -> Iterator[Wrong]:
    for number, rule in enumerate(mappings(obj.get("rules"))):
        if not rule.get("verbs"):
            yield Wrong(key=f"rules[{number}].verbs", message="at least one is required")
        for name in rule:
            if name not in _RULE_FIELDS:
                yield Wrong(key=f"rules[{number}].{name}", message="there is no such field")


_RULE_FIELDS: Final = ("apiGroups", "nonResourceURLs", "resourceNames", "resources", "verbs")


_RULES: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[Wrong]]]] = {
    "v1 Service": _service,
    "v1 PersistentVolumeClaim": _claim,
    "batch/v1 CronJob": _cron,
    "policy/v1 PodDisruptionBudget": _budget,
    "rbac.authorization.k8s.io/v1 Role": _role,
    "rbac.authorization.k8s.io/v1 ClusterRole": _role,
}


def _values(spec: Mapping[str, Any], part: str, name: str) -> list[str]:
    return [str(one[name]) for one in mappings(spec.get(part)) if one.get(name) is not None]


def _port(port: Mapping[str, Any], name: str) -> str:
    return f"{port.get(name)}/{port.get('protocol') or 'TCP'}"


def _twice(key: str, names: list[str]) -> Iterator[Wrong]:
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield Wrong(key=key, message=f"{name} is there {names.count(name)} times")


def _range(port: Any, key: str) -> Iterator[Wrong]:
    is_number = isinstance(port, int) and not isinstance(port, bool)
    if is_number and not 1 <= port <= _PORTS:
        yield Wrong(key=key, message=f"{port} is no port: 1 to {_PORTS} are expected")
