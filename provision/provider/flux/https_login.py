"""``elysium:flux:HttpsAccess``: the Secret with which Flux logs in to Git over HTTPS.

It holds a token, or the number and the private key of a GitHub App. Neither is
an input or an output: both come from the configuration of whoever runs, and the
state has a fingerprint. A login is tried from here before it is written, and
Flux has fetched with it before the resource counts as done; else the fields of
before are put back.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from provision import errors
from provision.change import Change
from provision.github.git_login import GitLogin
from provision.kube import wait
from provision.kube.client import KubeClient
from provision.provider.context import Context
from provision.provider.flux import https_access, objects
from provision.provider.resource import UNKNOWN, Observed, Resource, Values

FIELD_MANAGER: Final = "elysium-https"
"""Not the manager of the deploy key's fields: while Flux changes from one to the other, the Secret
holds both."""
_SETTLE_TIMEOUT: Final = 180.0
_APP: Final = "githubApp"
_OTHER_INSTALLATION: Final = ("githubAppInstallationID", "githubAppInstallationOwner")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the Secret holds, compared with the login that is wanted.

    `differing` are the fields to write, `contradicting` those to remove, by name. `others` are
    GitRepositories that could not work with the Secret any more.
    """

    kind: str
    words: str
    fingerprint: str
    cluster_known: bool
    secret_there: bool
    differing: tuple[str, ...]
    contradicting: tuple[str, ...]
    others: tuple[str, ...]


