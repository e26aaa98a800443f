"""``elysium:node:K3sServer``: a k3s server, from its binary to a Ready node.

What it does better than k3s' install script: the configuration counts for
the decision to restart, also when an earlier run was interrupted; the start
has a deadline; a kubeconfig is parsed, not string-replaced; nothing is
downgraded; uninstalling leaves the node as it was. A server that was set up by
hand and runs as configured is left as it is, files and all (`existing`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from provision import errors
from provision.artifacts import catalog
from provision.change import Change
from provision.host import bundle, facts
from provision.provider import node_files, node_templates, resource
from provision.provider.context import Context
from provision.provider.k3s import (
    airgap,
    binaries,
    client_ca,
    datastore,
    existing,
    files,
    folders,
    service,
)
from provision.provider.k3s import plan as k3s_plan
from provision.provider.k3s import token as k3s_token

K3sFacts = k3s_plan.K3sFacts
_SCRIPTS = ("k3s-killall.sh", "k3s-uninstall.sh")
Values = resource.Values


def fact_request(inputs: Values, state: Values | None = None) -> facts.FactRequest:
    """Return what is asked of the node; of the archive of images only where it matters."""
    at = files.places(inputs)
    contents = {
        files.CONFIG,
        files.REGISTRIES,
        files.UNIT,
        *(f"{folder}/{name}" for folder in binaries.FOLDERS for name in _SCRIPTS),
        files.STARTED,
        at.kubeconfig,
        at.token,
        at.token_before,
        at.client_authority,
    }
    return facts.FactRequest(
        files=frozenset(
            {
                files.ENV,
                files.CONFIG_BACKUP,
                at.encryption,
                *at.databases,
                *(airgap.paths(inputs) if airgap.concerns(inputs, state or {}) else ()),
                *(
                    f"{folder}/{name}"
                    for folder in binaries.FOLDERS
                    for name in ("k3s", *files.LINKS)
                ),
            }
            | contents
        ),
        contents=frozenset(contents),
        listings=frozenset({files.DROP_INS}),
        units=frozenset({files.UNIT_NAME}),
        commands=frozenset(files.LINKS),
        snippets=frozenset(
            {
                service.version_snippet(),
                binaries.snippet(),
                existing.snippet(),
                datastore.snippet(),
                folders.snippet(at.data),
            }
        ),
    )


class K3sServer(resource.Resource[K3sFacts]):
    """One k3s server on one node.

    Besides the inputs that the program gives, `tokenRotation` (any text that
    was not used before) asks for a new server token, and `clientRotation` for
    a new authority for client certificates beside the old one, or, as
    `client_ca.FINISH`, for the new one alone. `migrateDatastore` asks for the
    move of the datastore from SQLite to etcd.
    """

    type = "elysium:node:K3sServer"
    secret_outputs = frozenset({"kubeconfig", "token"})
    secret_inputs = frozenset({"registries", "proxy", "options"})

    def check(self, inputs: Values) -> tuple[dict[str, Any], list[errors.Problem]]:
        """Fill in defaults; refuse options that have a place of their own."""
        filled: dict[str, Any] = {
            "managedBy": "elysium",
            "datastore": "sqlite",
            "secretsEncryption": True,
            "tlsSan": [],
            "disable": [],
            "registries": {},
            "proxy": {},
            "options": {},
            "startTimeout": 300,
            "tokenRotation": "",
            "clientRotation": "",
        } | dict(inputs)
        problems: list[errors.Problem] = []
        options = filled["options"] if isinstance(filled["options"], Mapping) else {}
        for name, place in files.OWN_OPTIONS.items():
            if name in options:
                problems.append(
                    errors.Problem(
                        message=f"'{name}' is set with {place}, not among the options",
                        key="options",
                    )
                )
        proxy = filled["proxy"] if isinstance(filled["proxy"], Mapping) else {}
        if any("\n" in str(value) for value in proxy.values()):
            problems.append(errors.Problem(message="a proxy has no line breaks", key="proxy"))
        if "%" in str(filled.get("address", "")):
            problems.append(
                errors.Problem(
                    message=f"{filled['address']} has a zone, which counts on this machine only:"
                    " no certificate and no kubeconfig can name it",
                    key="address",
                    hint="set nodes[0].address to an address or a name without a zone",
                )
            )
        return filled, problems

    def identity(self, inputs: Values) -> str:
        """Return the node's name."""
        return str(inputs["node"])

    def observe(self, ctx: Context, inputs: Values, state: Values) -> resource.Observed[K3sFacts]:
        """Read the node, and which binary is pinned."""
        node_templates.warm()
        session = ctx.node(str(inputs["node"]))
        found = session.facts(fact_request(inputs, state))
        artifact = catalog.k3s(str(inputs["version"]))
        pinned = ctx.artifacts().content_sha256(artifact, found.system.arch)
        images = ""
        if airgap.wanted(inputs):
            archive = catalog.k3s_images(str(inputs["version"]))
            images = ctx.artifacts().content_sha256(archive, found.system.arch)
        observed = K3sFacts(node=found, pinned=pinned, images=images)
        binary = files.places(binaries.placed(found, inputs)).binary
        exists = found.file(binary) is not None or found.file(files.UNIT) is not None
        return resource.Observed(exists=exists, facts=observed)

    def plan(self, facts: K3sFacts, inputs: Values, state: Values) -> tuple[Change, ...]:
        """Decide what to change."""
        inputs = binaries.placed(facts.node, inputs)
        changes = airgap.plan(facts, inputs, state) + k3s_plan.plan(facts, inputs)
        if not state.get("token"):
            changes = k3s_plan.plan_leftover(facts, inputs) + changes
        if k3s_token.wanted(inputs, state):
            changes += k3s_plan.plan_token(changes)
        return changes + client_ca.plan(client_authority(facts, inputs), inputs, state)

    def remarks(self, facts: K3sFacts, inputs: Values) -> tuple[str, ...]:
        """Say what is different from the configuration and stays so."""
        inputs = binaries.placed(facts.node, inputs)
        said = k3s_plan.remarks(facts, inputs) + airgap.remarks(facts, inputs)
        if replaced_token(facts, inputs) and not inputs.get("tokenRotation"):
            said += (
                f"the new server token of k3s on {inputs['node']} is not verified yet:"
                " 'elysium rotate k3s-token' finishes what was begun",
            )
        if client_ca.under_way(client_authority(facts, inputs)) and not inputs.get(
            "clientRotation"
        ):
            said += (
                f"k3s on {inputs['node']} still takes client certificates of its old authority:"
                " 'elysium rotate kubeconfig' finishes what was begun",
            )
        return said

    def apply(
        self,
        ctx: Context,
        inputs: Values,
        facts: K3sFacts,
        changes: tuple[Change, ...],
        state: Values,
    ) -> dict[str, Any]:
        """Upload, write, and (re)start if that is among the changes."""
        node = ctx.node(str(inputs["node"]))
        inputs = binaries.placed(facts.node, inputs)
        at = files.places(inputs)
        refused = k3s_plan.shared_folders(facts.node, inputs, fresh=True)
        if refused:
            raise errors.RemoteError(
                f"k3s on {node.name} is not started in a folder that it would share",
                host=node.transport.host,
                detail="\n".join(refused),
                hint=k3s_plan.OWN_FOLDER,
            )
        stays = k3s_plan.why_taken_over(facts, inputs) == ()
        if any(change.property == f"files.{at.binary}" for change in changes):
            version, arch = str(inputs["version"]), facts.node.system.arch
            path = ctx.artifacts().fetch(catalog.k3s(version), arch, progress=ctx.progress)
            ctx.progress(f"uploading k3s {version} to {node.name}")
            node.lock()
            node.stream(path, at.binary, mode=0o755, sha256=facts.pinned)
        kept: dict[str, Any] = {**airgap.place(ctx, node, facts, inputs, changes)}
        wanted = () if stays else k3s_plan.wanted_files(facts, inputs)
        if k3s_plan.foreign_config(facts.node) and not stays:
            node.run(
                f"cp -p {files.CONFIG} {files.CONFIG_BACKUP}",
                timeout=30,
                what="keeping the config.yaml that was there",
            )
        unit = facts.node.unit(files.UNIT_NAME)
        unit_written = any(c.property == f"files.{files.UNIT}" for c in changes)
        node.apply(
            bundle.Bundle(
                files=node_files.needed(facts.node, wanted),
                links=tuple(
                    bundle.Link(path=at.link(name), target="k3s")
                    for name in (() if stays else k3s_plan.missing_links(facts.node, inputs))
                ),
                removals=(
                    *airgap.removals(inputs, changes),
                    *(
                        ()
                        if stays or inputs.get("registries")
                        else k3s_plan.ours(facts.node, files.REGISTRIES)
                    ),
                ),
                reload=unit_written or unit.needs_reload,
                enable=() if unit.enabled == "enabled" else (files.UNIT_NAME,),
            ),
            what="configuring k3s",
        )
        actions = {change.action for change in changes}
        name = node_name(inputs)
        if "start" in actions:
            service.record(node)
            anew = not stays and k3s_plan.starts_with_other_files(facts, inputs)
            service.start(node, inputs, restart=anew, name=name, progress=ctx.progress)
        if k3s_token.wanted(inputs, state):
            ctx.progress(f"having k3s on {node.name} make another token")
            k3s_token.rotate(node, inputs)
            kept["tokenRotated"] = inputs["tokenRotation"]
        authority = client_authority(facts, inputs)
        if client_ca.begins(inputs, state):
            ctx.progress(f"giving k3s on {node.name} another authority for client certificates")
            client_ca.begin(node, inputs, authority)
            kept["clientRotated"] = inputs["clientRotation"]
        elif client_ca.ends(authority, inputs):
            ctx.progress(f"taking the old authority for client certificates from {node.name}")
            client_ca.end(node, inputs, authority)
        if "restart" in actions:
            service.start(node, inputs, restart=True, name=name, progress=ctx.progress)
        return kept

    def outputs(self, facts: K3sFacts, inputs: Values, state: Values) -> dict[str, Any]:
        """Return kubeconfig, token, and what runs."""
        inputs = binaries.placed(facts.node, inputs)
        at = files.places(inputs)
        config, token = facts.node.file(at.kubeconfig), facts.node.file(at.token)
        kubeconfig = str(state.get("kubeconfig", ""))
        if config is not None and config.content:
            kubeconfig = service.kubeconfig(
                config.text, cluster=str(inputs["cluster"]), address=str(inputs["address"])
            )
        # Only where it is another: a state of an earlier version stays as it is.
        programs = {} if at.programs == binaries.DEFAULT else {binaries.INPUT: at.programs}
        return (
            programs
            | airgap.outputs(inputs, state)
            | {
                "kubeconfig": kubeconfig,
                "token": token.text.strip() if token is not None else str(state.get("token", "")),
                "nodeName": node_name(inputs),
                "version": facts.installed or str(inputs["version"]),
                "contentHash": content_hash(facts, inputs),
                "tokenRotated": state.get("tokenRotated") or "",
                "clientRotated": state.get("clientRotated") or "",
            }
        )

    def unknown_outputs(self, inputs: Values) -> dict[str, Any]:
        """Return what is not known before k3s runs."""
        return {
            "kubeconfig": resource.UNKNOWN,
            "token": resource.UNKNOWN,
            "nodeName": node_name(inputs),
            "version": inputs.get("version"),
            "contentHash": resource.UNKNOWN,
        }

    def preview_outputs(self, facts: K3sFacts, inputs: Values, state: Values) -> dict[str, Any]:
        """Return the outputs as they will be: an update keeps credentials and name."""
        outputs = self.outputs(facts, inputs, state)
        if not k3s_plan.keeps_binary(facts, inputs):
            outputs["version"] = str(inputs["version"])
        if k3s_token.wanted(inputs, state):
            outputs["token"] = ""
        return {key: value if value else resource.UNKNOWN for key, value in outputs.items()}

    def delete(self, ctx: Context, inputs: Values, state: Values) -> None:
        """Uninstall; volumes of workloads stay when the user asked for that."""
        node = ctx.node(str(inputs["node"]))
        ctx.progress(f"uninstalling k3s from {node.name}")
        for sentence in service.remove(node, inputs, keep_data=ctx.keep_data):
            ctx.warn(sentence)


