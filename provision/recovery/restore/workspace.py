"""The stack as it will be, in a folder that is thrown away: what a restore looks at first.

Everything that can be wrong with a bundle's stack shows here, before the
user's folder or a node is touched; placing it later only copies what was made
and checked here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from provision import config_file, crypter, errors, safeyaml
from provision.engine import api
from provision.engine.state import stacks, values
from provision.gitops.sealing import keyring
from provision.gitops.sealing import keys as sealing_keys
from provision.operations import node_replace, status
from provision.operations.stack import Stack
from provision.provider import connections
from provision.recovery.bundle import archive, parts
from provision.recovery.bundle import validation as bundle_validation
from provision.recovery.restore import addresses, scratch
from provision.secret import Secret

_SEALING: Final = "elysium:secrets:SealingKey"
_VARIABLE: Final = "PULUMI_CONFIG_PASSPHRASE"
_LOCAL: Final = "file://"


Rewrite = Callable[[str, Callable[[str], str]], str]
"""Makes a configuration of a configuration's text; the second argument encrypts a value."""


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A bundle's stack, pinned to the new node.

    `stack` has its state in a folder of its own; of its configuration only
    `flux.crds` is another, so that the bundle's definitions count as at hand.
    """

    bundle: archive.Bundle
    stack: Stack
    project: str
    alive: str
    """How the cluster that was backed up still answers, in a sentence; empty if it does not."""
    old: addresses.Named | None = None
    """Where the cluster that was backed up is asked; None where it must not be asked."""
    left_out: str = ""
    """What of the configuration is not restored, in a sentence; empty where all is."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known before a restore, in sentences."""
        return tuple(note for note in (self.alive, self.left_out) if note)

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return self.bundle.manifest.cluster

    @property
    def configuration(self) -> bytes:
        """Return ``Pulumi.<cluster>.yaml`` as it will be."""
        return (self.stack.directory / f"Pulumi.{self.cluster}.yaml").read_bytes()

    def named(self, given: Collection[str] = ()) -> tuple[addresses.Named, ...]:
        """Return the addresses and local files that the bundle names, but those `given`."""
        # The configuration of the connections is the bundle's: in it flux.crds is as written.
        found = addresses.named(self.stack.live.config, given)
        found += addresses.of_file(self.configuration.decode())
        found += addresses.on_node(bundle_validation.users_files(self.bundle))
        return (*found, self.old) if self.old is not None else found

    @property
    def passphrase(self) -> Secret:
        """The stack's passphrase."""
        return self.stack.passphrase

    def exported(self) -> dict[str, Any]:
        """Return the state as it will be, to be imported."""
        return stacks.export(self.stack.ref)


@contextlib.contextmanager
def opened(
    found: archive.Bundle,
    new: node_replace.NewNode,
    *,
    settings: Mapping[str, str] | None = None,
    rewrite: Rewrite | None = None,
    ask: bool = True,
    target: Path | None = None,
) -> Generator[Workspace]:
    """Make the stack of `found` for the node `new`, and remove it at the end.

    Relative names of files are below `target`, the folder of the stack as it
    will be. `settings` are more keys of the configuration to set; `rewrite` makes
    another text of ``Pulumi.<cluster>.yaml`` first. With `ask`, the
    cluster that was backed up is asked whether it still answers. Raises
    `errors.BundlePartError` for a part that cannot be used, `errors.ConfigError`
    and `errors.StackError` for what does not fit together.
    """
    with scratch.folder("restore") as folder:
        stack, project_name, left_out = _stack(found, folder, new, settings or {}, rewrite, target)
        with contextlib.closing(stack):
            text = _kubeconfig(stack)
            old = addresses.old_cluster(text) if text else None
            alive = node_replace.living(stack) if ask and (old or not text) else ""
            node_replace.forget(stack)
            yield Workspace(
                bundle=found,
                stack=stack,
                project=project_name,
                alive=alive,
                old=old,
                left_out=left_out,
            )


def _kubeconfig(stack: Stack) -> str:
    """Return the kubeconfig in the state, empty where there is none."""
    try:
        return status.kubeconfig(stack)
    except errors.StackError:
        return ""


