"""A newer sealing key: what is in Git opens with it, and no longer with the old one."""

from __future__ import annotations

import pytest
import yaml

from provision.gitops.sealing import keyring, sealed
from provision.gitops.sealing import keys as sealing_keys
from provision.provider.sealing import cluster as sealing_cluster
from tests.support import coldstarts
from tests.support import lab as labs

CERTIFICATE = "etc/certs/pub-sealed-secrets.pem"
SEALED = ("clusters/kyrion/sealed-secrets.yaml", "infrastructure/controllers/tsidp-auth.yaml")


@pytest.fixture(scope="module")
def forge(lab: labs.Lab, key: sealing_keys.SealingKey):
    """The repository of the first file, which brings the cluster up if that was not run."""
    made = lab.forge.with_repository("deadlocked")
    if not made.head():
        coldstarts.use(lab, "deadlocked", coldstarts.repository(key))
        lab.elysium("up", "--yes").ok()
    return made


def keys(lab: labs.Lab) -> list[sealing_keys.SealingKey]:
    """The cluster's sealing keys, the newest first."""
    found = lab.kubectl("get", "secrets", "-A", "-l", sealing_keys.KEY_LABEL)
    return keyring.from_secrets(found["items"])[0]


def values(forge, *keys: sealing_keys.SealingKey) -> list[dict[str, bytes] | None]:
    """What `keys` open of each SealedSecret in Git."""
    return [sealed.values(yaml.safe_load(forge.read_file(path)), keys) for path in SEALED]


def messages(forge) -> list[str]:
    return forge.git("log", "--format=%s", "main").splitlines()


def test_cut_off_before_the_commit_the_next_run_goes_on_with_the_same_key(
    lab: labs.Lab, forge
) -> None:
    before, head = keys(lab), forge.head()
    wanted = values(forge, *before)
    refused = {"message": "Resource not accessible by personal access token"}
    with forge.faults(
        "respond", method="POST", path="/git/trees", status=403, body=refused, times=0
    ):
        done = lab.elysium("rotate", "sealing-key", "--yes")
    assert done.status == 6, done.stderr
    assert forge.head() == head
    made = keys(lab)
    assert [key.fingerprint for key in made[1:]] == [key.fingerprint for key in before]

    again = lab.elysium("rotate", "sealing-key", "--yes").ok()
    assert [key.fingerprint for key in keys(lab)] == [key.fingerprint for key in made]
    assert made[0].fingerprint in again.stdout
    finished(lab, forge, made[0], before, head, wanted)


def test_the_old_key_opens_nothing_of_the_new_and_the_new_everything(lab: labs.Lab, forge) -> None:
    before, head = keys(lab), forge.head()
    wanted = values(forge, *before)
    done = lab.elysium("rotate", "sealing-key", "--yes", "--json").ok()
    event = done.json_lines()[-1]
    now = keys(lab)
    assert len(now) == len(before) + 1, "the older keys stay"
    assert (event["before"], event["after"]) == (before[0].fingerprint, now[0].fingerprint)
    finished(lab, forge, now[0], before, head, wanted)
    for key in now:
        for line in key.private_pem.reveal().splitlines()[1:-1]:
            assert line not in done.stdout + done.stderr


def finished(
    lab: labs.Lab,
    forge,
    new: sealing_keys.SealingKey,
    old: list[sealing_keys.SealingKey],
    head: str,
    wanted: list[dict[str, bytes] | None],
) -> None:
    """One commit later the old keys are refused and the new one is accepted, by the cluster too."""
    assert None not in wanted
    assert messages(forge)[0] == f"Seal 2 secrets for the sealing key {new.fingerprint}"
    assert forge.git("rev-list", "--count", f"{head}..main").strip() == "1"
    assert forge.read_file(CERTIFICATE) == new.certificate_pem
    assert values(forge, *old) == [None, None], "the old ones are refused"
    assert values(forge, new) == wanted, "the new one is accepted"
    # The controller itself has opened it, with the key it was sealed for.
    assert coldstarts.secret(lab, "tsidp-auth", "tailscale") == {"auth": "canary-auth"}
    found = lab.kubectl("get", "sealedsecret", "tsidp-auth", "-n", "tailscale")
    path = "infrastructure/controllers/tsidp-auth.yaml"
    in_git = yaml.safe_load(forge.read_file(path))["spec"]["encryptedData"]
    assert found["spec"]["encryptedData"] == in_git
    probes = lab.kubectl("get", "sealedsecrets", "-n", "flux-system")["items"]
    assert sealing_cluster.PROBE not in [one["metadata"]["name"] for one in probes]


def test_afterwards_nothing_is_left_to_change(lab: labs.Lab, forge) -> None:
    head = forge.head()
    lab.elysium("preview", "--expect-no-changes").ok()
    done = lab.elysium("rotate", "sealing-key", "--yes", "--if-older-than", "1d").ok()
    assert "nothing to do" in done.stdout
    assert forge.head() == head