class HttpsAccess(Resource[Facts]):
    """One login over HTTPS for one cluster."""

    type = "elysium:flux:HttpsAccess"
    plans_without = frozenset({"kubeconfig"})
    secret_inputs = frozenset({"kubeconfig"})

    def check(self, inputs: Values) -> tuple[dict[str, Any], list[errors.Problem]]:
        """Refuse an address that is not HTTPS."""
        problems: list[errors.Problem] = []
        url = inputs.get("gitUrl")
        if isinstance(url, str) and not url.startswith(("https://", "http://")):
            problems.append(errors.Problem(message=f"{url} is no https:// URL", key="gitUrl"))
        return dict(inputs), problems

    def identity(self, inputs: Values) -> str:
        """Return namespace and name of the Secret."""
        return f"{inputs['namespace']}/{inputs['secretName']}"

    def replaces(self, state: Values, inputs: Values) -> tuple[str, ...]:
        """Have the Secret of another name made first; the old one goes when Flux uses the new."""
        moved = state.get("secretName") not in (None, inputs["secretName"])
        return ("secretName",) if moved else ()

    def observe(self, ctx: Context, inputs: Values, state: Values) -> Observed[Facts]:
        """Read the Secret and who uses it."""
        login = ctx.git_login()
        secret: Mapping[str, Any] | None = None
        others: tuple[str, ...] = ()
        cluster_known = inputs["kubeconfig"] is not UNKNOWN
        if cluster_known:
            kube = ctx.kube(inputs["kubeconfig"])
            secret = kube.get("v1", "Secret", inputs["secretName"], inputs["namespace"])
            if secret is not None:
                others = _others(kube, inputs)
        have: Mapping[str, Any] = (secret or {}).get("data") or {}
        want = _data(login)
        facts = Facts(
            kind=login.kind,
            words=login.words,
            fingerprint=login.fingerprint,
            cluster_known=cluster_known,
            secret_there=secret is not None,
            differing=tuple(name for name in want if not _same(have.get(name), want[name])),
            contradicting=_contradicting(have, login),
            others=others,
        )
        return Observed(exists=secret is not None, facts=facts)

    def plan(self, facts: Facts, inputs: Values, state: Values) -> tuple[Change, ...]:
        """List the Secret's write, or the proof that is missing."""
        if facts.others:
            raise _shared(facts, inputs)
        name = self.identity(inputs)
        if not facts.cluster_known or not facts.secret_there:
            why = "it is missing"
        elif facts.differing:
            why = f"its {' and '.join(facts.differing)} differs"
        elif facts.contradicting:
            why = f"its {' and '.join(facts.contradicting)} contradicts the {facts.words}"
        elif state.get("proven") != facts.fingerprint:
            return (
                Change(
                    property="proven",
                    action="run",
                    summary=f"fetch {inputs['branch']} over HTTPS with the {facts.words} of the"
                    f" Secret {name}, to prove it",
                ),
            )
        else:
            return ()
        return (
            Change(
                property="secret",
                action="update" if facts.secret_there else "create",
                summary=f"write the Secret {name} with the {facts.words} of Flux: {why}",
            ),
        )

    def remarks(self, facts: Facts, inputs: Values) -> tuple[str, ...]:
        """Say that a token lies in the cluster."""
        if facts.kind != "token":
            return ()
        return (
            f"the token of Flux is stored in the cluster: who may read the Secret"
            f" {self.identity(inputs)} has it. A fine-grained token for this repository alone, or"
            " flux.auth app, limits that",
        )

    def apply(
        self,
        ctx: Context,
        inputs: Values,
        facts: Facts,
        changes: tuple[Change, ...],
        state: Values,
    ) -> dict[str, Any]:
        """Prove the login from here, write the Secret, and have Flux fetch with it."""
        login = ctx.git_login()
        ctx.progress(f"fetching {inputs['branch']} over HTTPS with the {login.words}")
        login.prove(inputs["branch"], push=bool(inputs["readWrite"]))
        if facts.cluster_known and facts.secret_there and not _writes(facts):
            return {"proven": login.fingerprint}
        kube = ctx.kube(inputs["kubeconfig"])
        name, namespace = inputs["secretName"], inputs["namespace"]
        before = kube.get("v1", "Secret", name, namespace)
        if before is None:
            objects.ensure_namespace(kube, namespace, field_manager=FIELD_MANAGER)
        ctx.progress(f"writing the Secret {namespace}/{name}")
        try:
            _write(kube, inputs, login, facts.contradicting)
            _settle(ctx, kube, inputs)
        except errors.ElysiumError as error:
            error.detail = f"{error.detail}\n{_take_back(kube, inputs, login, before)}".strip()
            raise
        return {"proven": login.fingerprint}

    def outputs(self, facts: Facts, inputs: Values, state: Values) -> dict[str, Any]:
        """Return which login it is, by kind and fingerprint."""
        return {
            "auth": facts.kind,
            "login": facts.words,
            "fingerprint": facts.fingerprint,
            "proven": state.get("proven") or "",
        }

    def unknown_outputs(self, inputs: Values) -> dict[str, Any]:
        """Nothing is known before the login was tried."""
        return dict.fromkeys(("auth", "login", "fingerprint", "proven"), UNKNOWN)

    def delete(self, ctx: Context, inputs: Values, state: Values) -> None:
        """Remove the login from the cluster, unless somebody else uses or changed it."""
        if inputs["kubeconfig"] is UNKNOWN:
            return
        with contextlib.suppress(errors.KubeError):  # a cluster that is gone took it along
            kube = ctx.kube(inputs["kubeconfig"])
            name, namespace = inputs["secretName"], inputs["namespace"]
            secret = kube.get("v1", "Secret", name, namespace)
            if secret is None or not https_access.held(secret):
                return
            users = https_access.users(kube, secret, switched="")
            if users:
                ctx.warn(
                    f"the Secret {namespace}/{name} keeps the login of Flux:"
                    f" {', '.join(users)} may use it"
                )
                return
            rest = https_access.without(secret).get("data") or {}
            if rest:
                kube.patch("v1", "Secret", name, namespace, https_access.removal(secret))
            else:
                kube.delete("v1", "Secret", name, namespace)


def _writes(facts: Facts) -> bool:
    return bool(facts.differing or facts.contradicting)


def _data(login: GitLogin) -> dict[str, str]:
    """Return the fields of the Secret, as a Secret has them."""
    return {
        name: base64.b64encode(value.reveal().encode()).decode()
        for name, value in login.fields.items()
    }


