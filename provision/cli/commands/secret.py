"""``elysium secret seal|unseal|reseal|verify``."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from provision.cli import lazy
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.cli.checkouts import Checkouts
    from provision.gitops.documents import Document
    from provision.gitops.sealing.sealed import Verdict

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_keys = click.option(
    "--keys",
    type=_FILE,
    help="The sealing keys: their Secrets as YAML or JSON, or one PEM key. Default: the stack's.",
)
_cert = click.option(
    "--cert",
    type=_FILE,
    help="The public certificate. Default: etc/certs/pub-sealed-secrets.pem of the repository.",
)


@click.group(
    cls=lazy.Group,
    examples="""
    elysium secret seal --name plex --namespace media --from-literal claim
    elysium secret verify                                     # the checkout you are in
    elysium secret verify ~/homelab --keys sealing-keys.yaml
    """,
)
def secret() -> None:
    """Seal secrets for Git, open them, and check which the keys open.

    SealedSecrets as kubeseal and the Sealed Secrets controller read and write
    them; the cluster is not contacted.
    """


@secret.command(
    examples="""
    elysium secret seal --name plex --namespace media --from-literal claim     # asks
    elysium secret seal --name tls --namespace web --from-file tls.crt --from-file tls.key
    kubectl create secret generic a --dry-run=client -o yaml … | elysium secret seal -
    elysium secret seal --name plex --namespace media --from-literal token --merge-into plex.yaml
    """
)
@click.argument("manifest", required=False, type=click.Path(allow_dash=True, path_type=Path))
@click.option("--name", help="The Secret's name.")
@click.option("-n", "--namespace", help="Its namespace.")
@click.option(
    "--from-literal",
    "literals",
    metavar="KEY[=VALUE]",
    multiple=True,
    help="A value. With KEY alone it is asked for, or read from stdin; others on this computer "
    "can see what stands on a command line.",
)
@click.option(
    "--from-file", "files", metavar="[KEY=]FILE", multiple=True, help="A value from a file."
)
@click.option("--type", "type_", default="Opaque", show_default=True, help="The Secret's type.")
@click.option(
    "--scope",
    type=click.Choice(["strict", "namespace-wide", "cluster-wide"]),
    help="Where it may be used. Default: strict, or what MANIFEST says.",
)
@click.option(
    "--merge-into", type=_FILE, metavar="FILE", help="Add the values to the SealedSecret in FILE."
)
@_cert
@click.pass_obj
def seal(
    called: Settings,
    manifest: Path | None,
    name: str | None,
    namespace: str | None,
    literals: tuple[str, ...],
    files: tuple[str, ...],
    type_: str,
    scope: str | None,
    merge_into: Path | None,
    cert: Path | None,
) -> None:
    """Seal values, or the Secrets in MANIFEST (- is stdin), and print them.

    What is printed can be committed: only the cluster's controller opens it.
    """
    from provision import errors
    from provision.cli import checkouts, manifests, sealing_places, sealingkeys
    from provision.gitops import documents
    from provision.gitops.sealing import keys as sealing_keys
    from provision.gitops.sealing import rewriting, sealed

    if manifest is None and not (literals or files):
        raise click.UsageError("give MANIFEST, --from-literal or --from-file")
    if manifest is not None and (name or namespace or literals or files):
        raise click.UsageError("MANIFEST has its own name, namespace and values")
    certificate = sealingkeys.find_certificate(cert, merge_into.parent if merge_into else Path())
    if manifest is not None:
        secrets = _secrets(manifest)
    else:
        values = dict(_values(called, literals, files))
        metadata = {"name": name, "namespace": namespace}
        obj = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
        secrets = [documents.Document(obj=obj | {"type": type_, "data": values}, file="", line=0)]
    wide = sealing_keys.Scope(scope) if scope else None
    before = manifests.read(merge_into) if merge_into is not None else ""
    into = manifests.sealed(merge_into, before) if merge_into is not None else []
    homes = sealing_places.Places(checkouts.Checkouts(), wide, called.terminal)
    if merge_into is not None:
        targets = homes.in_file(secrets, merge_into, into)
    else:
        targets = homes.in_folder(secrets, _folder_of(manifest))
    made, problems = sealed.seal_all([target.doc for target in targets], certificate, scope=wide)
    if problems:
        raise errors.GitOpsError("the Secret cannot be sealed", problems)
    made = [target.written(one) for target, one in zip(targets, made, strict=True)]
    if merge_into is None:
        called.terminal.result("---\n".join(map(documents.dump, made)).rstrip("\n"))
        return
    wanted: dict[rewriting.Place, dict[str, Any]] = {}
    for target, update in zip(targets, made, strict=True):
        if target.into is not None:
            there = wanted.get(target.into.place, target.into.obj)
            wanted[target.into.place] = sealed.merge(there, update)
    after = rewriting.replaced(before, wanted, str(merge_into))
    for _ in manifests.write([manifests.Changed(path=merge_into, before=before, after=after)]):
        pass
    names = [key for update in made for key in update["spec"]["encryptedData"]]
    called.terminal.say(f"{', '.join(names)}: sealed into {merge_into}")


@secret.command()
@click.argument("file", type=_FILE)
@_keys
@click.pass_obj
def unseal(called: Settings, file: Path, keys: Path | None) -> None:
    """Open the SealedSecrets in FILE and print the Secrets.

    They are printed as they are, to stdout only: keep them out of files.
    """
    from provision import errors
    from provision.cli import checkouts, manifests, sealingkeys
    from provision.gitops import documents
    from provision.gitops.sealing import resealing, sealed

    opened = sealingkeys.read(called, keys)
    found = manifests.sealed(file, manifests.read(file))
    if not found:
        raise errors.ConfigError(f"no SealedSecret is in {file}", [])
    around = checkouts.Checkouts(opened)
    ways = [resealing.placed(one, str(file), opened, around.applied) for one in found]
    _say_not_built(called, around, any(one.problems for one in ways))
    secrets = [documents.dump(sealed.unseal(one.opened, opened, where=one.where)) for one in ways]
    called.terminal.reveal("---\n".join(secrets), newline=False)


@secret.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@_keys
@click.option("--cert", type=_FILE, help="The certificate to seal for. Default: the newest key's.")
@click.pass_obj
def reseal(called: Settings, paths: tuple[Path, ...], keys: Path | None, cert: Path | None) -> None:
    """Seal every SealedSecret in PATHS anew, for the newest key.

    Only the sealed values change in the files, not a byte else; folders are
    searched. Helm's templates are left alone. Nothing is changed unless
    everything opens.
    """
    from provision import errors
    from provision.cli import checkouts, manifests, sealingkeys
    from provision.gitops.sealing import resealing

    opened = sealingkeys.read(called, keys)
    around = checkouts.Checkouts(opened, paths)
    certificate = sealingkeys.read_text(cert) if cert else opened[0].certificate_pem
    files = manifests.read_all(paths)
    found = resealing.survey(files, opened, place_of=manifests.place_of, applied=around.applied)
    _say_not_built(called, around, bool(found.closed))
    _say_left_alone(called, found.templates)
    problems = [problem for one in found.closed for problem in one.problems]
    problems += found.unreadable
    if problems:
        raise errors.GitOpsError("not every SealedSecret can be opened; none was changed", problems)
    made = resealing.resealed(files, found.stale, opened, certificate)
    changed = [
        manifests.Changed(path=Path(path), before=files[path], after=made[path]) for path in made
    ]
    for path in manifests.write(changed):
        for one in found.stale:
            if one.path == str(path):
                called.terminal.result(f"{path}: {one.ref}")
    if not changed:
        called.terminal.say("there is no SealedSecret to seal anew")


@secret.command()
@click.argument(
    "directory", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@_keys
@click.pass_obj
def verify(called: Settings, directory: Path, keys: Path | None) -> None:
    """Show which SealedSecrets of a checkout the keys open.

    Exits with 3 when they do not open all, and when a file that speaks of
    SealedSecrets cannot be read. Helm's templates are left alone.
    """
    from provision import errors
    from provision.cli import checkouts, manifests, sealingkeys
    from provision.gitops import tree
    from provision.gitops.sealing import resealing

    opened = sealingkeys.read(called, keys)
    around = checkouts.Checkouts(opened, [directory])
    files = tree.Tree.from_directory(directory).files
    found = resealing.survey(
        {path: files[path] for path in resealing.candidates(files)},
        opened,
        place_of=lambda path: manifests.place_of(str(directory / path)),
        applied=lambda path, obj: around.applied(str(directory / path), obj),
    )
    verdicts = resealing.verdicts(found.found, opened)
    _say_not_built(called, around, any(not one.ok for one in verdicts))
    if called.json:
        called.terminal.data([_verdict(one) for one in verdicts])
    else:
        called.terminal.out.print(_table(verdicts))
    _say_left_alone(called, found.templates)
    problems = [problem for one in verdicts for problem in one.problems]
    if problems:
        closed = sum(not one.ok for one in verdicts)
        raise errors.GitOpsError(
            f"the keys at hand do not open {closed} of {len(verdicts)} SealedSecrets",
            [*problems, *found.unreadable],
        )
    if found.unreadable:
        raise errors.GitOpsError(
            "files that speak of SealedSecrets cannot be read", list(found.unreadable)
        )
    if not called.json:
        called.terminal.say(f"the keys open all {len(verdicts)} SealedSecrets")


def _table(verdicts: list[Verdict]) -> Any:
    from rich import box, table

    from provision.cli.render import text

    made = table.Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "SealedSecret", "scope", "opened", "not opened", "key", "where"):
        made.add_column(column, overflow="fold")
    for one in verdicts:
        made.add_row(
            text.Text("✓" if one.ok else "✗", style="green" if one.ok else "bold red"),
            one.ref.removeprefix("SealedSecret "),
            one.scope.value,
            ", ".join(one.opened),
            ", ".join(one.closed),
            ", ".join(key.removeprefix("SHA256:")[:8] for key in one.keys),
            one.where,
        )
    return made


def _verdict(one: Verdict) -> dict[str, Any]:
    return {
        "ref": one.ref,
        "where": one.where,
        "scope": one.scope.value,
        "ok": one.ok,
        "opened": list(one.opened),
        "closed": list(one.closed),
        "keys": list(one.keys),
        "problems": [str(problem) for problem in one.problems],
    }


def _folder_of(manifest: Path | None) -> Path | None:
    """Return the folder that what is sealed belongs into; None where that is not known."""
    if manifest is None:
        return Path()
    return None if str(manifest) == "-" else manifest.parent


def _secrets(path: Path) -> list[Document]:
    from provision import errors
    from provision.cli import sealingkeys
    from provision.gitops.sealing import plain

    text = sys.stdin.read() if str(path) == "-" else sealingkeys.read_text(path)
    problems: list[errors.Problem] = []
    found = plain.read(text, "stdin" if str(path) == "-" else path.name, problems)
    if problems:
        raise errors.GitOpsError("the Secret cannot be read", problems)
    if not found:
        raise errors.ConfigError(f"no Secret is in {'stdin' if str(path) == '-' else path}", [])
    return found


def _values(
    called: Settings, literals: tuple[str, ...], files: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    from provision.secret import Secret

    def encoded(value: bytes) -> str:
        return base64.b64encode(value).decode()

    for literal in literals:
        key, given, value = literal.partition("=")
        if not given:
            if called.terminal.can_ask:
                value = called.terminal.ask(f"{key} (not shown)", secret=True)
            else:
                value = sys.stdin.read().removesuffix("\n")
        called.terminal.keep_secret([Secret(value)])
        yield key, encoded(value.encode())
    for entry in files:
        key, given, name = entry.rpartition("=")
        path = Path(name)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise click.UsageError(f"--from-file {name}: {error.strerror}") from error
        yield key if given else path.name, encoded(content)


def _say_not_built(called: Settings, around: Checkouts, closed: bool) -> None:
    """Warn of Kustomizations whose namespaces are not known, where something does not open."""
    if closed and around.failed:
        called.terminal.warn(
            f"Kustomizations that do not build: {', '.join(around.failed)}; what they apply counts"
            " as it is in its file (elysium gitops cold-start says why)"
        )


def _say_left_alone(called: Settings, templates: tuple[str, ...]) -> None:
    for path in templates:
        called.terminal.say(f"{path}: left alone, a template of a Helm chart")
