"""``elysium:flux:GitAccess``: the deploy key on GitHub and the Secret Flux reads, together.

The key in force is the one in the cluster's Secret, as long as GitHub knows
it. A new key always goes the same way: registered, proven from here by a real
fetch, switched to in one write, proven by Flux itself, and only then are other
keys of ours removed (`rotation`). So a run that was killed anywhere leaves
either the old key in force (and a registered one too many) or the new one (and
the old one too many); the next run sees which, and removes what is too many.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provision import errors, giturls
from provision.change import Change
from provision.github import deploy_keys
from provision.provider.context import Context
from provision.provider.deploy_key import keypair
from provision.provider.deploy_key import rotation as deploy_key_rotation
from provision.provider.flux import objects as flux_objects
from provision.provider.resource import UNKNOWN, Observed, Resource, Values


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What there is.

    `keys` are all deploy keys of the repository, `pinned` the known_hosts text
    that is wanted, `pair` and `known_hosts` what the Secret holds.
    `cluster_known` is False while the cluster does not exist yet. `remembered` is the
    fingerprint in the state.
    """

    keys: tuple[deploy_keys.DeployKey, ...]
    pinned: str
    cluster_known: bool
    secret_there: bool
    pair: keypair.KeyPair | None
    known_hosts: str
    remembered: str = ""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What follows from the facts.

    `pair` and `key` are in force (both or none). `new` says why a new key is
    needed, `write` why the Secret is written; empty: no need. `extra` are keys
    of ours that are not in force, to be removed. `others` have this cluster's name in
    their title, and another stack's id or none: they stay, unless the input `prune` names them.
    `unproven`: the key in force has not been tried from here.
    """

    pair: keypair.KeyPair | None
    key: deploy_keys.DeployKey | None
    new: str
    write: str
    extra: tuple[deploy_keys.DeployKey, ...]
    unproven: bool
    generation: int
    others: tuple[deploy_keys.DeployKey, ...] = ()


def decide(facts: Facts, inputs: Values, state: Values) -> Decision:
    """Decide which key is in force and what is left to do. Pure."""
    by_print = {key.fingerprint: key for key in facts.keys}
    remembered = keypair.pair_of(str(state.get("privateKey") or ""))
    pair = next(
        (p for p in (facts.pair, remembered) if p is not None and p.fingerprint in by_print), None
    )
    key = by_print[pair.fingerprint] if pair else None
    known = [keypair.generation_of(inputs["cluster"], k.title) for k in facts.keys]
    last = max([g for g in known if g is not None] + [int(state.get("generation") or 0)])
    unused = [k for k in facts.keys if key is None or k.id != key.id]
    pruned: list[str] = list(inputs.get("prune") or [])
    others = tuple(
        k
        for k in unused
        if keypair.stack_of(inputs["cluster"], k.title, k.fingerprint) is not None
        and not _is_ours(k, inputs, state)
    )
    extra = tuple(
        k for k in unused if _is_ours(k, inputs, state) or (k in others and k.fingerprint in pruned)
    )
    if pair is None or key is None:
        new = "there is none" if not facts.secret_there else "GitHub does not know the one in use"
        if facts.secret_there and facts.pair is None:
            new = "the Secret holds no private key"
    else:
        new = _why_new(pair, key, inputs, state)
    return Decision(
        pair=pair,
        key=key,
        new=new,
        write="" if new else _why_write(facts, pair, key, inputs),
        extra=extra,
        unproven=not new and pair is not None and state.get("proven") != pair.fingerprint,
        generation=last,
        others=tuple(k for k in others if k not in extra),
    )


def _is_ours(key: deploy_keys.DeployKey, inputs: Values, state: Values) -> bool:
    """Return whether this stack made `key`, or remembers it.

    An adopted key keeps its title, and one of version 0.1.0 has no stack id: the state
    remembers their fingerprint.
    """
    stack_id = str(inputs.get("stackId") or "")
    return keypair.is_ours(inputs["cluster"], stack_id, key.title, key.fingerprint) or (
        key.fingerprint == state.get("fingerprint")
    )


def _why_new(
    pair: keypair.KeyPair, key: deploy_keys.DeployKey, inputs: Values, state: Values
) -> str:
    if key.read_only and inputs["readWrite"]:
        return "it is read-only, and image automation has to push"
    if not key.read_only and not inputs["readWrite"]:
        return "it is read-write, and read-only is wanted"
    before = state.get("algorithm")
    if before not in (None, inputs["algorithm"]) and pair.algorithm != inputs["algorithm"]:
        return f"it is {pair.algorithm}, and {inputs['algorithm']} is wanted"
    if not key.enabled:
        return "GitHub disabled it"
    rotation = inputs.get("rotation")
    if rotation and rotation != state.get("rotated"):
        return "its rotation is asked for"
    return ""


def _why_write(
    facts: Facts,
    pair: keypair.KeyPair | None,
    key: deploy_keys.DeployKey | None,
    inputs: Values,
) -> str:
    if not facts.cluster_known or not facts.secret_there:
        return "it is missing"
    if facts.pair is None or pair is None or facts.pair.fingerprint != pair.fingerprint:
        return "it holds another key"
    have, want = keypair.pins(facts.known_hosts), keypair.pins(facts.pinned)
    # `flux bootstrap` pins one of the server's keys. That is right as long as it is one.
    made_here = key is not None and keypair.generation_of(inputs["cluster"], key.title) is not None
    if have != want and (made_here or not have or not have <= want):
        return "the git server's host keys changed"
    return ""


class GitAccess(Resource[Facts]):
    """One deploy key for one cluster.

    Besides the inputs that the program gives, `rotation` (any text that was not used
    before) asks for a new key, and `prune` names fingerprints of other stacks' keys to remove.
    """

    type = "elysium:flux:GitAccess"
    plans_without = frozenset({"kubeconfig"})
    secret_outputs = frozenset({"privateKey"})
    secret_inputs = frozenset({"kubeconfig"})

    def check(self, inputs: Values) -> tuple[dict[str, Any], list[errors.Problem]]:
        """Fill in defaults."""
        defaults: dict[str, Any] = {
            "namespace": "flux-system",
            "secretName": "flux-system",
            "algorithm": "ed25519",
            "hostKeys": [],
            "rotation": "",
            "stackId": "",
            "prune": [],
        }
        problems: list[errors.Problem] = []
        url = inputs.get("gitUrl")
        if isinstance(url, str) and not url.startswith("ssh://"):
            problems.append(errors.Problem(message=f"{url} is no ssh:// URL", key="gitUrl"))
        return defaults | dict(inputs), problems

    def identity(self, inputs: Values) -> str:
        """Return the repository and the cluster that the key joins."""
        return f"{inputs['gitUrl']}:{inputs['cluster']}"

    def observe(self, ctx: Context, inputs: Values, state: Values) -> Observed[Facts]:
        """Read GitHub's keys and host keys and the cluster's Secret."""
        repo = ctx.github()
        host_keys = tuple(inputs.get("hostKeys") or ()) or repo.host_keys()
        keys = repo.deploy_keys()
        secret: Mapping[str, Any] | None = None
        cluster_known = inputs["kubeconfig"] is not UNKNOWN
        if cluster_known:
            kube = ctx.kube(inputs["kubeconfig"])
            secret = kube.get("v1", "Secret", inputs["secretName"], inputs["namespace"])
        facts = Facts(
            keys=keys,
            pinned=keypair.known_hosts(inputs["gitUrl"], host_keys),
            cluster_known=cluster_known,
            secret_there=secret is not None,
            pair=keypair.pair_of(keypair.secret_field(secret, "identity")) if secret else None,
            known_hosts=keypair.secret_field(secret, "known_hosts") if secret else "",
            remembered=str(state.get("fingerprint") or ""),
        )
        ours = any(_is_ours(k, inputs, state) for k in keys)
        return Observed(exists=facts.secret_there or ours, facts=facts)

    def plan(self, facts: Facts, inputs: Values, state: Values) -> tuple[Change, ...]:
        """List the key to come, the Secret's write and the keys to go."""
        found = decide(facts, inputs, state)
        changes: list[Change] = []
        mode = "read-write" if inputs["readWrite"] else "read-only"
        if found.new:
            changes.append(
                Change(
                    property="publicKey",
                    action="update" if found.key else "create",
                    summary=f"register a new {mode} deploy key ({inputs['algorithm']}):"
                    f" {found.new}",
                )
            )
            changes.append(self._secret_change(facts, inputs, "for the new key"))
        elif found.write:
            changes.append(self._secret_change(facts, inputs, found.write))
        elif found.unproven and found.key:
            changes.append(
                Change(
                    property="proven",
                    action="run",
                    summary=f"fetch with the deploy key {found.key.title!r}"
                    f" {found.key.fingerprint}, to prove it",
                )
            )
        gone = list(found.extra)
        if found.new and found.key is not None and found.key not in gone:
            gone.append(found.key)
        changes += [
            Change(
                property=f"keys.{key.id}",
                action="delete",
                summary=f"remove the deploy key {key.title!r} {key.fingerprint}",
            )
            for key in gone
        ]
        return tuple(changes)

    def remarks(self, facts: Facts, inputs: Values) -> tuple[str, ...]:
        """Name the keys that another stack of this name may use, which stay."""
        found = decide(facts, inputs, {"fingerprint": facts.remembered})
        return tuple(
            f"the deploy key {key.title!r} {key.fingerprint} has this cluster's name and is not"
            " known to this stack; it stays. If no other cluster uses it:"
            " elysium rotate deploy-key --prune"
            for key in found.others
        )

    def _secret_change(self, facts: Facts, inputs: Values, why: str) -> Change:
        name = f"{inputs['namespace']}/{inputs['secretName']}"
        before = sorted(keypair.pins(facts.known_hosts))
        after = sorted(keypair.pins(facts.pinned))
        return Change(
            property="secret",
            action="update" if facts.secret_there else "create",
            summary=f"write the Secret {name}: {why}",
            diff="\n".join(
                difflib.unified_diff(before, after, "known_hosts", "known_hosts", lineterm="")
            )
            if facts.secret_there
            else "",
        )

    def apply(
        self,
        ctx: Context,
        inputs: Values,
        facts: Facts,
        changes: tuple[Change, ...],
        state: Values,
    ) -> dict[str, Any]:
        """Bring exactly one proven key of ours into force."""
        found = decide(facts, inputs, state)
        work = deploy_key_rotation.Work(
            ctx=ctx,
            inputs=inputs,
            pinned=facts.pinned,
            generation=found.generation + 1 if found.new else found.generation,
            old=found.pair,
            old_key=found.key,
            old_known_hosts=facts.known_hosts,
            secret_there=facts.secret_there,
            write=bool(found.new or found.write),
            make=bool(found.new),
            extra=found.extra,
        )
        pair = deploy_key_rotation.run(work)
        return {
            "privateKey": pair.private.reveal(),
            "proven": pair.fingerprint,
            "generation": work.generation,
            "rotated": inputs.get("rotation") or state.get("rotated") or "",
        }

    def outputs(self, facts: Facts, inputs: Values, state: Values) -> dict[str, Any]:
        """Return the key in force; where there is none, what is remembered of the last one."""
        found = decide(facts, inputs, state)
        if found.pair is None or found.key is None:
            names = ("keyId", "title", "fingerprint", "publicKey", "privateKey", "readOnly")
            names += ("createdAt", "knownHosts", "generation", "proven", "rotated")
            return {name: state[name] for name in names if name in state}
        key = found.key
        generation = keypair.generation_of(inputs["cluster"], key.title)
        return {
            "keyId": key.id,
            "title": key.title,
            "fingerprint": key.fingerprint,
            "publicKey": found.pair.public,
            "privateKey": found.pair.private.reveal(),
            "readOnly": key.read_only,
            "createdAt": key.created_at.isoformat() if key.created_at else "",
            "knownHosts": facts.pinned,
            "generation": found.generation if generation is None else generation,
            "proven": state.get("proven") or "",
            "rotated": state.get("rotated") or "",
        }

    def unknown_outputs(self, inputs: Values) -> dict[str, Any]:
        """Everything but the mode is made at creation."""
        names = ("keyId", "title", "fingerprint", "publicKey", "privateKey", "createdAt")
        return dict.fromkeys((*names, "knownHosts", "generation"), UNKNOWN) | {
            "readOnly": not inputs["readWrite"]
        }

    def preview_outputs(self, facts: Facts, inputs: Values, state: Values) -> dict[str, Any]:
        """With a new key to come, its outputs are not known yet."""
        if decide(facts, inputs, state).new:
            return self.unknown_outputs(inputs)
        return self.outputs(facts, inputs, state)

    def delete(self, ctx: Context, inputs: Values, state: Values) -> None:
        """Remove our keys from GitHub and our Secret from the cluster, if that still answers."""
        repo = ctx.github()
        mine = str(state.get("fingerprint") or "")
        prints = {mine}
        _refuse_users(ctx, inputs)
        for key in repo.deploy_keys(fresh=True):
            if _is_ours(key, inputs, state):
                prints.add(key.fingerprint)
                ctx.progress(f"removing the deploy key {key.title!r} {key.fingerprint}")
                repo.delete_deploy_key(key.id)
            elif keypair.stack_of(inputs["cluster"], key.title, key.fingerprint) is not None:
                ctx.warn(
                    f"the deploy key {key.title!r} {key.fingerprint} has this cluster's name and"
                    " is not known to this stack; it stays"
                )
        # A cluster that is gone took its Secret with it.
        if inputs["kubeconfig"] is UNKNOWN:
            return
        with contextlib.suppress(errors.KubeError):
            kube = ctx.kube(inputs["kubeconfig"])
            name, namespace = inputs["secretName"], inputs["namespace"]
            secret = kube.get("v1", "Secret", name, namespace)
            pair = keypair.pair_of(keypair.secret_field(secret, "identity")) if secret else None
            if secret is None or pair is None or pair.fingerprint not in prints:
                return
            if any(field not in keypair.FIELDS for field in secret.get("data") or {}):
                # Flux may log in with them, over HTTPS.
                fields = dict.fromkeys(keypair.FIELDS)
                kube.patch("v1", "Secret", name, namespace, {"data": fields})
            else:
                kube.delete("v1", "Secret", name, namespace)


def _refuse_users(ctx: Context, inputs: Values) -> None:
    """Refuse to remove the key from under a source, where Flux goes on over HTTPS.

    Raises `errors.StackError` that names the sources. When the whole cluster goes, its sync is
    gone already, and nothing follows the repository over HTTPS.
    """
    if inputs["kubeconfig"] is UNKNOWN:
        return
    with contextlib.suppress(errors.KubeError):
        kube = ctx.kube(inputs["kubeconfig"])
        name, namespace = inputs["secretName"], inputs["namespace"]
        users = flux_objects.users_of_secret(kube, namespace, name, pushes=False)
        ours = giturls.parse(inputs["gitUrl"]).slug
        sources = kube.list(flux_objects.SOURCE, "GitRepository", namespace)
        urls = [giturls.parse(str(source["spec"].get("url") or "")) for source in sources]
        switched = any(url.scheme in ("https", "http") and url.slug == ours for url in urls)
        if users and switched:
            raise errors.StackError(
                "the deploy key is still in use, and stays",
                operation="remove the deploy key",
                detail="\n".join(f"- {user} fetches over SSH with it" for user in users),
                hint=f"give each of them a Secret of its own in place of {namespace}/{name}, then"
                " run elysium up again",
            )
