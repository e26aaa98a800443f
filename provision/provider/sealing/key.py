"""``elysium:secrets:SealingKey``: the key pairs that open a repository's SealedSecrets.

The Sealed Secrets controller makes a key when it finds none, and a newer one
every 30 days; what is lost with the cluster opens nothing any more. So the
first key is made here and installed before any controller runs, every key
that the cluster has is read into the state at each refresh, and a cluster
that lacks one of them (a new node) gets it back.

A run that is killed leaves the new key in the cluster, where the next run
finds it by its label, or nothing at all: the certificate is committed last.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.change import Change
from provision.github import trees
from provision.gitops.sealing import keyring
from provision.gitops.sealing import keys as sealing_keys
from provision.provider.context import Context
from provision.provider.flux import objects as flux_objects
from provision.provider.flux import repository as flux_repository
from provision.provider.resource import UNKNOWN, Observed, Resource, Values
from provision.provider.sealing import cluster

if TYPE_CHECKING:
    from provision.github import commits
    from provision.github.repository import Repository

FIELD_MANAGER = "elysium"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What there is.

    `known` are the keys of the cluster, of the state and of the
    configuration, newest first; `installed` the fingerprints of those that the
    controller's namespace has. `certificate` is the text in Git, empty where
    there is none; `pull` an open pull request that has it.
    """

    known: tuple[sealing_keys.SealingKey, ...]
    installed: frozenset[str]
    certificate: str
    pull: commits.PullRequest | None
    head: str

    @property
    def missing(self) -> tuple[sealing_keys.SealingKey, ...]:
        """Return the keys that the controller's namespace lacks."""
        return tuple(key for key in self.known if key.fingerprint not in self.installed)


class SealingKey(Resource[Facts]):
    """All sealing keys of one cluster.

    Inputs: `kubeconfig`; `namespace`, the controller's; `branch`, `path` and
    `commit` as those of ``elysium:flux:Components``; `certificatePath`;
    `keys`, a secret text with keys to install (Secrets in YAML or JSON, or one
    PEM key), empty for none; `rotation`, any text that was not used before,
    asks for a new key, which the controller then seals with. A rotation leaves
    the certificate in Git alone: whoever asks for it commits that together
    with what is sealed anew.

    Outputs: `keys`, a secret: every key there is as a List of Secrets in JSON
    (`keyring.load`), newest first, also those that the cluster has lost;
    `certificate`, the newest key's, in PEM; `fingerprints` of all of them in
    the same order; `revision`, the commit since which the branch has the
    certificate; `rotated`, the `rotation` that was last carried out.
    """

    type = "elysium:secrets:SealingKey"
    plans_without = frozenset({"kubeconfig"})
    secret_outputs = frozenset({"keys"})
    secret_inputs = frozenset({"kubeconfig", "keys"})

    def check(self, inputs: Values) -> tuple[dict[str, Any], list[errors.Problem]]:
        """Fill in defaults; the given keys must be readable."""
        filled: dict[str, Any] = {
            "namespace": "flux-system",
            "branch": "main",
            "path": "",
            "commit": "push",
            "certificatePath": "etc/certs/pub-sealed-secrets.pem",
            "keys": "",
            "rotation": "",
        } | dict(inputs)
        problems: list[errors.Problem] = []
        if isinstance(filled["keys"], str) and filled["keys"]:
            try:
                sealing_keys.read_keys(filled["keys"], where="sealing.keys")
            except errors.GitOpsError as error:
                problems += error.problems
        return filled, problems

    def identity(self, inputs: Values) -> str:
        """Return the controller's namespace and the label of the keys."""
        return f"{inputs['namespace']}:{sealing_keys.KEY_LABEL}"

    def observe(self, ctx: Context, inputs: Values, state: Values) -> Observed[Facts]:
        """Read every labelled key of the cluster, and the certificate in Git.

        Raises `errors.PreflightError` when the certificate belongs to none of
        the keys: sealed with it, nothing would ever open.
        """
        live: list[sealing_keys.SealingKey] = []
        installed: set[str] = set()
        cluster_known = inputs["kubeconfig"] is not UNKNOWN
        if cluster_known:
            found = cluster.key_secrets(ctx.kube(inputs["kubeconfig"]))
            live, unreadable = keyring.from_secrets(found)
            for name in unreadable:
                ctx.warn(f"Secret {name} is labelled as a sealing key and holds none")
            here = [one for one in found if one["metadata"]["namespace"] == inputs["namespace"]]
            installed = {key.fingerprint for key in keyring.from_secrets(here)[0]}
        remembered = keyring.load(str(state.get("keys") or ""))
        known = keyring.together(live, remembered, _given(str(inputs["keys"])))
        repo = ctx.github()
        path = inputs["certificatePath"]
        head, pull = flux_repository.standing(
            ctx, inputs, lambda at: not repo.snapshot(at).sha(path)
        )
        certificate = _certificate(repo, path, head, known)
        if pull is not None and not repo.snapshot(pull.head).sha(path):
            pull = None
        refuse_other_certificate(certificate, known, path)
        facts = Facts(
            known=tuple(known),
            installed=frozenset(installed),
            certificate=certificate,
            pull=pull,
            head=head,
        )
        # Keys that only the state still has are why it exists: never forgotten, only installed.
        return Observed(exists=bool(known), facts=facts)

    def plan(self, facts: Facts, inputs: Values, state: Values) -> tuple[Change, ...]:
        """List the key to make, the keys to install and the certificate to commit."""
        changes: list[Change] = []
        why = _why_new(facts, inputs, state)
        if why:
            changes.append(
                Change(
                    property="newKey",
                    action="create",
                    summary=f"make a sealing key (RSA {sealing_keys.KEY_BITS}, ten years)"
                    f" in namespace {inputs['namespace']}: {why}",
                )
            )
        changes += [
            Change(
                property=f"installed.{key.fingerprint}",
                action="create",
                summary=f"install the sealing key {key.fingerprint} in namespace"
                f" {inputs['namespace']}: it is missing there",
            )
            for key in facts.missing
        ]
        if not facts.certificate and inputs["commit"] != "none" and facts.pull is None:
            how = "propose" if inputs["commit"] == "pull-request" else "commit"
            changes.append(
                Change(
                    property=f"git.{inputs['certificatePath']}",
                    action="commit",
                    summary=f"{how} the public certificate {inputs['certificatePath']}"
                    f" to {inputs['branch']}",
                )
            )
        return tuple(changes)

    def apply(
        self,
        ctx: Context,
        inputs: Values,
        facts: Facts,
        changes: tuple[Change, ...],
        state: Values,
    ) -> dict[str, Any]:
        """Install what is missing, then publish the certificate."""
        known = list(facts.known)
        wanted = list(facts.missing)
        why = _why_new(facts, inputs, state)
        if why:
            ctx.progress("making a sealing key")
            made = sealing_keys.make_key(after=known[0] if known else None)
            known, wanted = keyring.together(known, [made]), [*wanted, made]
        kube, namespace = ctx.kube(inputs["kubeconfig"]), inputs["namespace"]
        if wanted:
            flux_objects.ensure_namespace(kube, namespace, field_manager=FIELD_MANAGER)
            for key in wanted:
                ctx.progress(f"installing the sealing key {key.fingerprint}")
                cluster.install(kube, key, namespace)
            cluster.restart_controller(kube, namespace, progress=ctx.progress)
        kept = {"keys": keyring.dump(known, namespace)}
        if why and inputs["rotation"]:
            kept["rotated"] = inputs["rotation"]
        path = inputs["certificatePath"]
        if not facts.certificate and inputs["commit"] != "none" and facts.pull is None:
            certificate = known[0].certificate_pem
            message = "Add the public certificate for sealing secrets"
            flux_repository.publish(ctx, inputs, message, {path: certificate}, if_absent=(path,))
        return kept

    def outputs(self, facts: Facts, inputs: Values, state: Values) -> dict[str, Any]:
        """Return all keys, the newest certificate, and what names them."""
        return {
            "keys": keyring.dump(facts.known, inputs["namespace"]),
            "certificate": facts.known[0].certificate_pem if facts.known else "",
            "fingerprints": [key.fingerprint for key in facts.known],
            "certificatePath": inputs["certificatePath"],
            "revision": state.get("revision") or (facts.head if facts.certificate else ""),
            "rotated": state.get("rotated") or "",
        }

    def unknown_outputs(self, inputs: Values) -> dict[str, Any]:
        """The key is made, or found, when the cluster is there."""
        return dict.fromkeys(("keys", "certificate", "fingerprints", "revision"), UNKNOWN)

    def preview_outputs(self, facts: Facts, inputs: Values, state: Values) -> dict[str, Any]:
        """With a new key to come, its outputs are not known yet."""
        if _why_new(facts, inputs, state):
            return self.unknown_outputs(inputs)
        return self.outputs(facts, inputs, state)

    def delete(self, ctx: Context, inputs: Values, state: Values) -> None:
        """Leave keys and certificate where they are: without them the repository opens nowhere."""


