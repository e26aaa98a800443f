"""The keys that Flux decrypts with: read, compared with recipients, and put there as a seed."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess

import pyrage
import pytest

from provision import errors
from provision.gitops.coldstart import decryption, preparation, simulation
from provision.gitops.tree import Tree
from provision.secret import Secret
from tests.support.gitopsdocs import files, kustomization, obj

MINE = pyrage.x25519.Identity.generate()
OTHER = pyrage.x25519.Identity.generate()
PGP = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\ncanary\n-----END PGP PRIVATE KEY BLOCK-----"
DECRYPTION = {"provider": "sops", "secretRef": {"name": "sops-age"}}


def repository(**recipients: object) -> Tree:
    secret = obj(
        "v1:Secret",
        "token",
        "default",
        stringData={"token": "ENC[AES256_GCM,data:aa,type:str]"},
        sops={"version": "3.9.0", "mac": "x", **recipients},
    )
    return Tree.of(files(clusters__home=kustomization("s", "./s", decryption=DECRYPTION), s=secret))


def prepare(tree: Tree, keys: decryption.Keys | None) -> preparation.Preparation:
    cluster = simulation.Cluster(decrypts=keys is not None)
    return preparation.prepare(tree, "clusters/home", keys=None, cluster=cluster, sops_keys=keys)


def age(identity: object) -> dict[str, object]:
    return {"age": [{"recipient": str(identity.to_public()), "enc": "x"}]}


def test_age_and_pgp_keys_are_told_apart() -> None:
    keys = decryption.read(Secret(f"# created: today\n{MINE}\r\n{PGP}\n"))
    assert keys.recipients == (str(MINE.to_public()),)
    assert keys.pgp
    made = keys.secret("sops-age", "flux-system")
    assert base64.b64decode(made["data"]["age.agekey"]).decode() == f"{MINE}\n"
    assert base64.b64decode(made["data"]["key.asc"]).decode() == f"{PGP}\n"
    assert str(MINE) not in repr(keys) and "canary" not in repr(keys)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it holds no key"),
        ("age1qqq", "it holds no key"),
        ("AGE-SECRET-KEY-1CANARY", "age key 1 of 1 is damaged"),
        (f"{MINE}\nAGE-SECRET-KEY-1CANARY\n", "age key 2 of 2 is damaged"),
    ],
    ids=["empty", "public", "damaged", "one of two"],
)
def test_what_is_no_key_is_refused_without_its_text(text: str, said: str) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        decryption.read(Secret(text))
    assert said in str(caught.value)
    assert "CANARY" not in str(caught.value)


def test_with_keys_their_secret_is_a_seed() -> None:
    keys = decryption.read(Secret(str(MINE)))
    found = prepare(repository(**age(MINE)), keys)
    assert not found.problems
    (need,) = found.seeds
    assert need.ref == "Secret flux-system/sops-age"
    assert need.decrypts
    assert need.object is None  # what is remembered of a repository holds no key
    assert str(MINE) not in json.dumps(need.to_json())


def test_without_keys_it_cannot_come_up() -> None:
    (problem,) = prepare(repository(**age(MINE)), None).problems
    assert "decrypts with it (spec.decryption)" in problem.message
    assert "sops.keys" in problem.hint


def test_what_is_encrypted_for_others_is_named() -> None:
    keys = decryption.read(Secret(str(MINE)))
    (problem,) = prepare(repository(**age(OTHER)), keys).problems
    assert problem.where == "s/all.yaml:1"
    assert str(OTHER.to_public()) in problem.message


def test_what_a_key_service_opens_too_is_not_compared() -> None:
    keys = decryption.read(Secret(str(MINE)))
    tree = repository(**age(OTHER), kms=[{"arn": "x"}], pgp=[{"fp": "AB"}])
    assert not prepare(tree, keys).problems


@pytest.fixture(scope="module", params=["rsa2048", "ed25519"])
def pair(request, tmp_path_factory) -> tuple[str, list[str]]:
    """A key that gpg made with a subkey, armored, and their fingerprints as gpg says them."""
    if shutil.which("gpg") is None:
        pytest.skip("there is no gpg")
    home = tmp_path_factory.mktemp("g")
    home.chmod(0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
    kinds = {"rsa2048": ["rsa2048", "rsa2048"], "ed25519": ["ed25519", "cv25519"]}
    main, sub = kinds[request.param]

    def run(*words: str) -> str:
        done = subprocess.run([*gpg, *words], capture_output=True, text=True, check=True)
        return done.stdout

    try:
        run("--quick-generate-key", "me@example.org", main, "sign", "never")
        listed = run("--list-keys", "--with-colons")
        (first,) = [line.split(":")[9] for line in listed.splitlines() if line[:4] == "fpr:"]
        run("--quick-add-key", first, sub, "encr", "never")
        listed = run("--list-keys", "--with-colons", "--with-subkey-fingerprint")
        prints = [line.split(":")[9] for line in listed.splitlines() if line[:4] == "fpr:"]
        return run("--armor", "--export-secret-keys", first), prints
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


@pytest.mark.slow
def test_pgp_keys_are_compared_by_their_fingerprints(pair: tuple[str, list[str]]) -> None:
    block, prints = pair
    keys = decryption.read(Secret(block))
    assert sorted(keys.fingerprints) == sorted(prints)
    for named in (*prints, prints[0].lower(), prints[1][-16:]):
        assert not prepare(repository(pgp=[{"fp": named, "enc": "x"}]), keys).problems
    assert not prepare(repository(**age(OTHER), pgp=[{"fp": prints[0]}]), keys).problems


@pytest.mark.slow
def test_what_is_encrypted_for_another_pgp_key_is_named(pair: tuple[str, list[str]]) -> None:
    other = "0123456789ABCDEF0123456789ABCDEF01234567"
    for keys in (decryption.read(Secret(pair[0])), decryption.read(Secret(str(MINE)))):
        (problem,) = prepare(repository(pgp=[{"fp": other, "enc": "x"}]), keys).problems
        assert problem.where == "s/all.yaml:1"
        assert f"PGP {other}" in problem.message


@pytest.mark.parametrize("content", ["canary", "AAAA", "xVgEY!", "mDM="])
def test_a_pgp_key_that_cannot_be_read_is_not_compared(content: str) -> None:
    keys = decryption.read(Secret(PGP.replace("canary", content)))
    assert keys.unread
    assert not prepare(repository(pgp=[{"fp": "AB", "enc": "x"}]), keys).problems


def test_a_secret_of_a_backup_is_there() -> None:
    cluster = simulation.Cluster(present=(("Secret", "flux-system", "sops-age"),))
    found = preparation.prepare(
        repository(**age(MINE)), "clusters/home", keys=None, cluster=cluster
    )
    assert not found.seeds
    assert not found.problems
