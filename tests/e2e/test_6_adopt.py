"""`elysium adopt` on what was set up by hand: taken over, and nothing of it touched."""

from __future__ import annotations

import dataclasses
import json
import pathlib

import pytest

from provision.sandbox import tryout
from tests.support import byhand, coldstarts
from tests.support import lab as labs

UNITS = "k3s.service mnt-films.automount mnt-films.mount"


@pytest.fixture(scope="module")
def mine(lab: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> labs.Lab:
    """A cluster that was set up by hand, and a folder in which only `init` was run."""
    # Alone, this file starts on a bare node too; after the others, `destroy` made it one.
    assert lab.on_node("test -e /usr/local/bin/k3s || echo bare").strip() == "bare"
    byhand.k3s(lab)
    byhand.media(lab)
    byhand.flux(lab, tmp_path_factory.mktemp("by-hand"))
    folder = tmp_path_factory.mktemp("adopting")
    made = dataclasses.replace(lab, folder=folder)
    arguments = tryout.init_arguments(made.sandbox, made.cluster)
    made.elysium(*[one for one in arguments if one != "--gpu"]).ok()
    forge, artifacts = made.sandbox.forge, made.sandbox.artifacts
    assert forge is not None and artifacts is not None
    # Where this GitHub and these releases are is what no node can tell.
    for key, value in (
        ("github.baseUrl", forge.api),
        ("github.caFile", str(forge.ca_file)),
        ("github.tokenFile", str(forge.token_file)),
        ("artifacts.mirror", str(artifacts.mirror)),
        ("artifacts.pins", str(artifacts.pins)),
    ):
        made.elysium("config", "set", key, value).ok()
    return made


def seen(lab: labs.Lab) -> dict[str, object]:
    """Everything that taking over must leave alone."""
    units = lab.on_node(f"systemctl show -p Id,ActiveEnterTimestampMonotonic,MainPID {UNITS}")
    secret = lab.kubectl("get", "secret", "-n", "flux-system", "flux-system")
    return {
        "files": labs.files_beside_the_cluster(lab),
        "units": units,
        "secret": secret["metadata"]["resourceVersion"],
        "keys": [one | {"last_used": ""} for one in lab.forge.deploy_keys()],
        "commit": lab.forge.head(),
    }


def test_a_look_shows_what_is_there_and_changes_nothing(mine: labs.Lab) -> None:
    configuration = mine.folder / f"Pulumi.{mine.cluster}.yaml"
    before, text = seen(mine), configuration.read_text()
    said = mine.elysium("adopt", "--dry-run").ok().stdout
    for word in (byhand.K3S, "/mnt/films", "azureblob", "image-automation-controller"):
        assert word in said
    assert f"flux-system-main-flux-system-./clusters/{mine.cluster}" in said
    assert tryout.media_key(mine.sandbox) not in said
    assert configuration.read_text() == text
    assert seen(mine) == before


def test_adopted_nothing_is_touched_and_a_preview_shows_no_change(mine: labs.Lab) -> None:
    before = seen(mine)
    done = mine.elysium("adopt", "--yes").ok()
    key = tryout.media_key(mine.sandbox)
    text = pathlib.Path(mine.folder / f"Pulumi.{mine.cluster}.yaml").read_text()
    assert key not in done.stdout + done.stderr + text
    assert "write-kubeconfig-mode" in text and "mountPoint: /mnt/films" in text
    assert seen(mine) == before
    preview = mine.elysium("preview", "--expect-no-changes", "--json").ok()
    summary = [event for event in preview.json_lines() if event.get("event") == "summary"]
    assert set(summary[-1]["counts"]) <= {"same", "read", "refresh"}
    coldstarts.until(lambda: mine.elysium("status").status == 0, "all is as it should be")


def test_again_there_is_nothing_left_to_take_over(mine: labs.Lab) -> None:
    before = seen(mine)
    done = mine.elysium("adopt", "--yes", "--json").ok()
    (found,) = [event for event in done.json_lines() if event.get("event") == "found"]
    assert found["settings"] == {}
    assert seen(mine) == before


def test_a_rotation_takes_the_place_of_the_key_that_was_set_up_by_hand(mine: labs.Lab) -> None:
    (old,) = mine.forge.deploy_keys()
    mine.elysium("rotate", "deploy-key", "--yes").ok()
    (new,) = mine.forge.deploy_keys()
    assert new["id"] != old["id"]
    assert new["title"].startswith(f"elysium/{mine.cluster}/1-")


def test_a_secret_option_is_refused_until_it_is_in_a_drop_in(mine: labs.Lab) -> None:
    endpoint = "postgres://k3s:pa55word@db/k3s"
    byhand.put(mine, "/etc/rancher/k3s/config.yaml", f"datastore-endpoint: {endpoint}\n", 0o600)
    done = mine.elysium("adopt", "--yes")
    mine.on_node("rm /etc/rancher/k3s/config.yaml")
    assert done.status == 3, done.stderr
    assert "datastore-endpoint" in done.stderr and "config.yaml.d" in done.stderr
    assert "pa55word" not in done.stdout + done.stderr
    state = mine.folder / ".elysium/state/.pulumi/stacks/elysium" / f"{mine.cluster}.json"
    assert "pa55word" not in json.dumps(json.loads(state.read_text()))


def test_destroyed_it_is_gone_from_the_node(mine: labs.Lab) -> None:
    mine.elysium("destroy", "--yes").ok()
    assert mine.on_node("systemctl is-active k3s || true").strip() == "inactive"
    assert mine.forge.deploy_keys() == []