def _stack(
    found: archive.Bundle,
    folder: Path,
    new: node_replace.NewNode,
    settings: Mapping[str, str],
    rewrite: Rewrite | None,
    target: Path | None,
) -> tuple[Stack, str, str]:
    cluster = found.manifest.cluster
    project_name = _project(found, folder)
    path = folder / f"Pulumi.{cluster}.yaml"
    path.write_bytes(found.read(parts.stack_file(cluster)))
    if parts.PINS in found.contents:
        (folder / "pins.json").write_bytes(found.read(parts.PINS))
    passphrase = Secret(found.read(parts.PASSPHRASE).decode())
    environ = {_VARIABLE: passphrase.reveal()}
    opened_project = config_file.open_project(folder)
    crypt = config_file.stack_crypter(opened_project, cluster, environ)
    try:
        before = config_file.read(path, crypt).config
    except errors.ConfigError as error:
        raise _unusable(parts.stack_file(cluster), error) from error
    if rewrite is not None:
        path.write_text(
            rewrite(path.read_text(encoding="utf-8"), crypt().encrypt), encoding="utf-8"
        )
        before = config_file.read(path, crypt).config
    index = before.nodes.index(before.server)
    for key, value in new.values().items():
        config_file.set_value(path, f"nodes[{index}].{key}", value)
    for key, value in settings.items():
        config_file.set_value(path, key, value)
    left_out = ""
    folder_of_old = before.flux.crds
    if folder_of_old and not Path(folder_of_old).expanduser().is_dir():
        # The bundle has the definitions of the cluster; the folder was not backed up.
        config_file.set_value(path, "flux.crds", "")
        left_out = (
            f"flux.crds was {folder_of_old}, which is not on this machine: the definitions of the "
            "backup are used, and the setting is left out"
        )
    loaded = config_file.read(path, crypt)
    ref = api.StackRef(
        root=folder, project=project_name, stack=cluster, backend=opened_project.backend
    )
    try:
        stacks.import_(ref, _exported(found, passphrase))
    except errors.StackError as error:
        raise _unusable(parts.STATE, error) from error
    config = loaded.config
    if not config.flux.crds:
        (folder / "crds").mkdir()
        for number, each in enumerate(bundle_validation.items(found, parts.CRDS)):
            (folder / "crds" / f"{number}.json").write_text(json.dumps(each), encoding="utf-8")
        flux = config.flux.model_copy(update={"crds": str(folder / "crds")})
        config = config.model_copy(update={"flux": flux})
    stack = Stack(
        directory=folder,
        ref=ref,
        config=config,
        warnings=loaded.warnings,
        kind="embedded",
        passphrase=passphrase,
        live=connections.Live(
            loaded.config, pins=folder / "pins.json", root=target if target is not None else folder
        ),
    )
    return stack, project_name, left_out


def _project(found: archive.Bundle, folder: Path) -> str:
    """Write a ``Pulumi.yaml`` like the bundle's, with this machine's paths; return its name."""
    try:
        raw = safeyaml.load(found.read(parts.PROJECT).decode())
        name, backend = raw["name"], (raw.get("backend") or {}).get("url") or _LOCAL
        if not isinstance(name, str):
            raise TypeError("the name is not text")
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise errors.BundlePartError(
            f"the backup's part {parts.PROJECT} cannot be used: it names no project",
            part=parts.PROJECT,
            detail=str(error),
            hint="an earlier backup may be whole",
        ) from error
    if not str(backend).startswith(_LOCAL):
        raise errors.StackError(
            f"the state of this stack is kept in {backend}, which was not lost with the node",
            operation="restore",
            hint="elysium node replace, then elysium --engine upstream up; to put the backup's "
            "state there: elysium backup extract … stack/state.json, pulumi stack import",
        )
    config_file.write_own_project(folder, name=name)
    return name


def _exported(found: archive.Bundle, passphrase: Secret) -> dict[str, Any]:
    """Return the bundle's state with every sealing key that the bundle has."""
    raw: Any = found.json(parts.STATE)
    if not isinstance(raw, Mapping) or not isinstance(raw.get("deployment"), Mapping):
        raise errors.BundlePartError("the backup's state is none", part=parts.STATE)
    exported: dict[str, Any] = dict(raw)
    deployment: dict[str, Any] = exported["deployment"]
    try:
        salt = str(deployment["secrets_providers"]["state"]["salt"])
    except (KeyError, TypeError):
        raise errors.BundlePartError(
            "the backup's state does not say how its secrets are encrypted", part=parts.STATE
        ) from None
    vault = crypter.PassphraseCrypter.from_salt(salt, passphrase)
    for each in deployment.get("resources") or []:
        if str(each.get("type")) == _SEALING:
            each["outputs"] = _with_keys(each.get("outputs") or {}, found, vault)
    return exported


def _with_keys(
    outputs: dict[str, Any], found: archive.Bundle, vault: crypter.PassphraseCrypter
) -> dict[str, Any]:
    kept = outputs.get("keys")
    text = ""
    if isinstance(kept, Mapping) and "ciphertext" in kept:
        text = str(json.loads(vault.decrypt(str(kept["ciphertext"]))))
    remembered = keyring.load(text)
    known = keyring.together(keys_of(found), remembered)
    if {key.fingerprint for key in known} == {key.fingerprint for key in remembered}:
        return outputs
    dumped = json.dumps(keyring.dump(known, "flux-system"))
    sealed = {values.SIGNATURE: values.SEALED_SIGNATURE, "ciphertext": vault.encrypt(dumped)}
    return outputs | {
        "keys": sealed,
        "certificate": known[0].certificate_pem,
        "fingerprints": [key.fingerprint for key in known],
    }


def keys_of(found: archive.Bundle) -> list[sealing_keys.SealingKey]:
    """Return the sealing keys of a bundle. Raises `errors.BundlePartError`."""
    return keyring.from_secrets(bundle_validation.items(found, parts.SEALING_KEYS))[0]


def _unusable(part: str, error: errors.ElysiumError) -> errors.BundlePartError:
    return errors.BundlePartError(
        f"the backup's {part} cannot be used: {error.summary}",
        part=part,
        detail=error.detail,
        hint=error.hint or "an earlier backup may be whole",
    )