def node_name(inputs: Values) -> str:
    """Return the name of the Kubernetes node; k3s writes it in small letters."""
    options = inputs.get("options") or {}
    return str(options.get("node-name") or inputs["node"]).lower()


def replaced_token(found: K3sFacts, inputs: Values) -> str:
    """Return the server token whose replacement an earlier run did not verify, else empty."""
    at = files.places(inputs)
    before, token = found.node.file(at.token_before), found.node.file(at.token)
    if before is None or token is None:
        return ""
    return k3s_token.replaced(before.text, token.text)


def client_authority(found: K3sFacts, inputs: Values) -> str:
    """Return what signs client certificates on the node, in PEM; empty before the first start."""
    there = found.node.file(files.places(inputs).client_authority)
    return there.text if there is not None else ""


def content_hash(found: K3sFacts, inputs: Values) -> str:
    """Return one hash over all that k3s is to run with."""
    digest = hashlib.sha256()
    for one in k3s_plan.wanted_files(found, inputs):
        digest.update(f"{one.path} {one.mode:o} {one.sha256}\n".encode())
    kept = k3s_plan.keeps_binary(found, inputs)
    digest.update(
        (found.node.sha256(files.places(inputs).binary) or "" if kept else found.pinned).encode()
    )
    return digest.hexdigest()