def _same(have: Any, want: str) -> bool:
    """Return whether two fields say the same; a line's end does not count."""
    try:
        return base64.b64decode(str(have or "")).strip() == base64.b64decode(want).strip()
    except (ValueError, binascii.Error):
        return False


def _contradicting(have: Mapping[str, Any], login: GitLogin) -> tuple[str, ...]:
    """Return the fields of `have` with which source-controller refuses or ignores the login.

    An App's fields belong to `spec.provider: github` alone, which takes one of two fields for the
    installation. A bearer token comes before a password.
    """
    if login.kind == "token":
        return tuple(n for n in have if n == "bearerToken" or n.startswith(_APP))
    return tuple(n for n in _OTHER_INSTALLATION if n in have and n not in login.fields)


def _others(kube: KubeClient, inputs: Values) -> tuple[str, ...]:
    """Return the GitRepositories that name the Secret and need a login of another kind."""
    app = inputs["auth"] == "app"
    found: list[str] = []
    for source in kube.list(objects.SOURCE, "GitRepository", inputs["namespace"]):
        spec: Mapping[str, Any] = source.get("spec") or {}
        if (spec.get("secretRef") or {}).get("name") != inputs["secretName"]:
            continue
        if (spec.get("provider") == "github") != app:
            found.append(f"GitRepository {inputs['namespace']}/{source['metadata']['name']}")
    return tuple(found)


def _shared(facts: Facts, inputs: Values) -> errors.PreflightError:
    other = f"{inputs['namespace']}/{inputs['secretName']}"
    return errors.PreflightError(
        f"the Secret {other} cannot hold the {facts.words} of Flux yet",
        [
            errors.Problem(
                message=f"it uses this Secret with a login of another kind, and would fail until"
                f" its address and provider are changed to those of flux.auth {facts.kind}",
                where=name,
                key="flux.secret",
            )
            for name in facts.others
        ],
        hint="choose another name for the new Secret, and elysium changes the source to it:"
        f" elysium config set flux.secret {inputs['secretName']}-{facts.kind}",
    )


def _write(
    kube: KubeClient, inputs: Values, login: GitLogin, contradicting: tuple[str, ...]
) -> None:
    name, namespace = inputs["secretName"], inputs["namespace"]
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": _data(login),
    }
    kube.apply(manifest, field_manager=FIELD_MANAGER, force=True)
    if contradicting:
        kube.patch("v1", "Secret", name, namespace, {"data": dict.fromkeys(contradicting)})


def _settle(ctx: Context, kube: KubeClient, inputs: Values) -> None:
    """Have each source over HTTPS that names the Secret fetch with what it holds now."""
    refs = [
        wait.Ref.of(source)
        for source in kube.list(objects.SOURCE, "GitRepository", inputs["namespace"])
        if (source["spec"].get("secretRef") or {}).get("name") == inputs["secretName"]
        and str(source["spec"].get("url") or "").startswith(("http://", "https://"))
        and not source["spec"].get("suspend")
    ]
    if refs:
        stamp = datetime.datetime.now(datetime.UTC).isoformat()
        objects.reconcile_now(kube, refs, stamp, timeout=_SETTLE_TIMEOUT, progress=ctx.progress)


def _take_back(
    kube: KubeClient, inputs: Values, login: GitLogin, before: Mapping[str, Any] | None
) -> str:
    """Put the fields of `before` back into the Secret; say what came of it."""
    if before is None:
        return "The new Secret stays, since there is none of before to go back to."
    had: Mapping[str, Any] = before.get("data") or {}
    names = {*login.fields, *(name for name in had if name in https_access.FIELDS)}
    try:
        kube.patch(
            "v1",
            "Secret",
            inputs["secretName"],
            inputs["namespace"],
            {"data": {name: had.get(name) for name in sorted(names)}},
        )
    except errors.ElysiumError as error:
        return f"Putting the login of before back failed too ({error.summary}): run elysium up."
    return "The Secret has the login of before again: nothing changed."
