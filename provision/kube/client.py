"""A small client of the Kubernetes API: plain dicts in, plain dicts out.

Every failure is an `errors.KubeError` with the API's own message in `detail`;
`status` 0 means that no answer came. A kind that the server does not serve is
absent for `KubeClient.get` and empty for `KubeClient.list`, and an error where
something is to be written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

from provision import cancellation, errors
from provision.kube import answers, kinds, kubeconfig, wire

Object = dict[str, Any]
PatchKind = Literal["merge", "json", "strategic", "apply"]
Propagation = Literal["Background", "Foreground", "Orphan"]

_PAGE, _SMALL_PAGE = "500", "25"
"""Objects of one answer. etcd bounds each to 1.5 MiB, so the small page is never too large."""
_PATCH = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


def title(kind: str, name: str, namespace: str | None = None) -> str:
    """Return how an object is named to people: ``Secret flux-system/flux-system``."""
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


class KubeClient:
    """One API server as one user. Safe in threads; connections are kept and shared."""

    def __init__(
        self,
        endpoint: kubeconfig.Endpoint,
        *,
        timeout: float = 30,
        tunnel: wire.Tunnel | None = None,
        cancelled: cancellation.Cancellation | None = None,
    ) -> None:
        """Bound each request by `timeout` seconds; read nothing once the run is `cancelled`.

        `tunnel` knows another way to the server.
        Whoever waits for the cluster reads it again and again, and so ends then.
        """
        self.endpoint = endpoint
        self._cancelled = cancelled or cancellation.Cancellation()
        self._wire = wire.Wire(endpoint, timeout=timeout, tunnel=tunnel)
        self._kinds = kinds.Kinds(self._discover)

    @classmethod
    def from_kubeconfig(
        cls,
        text: str,
        *,
        tunnel: wire.Tunnel | None = None,
        cancelled: cancellation.Cancellation | None = None,
    ) -> Self:
        """Return a client for the current context of the kubeconfig `text`.

        Nothing is contacted yet. Raises `errors.KubeError` (status 400) when
        the text is unusable.
        """
        return cls(kubeconfig.parse(text), tunnel=tunnel, cancelled=cancelled)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. The client may be used again."""
        self._wire.close()

    # -- reading ---------------------------------------------------------

    def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> Object | None:
        """Return the object, or None when there is none (or no such kind)."""
        self._cancelled.check()
        served = self._kinds.find(api_version, kind)
        if not served:
            return None
        url = kinds.path(served, api_version, self._scope(served, namespace), name)
        what = f"reading {title(kind, name, namespace)}"
        answer = self._wire.ask("GET", url, what, absent=True)
        if answer is None:
            return None
        return answers.check_object(answer.data, answer.source, kind=kind, name=name)

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> list[Object]:
        """Return all objects of a kind, in one namespace or (None) in all.

        Items carry `apiVersion` and `kind`, which the API leaves out of lists.
        """
        self._cancelled.check()
        served = self._kinds.find(api_version, kind)
        if not served:
            return []
        params = {"labelSelector": label_selector, "fieldSelector": field_selector, "limit": _PAGE}
        url = kinds.path(served, api_version, namespace)
        found: list[Object] = []
        seen = {""}
        while True:
            answer = self._page(url, f"listing {served.plural}", params)
            if answer is None:
                return found
            items, more = answers.check_list(answer.data, answer.source, kind=kind)
            found += [{"apiVersion": api_version, "kind": kind} | item for item in items]
            if not more:
                return found
            if more in seen:
                answer.source.wrong("its pages do not end")
            seen.add(more)
            params["continue"] = more

    def events(self, namespace: str | None, involved_kind: str, involved_name: str) -> list[str]:
        """Return what happened to an object lately, oldest first, a sentence each.

        Never raises for want of permission or of events: they only explain.
        """
        selector = f"involvedObject.name={involved_name},involvedObject.kind={involved_kind}"
        try:
            found = self.list("v1", "Event", namespace or None, field_selector=selector)
        except errors.KubeError:
            return []
        found.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        return [_sentence(event) for event in found]

    def version(self) -> str:
        """Return the server's version, ``v1.34.4``."""
        answer = self._ask("GET", "/version", "asking for the version")
        version = answer.data.get("gitVersion")
        if not isinstance(version, str):
            answer.source.wrong("gitVersion is not a text")
        return version

    def namespaced(self, api_version: str, kind: str) -> bool | None:
        """Return whether objects of the kind live in a namespace, None where it is not served."""
        served = self._kinds.find(api_version, kind)
        return served.namespaced if served else None

    # -- writing ---------------------------------------------------------

    def apply(
        self,
        obj: Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = False,
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply `obj` and return what the API made of it.

        Raises `failures.ConflictError`, naming the other managers, when a field
        is theirs and `force` is off.
        """
        params = {"fieldManager": field_manager, "force": "true" if force else "false"}
        return self._write("PATCH", obj, "applying", params, dry_run, _PATCH["apply"])

    def create(
        self, obj: Mapping[str, Any], *, field_manager: str, dry_run: bool = False
    ) -> Object:
        """Create `obj`. Raises with status 409, reason ``AlreadyExists``, when it is there."""
        params = {"fieldManager": field_manager}
        return self._write("POST", obj, "creating", params, dry_run, "application/json")

    def patch(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None,
        patch: Any,
        *,
        kind_of_patch: PatchKind = "merge",
        subresource: str | None = None,
        field_manager: str = "elysium",
    ) -> Object:
        """Patch an object (or its `subresource`, such as ``status``) and return the result."""
        what = f"changing {title(kind, name, namespace)}"
        served = self._require(api_version, kind, what)
        scope = self._scope(served, namespace)
        url = kinds.path(served, api_version, scope, name, subresource or "")
        params = {"fieldManager": field_manager}
        body = json.dumps(patch)
        answer = self._ask(
            "PATCH", url, what, params=params, body=body, content_type=_PATCH[kind_of_patch]
        )
        # A subresource may have a kind of its own.
        expected = "" if subresource else kind
        return answers.check_object(answer.data, answer.source, kind=expected, name=name)

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        propagation: Propagation = "Background",
    ) -> bool:
        """Ask for the deletion; False when there is nothing to delete. Does not wait."""
        served = self._kinds.find(api_version, kind)
        if not served:
            return False
        options: Object = {"propagationPolicy": propagation}
        url = kinds.path(served, api_version, self._scope(served, namespace), name)
        what = f"deleting {title(kind, name, namespace)}"
        answer = self._wire.ask("DELETE", url, what, body=json.dumps(options), absent=True)
        if answer is None:
            return False
        answers.check_deleted(answer.data, answer.source)
        return True

    # -- helpers ---------------------------------------------------------

    def _ask(self, method: str, url: str, what: str, **more: Any) -> answers.Answer:
        answer = self._wire.ask(method, url, what, **more)
        if answer is None:  # only with `absent`
            raise errors.KubeError(f"{what}: there is no answer", status=404)
        return answer

    def _page(self, url: str, what: str, params: dict[str, str | None]) -> answers.Answer | None:
        """Return one page of a list; a smaller one where many large objects are on it."""
        try:
            return self._wire.ask("GET", url, what, params=params, absent=True)
        except errors.KubeError as error:
            if error.reason != "TooLarge" or params["limit"] == _SMALL_PAGE:
                raise
            params["limit"] = _SMALL_PAGE
            return self._wire.ask("GET", url, what, params=params, absent=True)

    def _scope(self, served: kinds.Served, namespace: str | None) -> str | None:
        return (namespace or self.endpoint.namespace) if served.namespaced else None

    def _require(self, api_version: str, kind: str, what: str) -> kinds.Served:
        served = self._kinds.find(api_version, kind)
        if served:
            return served
        raise errors.KubeError(
            f"{what}: the cluster does not know the kind {kind} of {api_version}",
            status=404,
            reason="NoKind",
            hint="its custom resource definition is not installed (yet)",
        )

    def _write(
        self,
        method: str,
        obj: Mapping[str, Any],
        verb: str,
        params: Mapping[str, str | None],
        dry_run: bool,
        content_type: str,
    ) -> Object:
        api_version, kind = str(obj["apiVersion"]), str(obj["kind"])
        metadata: Mapping[str, Any] = obj["metadata"]
        name, namespace = str(metadata["name"]), metadata.get("namespace")
        what = f"{verb} {title(kind, name, namespace)}"
        served = self._require(api_version, kind, what)
        url = kinds.path(
            served,
            api_version,
            self._scope(served, namespace),
            name if method == "PATCH" else "",
        )
        answer = self._ask(
            method,
            url,
            what,
            params={**params, "dryRun": "All" if dry_run else None},
            body=json.dumps(obj),
            content_type=content_type,
            hide=_values(obj) if kind == "Secret" else (),
        )
        return answers.check_object(answer.data, answer.source, kind=kind, name=name)

    def _discover(self, url: str, accept: str) -> Any:
        answer = self._wire.ask(
            "GET", url, "asking which kinds there are", accept=accept, absent=True
        )
        if answer is None:
            return None
        try:
            kinds.check(answer.data)
        except (KeyError, TypeError, AttributeError, ValueError):
            answer.source.wrong("it is no list of kinds")
        return answer.data


def _values(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """Return every value of a Secret, so that no error quotes one."""
    parts = (obj.get("data") or {}, obj.get("stringData") or {})
    return tuple(str(value) for part in parts for value in part.values())


def _sentence(event: Mapping[str, Any]) -> str:
    count = int(event.get("count") or (event.get("series") or {}).get("count") or 1)
    times = f" (x{count})" if count > 1 else ""
    message = " ".join(str(event.get("message") or "").split())
    return f"{event.get('type', 'Normal')} {event.get('reason', '')}{times}: {message}"