@functools.lru_cache(maxsize=2)
def _given(text: str) -> tuple[sealing_keys.SealingKey, ...]:
    return tuple(sealing_keys.read_keys(text)) if text else ()


def _certificate(
    repo: Repository, path: str, head: str, known: list[sealing_keys.SealingKey]
) -> str:
    """Return the certificate in Git; one that is exactly a key's is not fetched."""
    sha = repo.snapshot(head).sha(path)
    ours = (key.certificate_pem for key in known if trees.blob_sha(key.certificate_pem) == sha)
    return next(ours, "") or (repo.read_file(path, head) if sha else "") or ""


def _why_new(facts: Facts, inputs: Values, state: Values) -> str:
    """Return why a key is made, or nothing."""
    if not facts.known:
        return "there is none"
    if inputs["rotation"] and inputs["rotation"] != state.get("rotated"):
        return "its rotation is asked for"
    return ""


def refuse_other_certificate(
    certificate: str, known: list[sealing_keys.SealingKey], path: str
) -> None:
    """Raise `errors.PreflightError` for a certificate that belongs to none of the keys."""
    problem = certificate_problem(certificate, known, path)
    if problem is not None:
        raise errors.PreflightError(
            "the repository's sealing certificate is not of this cluster", [problem]
        )


def certificate_problem(
    certificate: str, known: list[sealing_keys.SealingKey], path: str
) -> errors.Problem | None:
    """Return what is wrong with the certificate in Git, given all keys at hand."""
    if not certificate:
        return None
    try:
        found = sealing_keys.certificate_fingerprint(certificate)
    except sealing_keys.SealingError as error:
        return errors.Problem(where=path, message=str(error), hint="correct or remove the file")
    if any(key.fingerprint == found for key in known):
        return None
    have = ", ".join(key.fingerprint for key in known) or "none"
    return errors.Problem(
        where=path,
        key="sealing.keys",
        message=f"the certificate is for the key {found}, which is not at hand (there: {have}),"
        " and it is never overwritten",
        hint="give the key with 'elysium config set --secret sealing.keys', or remove the"
        " file for a new start: what was sealed with it then opens no more",
    )
