"""K3sServer on a real systemd: made, left alone, repaired, interrupted, taken away."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any

import pytest

from provision import errors
from provision.change import Change
from provision.host import session
from provision.provider import resource
from provision.provider.k3s import files as k3s_files
from provision.provider.k3s import server as k3s_server
from provision.sandbox import rootfs

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(300)]

STARTED = "systemctl show -p ActiveEnterTimestampMonotonic -p ExecMainPID k3s.service"


@pytest.fixture(scope="module")
def before(box) -> set[str]:
    """The node's files before anything was put there."""
    return box.files()


@pytest.fixture
def state(before, converge, box) -> dict[str, Any]:
    """K3s as the plain inputs say, whatever the last test left."""
    return converge(box.inputs())[1]


def test_first_and_second_run(before, box, world, converge):
    planned, state = converge(box.inputs())
    assert planned[0] == "create files./usr/local/bin/k3s"
    assert planned[-1] == "start units.k3s.service"
    assert state["nodeName"] == "kyrion" and state["version"] == box.inputs()["version"]
    assert state["token"] == box.on("cat /var/lib/rancher/k3s/server/token")
    assert f"https://{box.node.host}:6443" in state["kubeconfig"]
    ready = '{.status.conditions[?(@.type=="Ready")].status}'
    assert box.node_says(ready) == "True"
    assert box.on("stat -c %a /etc/rancher/k3s/config.yaml") == "600"
    assert not any(state["token"] in text for text in world.said + world.warned)
    started = box.on(STARTED)
    connections = world.session.transport.commands
    assert converge(box.inputs(), state) == ((), state)
    assert world.session.transport.commands == connections + 1, "one command for all facts"
    assert box.on(STARTED) == started


DRIFT = {
    "config edited": "echo 'debug: true' >>/etc/rancher/k3s/config.yaml",
    "config readable": "chmod 644 /etc/rancher/k3s/config.yaml",
    "config given away": "chown 1000 /etc/rancher/k3s/config.yaml",
    "config removed": "rm /etc/rancher/k3s/config.yaml",
    "unit edited": "sed -i 's/Restart=always/Restart=no/' /etc/systemd/system/k3s.service",
    "unit removed": "rm /etc/systemd/system/k3s.service; systemctl daemon-reload",
    "stopped": "systemctl stop k3s",
    "killed": "systemctl kill -s KILL k3s; systemctl stop k3s",
    "disabled": "systemctl disable -q k3s",
    "masked": "systemctl stop k3s; rm /etc/systemd/system/k3s.service; systemctl mask -q k3s",
    "binary replaced": "cp /bin/true /usr/local/bin/x; mv /usr/local/bin/x /usr/local/bin/k3s",
    "binary removed": "rm /usr/local/bin/k3s",
    "link removed": "rm /usr/local/bin/crictl",
    "script removed": "rm /usr/local/bin/k3s-uninstall.sh",
}
NO_RESTART = {
    "config edited", "config readable", "config given away", "config removed", "disabled",
    "binary replaced", "binary removed", "link removed", "script removed",
}  # fmt: skip


@pytest.mark.parametrize("kind", DRIFT)
def test_drift_is_shown_and_repaired(kind: str, state, box, converge):
    started = box.on(STARTED)
    box.on(DRIFT[kind])
    planned, state = converge(box.inputs(), state)
    assert planned, "the preview shows it"
    assert converge(box.inputs(), state)[0] == ()
    assert box.on("systemctl is-active k3s && systemctl is-enabled k3s") == "active\nenabled"
    if kind in NO_RESTART:
        assert box.on(STARTED) == started, "what k3s runs with did not change"


def test_a_config_that_k3s_was_restarted_with_is_taken_back(state, box, converge):
    box.on("echo 'debug: true' >>/etc/rancher/k3s/config.yaml; systemctl restart k3s")
    planned, state = converge(box.inputs(), state)
    assert planned == (
        "update files./etc/rancher/k3s/config.yaml",
        "restart units.k3s.service",
    )
    assert converge(box.inputs(), state)[0] == ()


def test_new_inputs_restart_once_and_are_in_force(state, box, converge):
    wanted = box.inputs(
        tlsSan=["kyrion.lan"],
        registries={"mirrors": {"docker.io": {"endpoint": ["https://mirror"]}}},
        proxy={"http": "http://u:canary@proxy:3128", "noProxy": "localhost"},
        options={"node-label": ["test=yes"]},
    )
    planned, state = converge(wanted, state)
    assert planned[-1] == "restart units.k3s.service"
    assert box.node_says("{.metadata.labels.test}") == "yes"
    environment = box.on("tr '\\0' '\\n' </proc/$(systemctl show -p MainPID --value k3s)/environ")
    assert "HTTP_PROXY=http://u:canary@proxy:3128" in environment
    assert box.on("stat -c %a /etc/rancher/k3s/registries.yaml") == "600"
    assert converge(wanted, state)[0] == ()
    planned, state = converge(box.inputs(), state)
    assert "delete files./etc/rancher/k3s/registries.yaml" in planned


def test_the_archive_of_images_comes_and_goes_without_a_restart(state, box, converge):
    content = b"an archive of images" * 100_000
    box.publish_images(content)
    at = "/var/lib/rancher/k3s/agent/images"
    started = box.on(STARTED)
    planned, state = converge(box.inputs(airgapImages=True), state)
    (change,) = planned
    assert change.startswith(f"create files.{at}/k3s-airgap-images-")
    assert box.on(f"sha256sum {at}/*.tar.zst").split()[0] == hashlib.sha256(content).hexdigest()
    assert converge(box.inputs(airgapImages=True), state)[0] == ()
    box.on(f"touch {at}/mine.tar; echo x >>{change.removeprefix('create files.')}")
    assert converge(box.inputs(airgapImages=True), state)[0] == (
        change.replace("create", "update"),
    )
    planned, state = converge(box.inputs(), state)
    assert planned == (change.replace("create", "delete"),)
    assert box.on(f"ls {at}") == "mine.tar"
    assert box.on(STARTED) == started


def test_a_drop_in_of_the_users_is_kept_and_put_in_force(state, box, converge):
    box.on("mkdir -p /etc/rancher/k3s/config.yaml.d")
    box.on("echo 'node-label+: [mine=yes]' >/etc/rancher/k3s/config.yaml.d/mine.yaml")
    try:
        assert converge(box.inputs(), state)[0] == ("restart units.k3s.service",)
        assert box.node_says("{.metadata.labels.mine}") == "yes"
        assert converge(box.inputs(), state)[0] == ()
    finally:
        box.on("rm -r /etc/rancher/k3s/config.yaml.d")
    converge(box.inputs(), state)


def test_a_start_that_fails_shows_the_journal(state, box, world, converge):
    wanted = box.inputs(options={"node-ip": "not-an-address"})
    with pytest.raises(errors.WaitError, match="crashes when it is started") as caught:
        converge(wanted, state)
    assert "not-an-address" in caught.value.detail and caught.value.hint
    assert converge(box.inputs(), state)[0][-1].endswith("units.k3s.service")


def test_a_start_under_way_with_the_files_before_is_begun_again(state, box, converge):
    """It had noted those files and would have read ours: the note would be wrong for ever."""
    drop_in = "/run/systemd/system/k3s.service.d"
    box.on(f"mkdir -p {drop_in} && echo '# before' >>{k3s_files.CONFIG}")
    held = f"while grep -q before {k3s_files.CONFIG}; do sleep 0.1; done"
    box.on(f"""printf '%s\n' '[Service]' 'ExecStartPre=/bin/sh -c "{held}"' >{drop_in}/hold.conf""")
    try:
        box.on(f"rm {k3s_files.STARTED}; systemctl daemon-reload")
        box.on("systemctl restart --no-block k3s")
        box.on(f"until grep -q {k3s_files.ENV} {k3s_files.STARTED} 2>/dev/null; do sleep 0.1; done")
        assert box.on("systemctl show -p SubState --value k3s") == "start-pre"
        assert converge(box.inputs(), state)[0] == (
            f"update files.{k3s_files.CONFIG}",
            "start units.k3s.service",
        )
    finally:
        box.on(f"rm -r {drop_in}; systemctl daemon-reload")
    assert converge(box.inputs(), state)[0] == ()


def test_a_start_that_takes_too_long_is_waited_for_again(state, box, converge):
    box.on("systemctl stop k3s")
    with pytest.raises(errors.WaitError, match="was not Ready within 1 s"):
        converge(box.inputs(startTimeout=1), state)
    converge(box.inputs(), state)
    assert converge(box.inputs(), state)[0] == ()


def test_a_newer_k3s_is_left_alone_and_told(state, box, world):
    kind, inputs = k3s_server.K3sServer(), box.inputs()
    world.session.invalidate()
    found = kind.observe(world, inputs, state).facts
    older = inputs | {"version": "v1.20.0+k3s1"}
    # The mirror has one version only; an older pin is all that differs.
    store = world.store
    pins = box.folder / "pins.json"
    text = pins.read_text()
    pins.write_text(
        text.replace("{", '{"k3s/v1.20.0+k3s1/amd64": {"sha256": "' + "0" * 64 + '"},', 1)
    )
    try:
        observed = kind.observe(world, older, state)
        assert store.content_sha256(k3s_server.catalog.k3s("v1.20.0+k3s1"), "amd64") == "0" * 64
        assert kind.plan(observed.facts, older, state) == ()
        assert any(
            "newer than v1.20.0+k3s1" in said for said in kind.remarks(observed.facts, older)
        )
        assert kind.outputs(observed.facts, older, state)["version"] == found.installed
    finally:
        pins.write_text(text)


class Killed(BaseException):
    """The process is gone."""


class Faulty(session.NodeSession):
    """Dies before or after one of the calls that change the node."""

    countdown = 0
    after = False
    names: list[str]

    def run(self, script: str, **options: Any) -> session.Completed:
        if options.get("reads_only"):
            return super().run(script, **options)
        self.countdown -= 1
        self.names.append(options["what"])
        if self.countdown == 0 and not self.after:
            raise Killed
        done = super().run(script, **options)
        if self.countdown == 0:
            raise Killed
        return done


def test_killed_at_every_step_the_next_run_completes(before, box, converge, world):
    kind, inputs = k3s_server.K3sServer(), box.inputs(options={"node-label": ["n=1"]})

    def die(step: int, *, after: bool) -> list[str]:
        """Die before or after a step, and have the next run complete; return what was begun."""
        kind.delete(world, inputs, {})
        world.session.close()  # and with it the node's lock
        with Faulty(box.configured()) as faulty:
            faulty.countdown, faulty.after, faulty.names = step, after, []
            with contextlib.suppress(Killed):
                resource.converge(kind, box.world(faulty), inputs, {})
        _planned, state = converge(inputs)
        assert converge(inputs, state)[0] == ()
        assert box.node_says("{.metadata.labels.n}") == "1"
        return faulty.names

    # Nothing changes between two steps: to die after one is to die before the next.
    step = 1
    while len(begun := die(step, after=False)) == step:
        step += 1
    assert {"uploading /usr/local/bin/k3s", "configuring k3s", "starting k3s"} <= set(begun)
    assert die(len(begun), after=True) == begun


def test_killed_between_change_and_restart_the_next_run_restarts(state, box, converge, world):
    inputs = box.inputs(options={"node-label": ["n=2"]})
    for step, after in ((1, True), (2, False)):  # after the files, before the restart
        converge(box.inputs())
        world.session.close()  # and with it the node's lock
        with Faulty(box.configured()) as faulty:
            faulty.countdown, faulty.after, faulty.names = step, after, []
            with pytest.raises(Killed):
                resource.converge(k3s_server.K3sServer(), box.world(faulty), inputs, state)
        assert converge(inputs, state)[0] == ("restart units.k3s.service",)
        assert box.node_says("{.metadata.labels.n}") == "2"


def test_a_preview_shows_the_diff_and_changes_nothing(state, box, world):
    kind, inputs = k3s_server.K3sServer(), box.inputs(options={"token": "canary", "v": 1})
    digest = hashlib.sha256(box.on("cat /etc/rancher/k3s/config.yaml").encode()).hexdigest()
    world.session.invalidate()
    changes: tuple[Change, ...] = kind.plan(kind.observe(world, inputs, state).facts, inputs, state)
    shown = "\n".join(change.summary + change.diff for change in changes)
    assert "+v: 1" in shown and "canary" not in shown
    now = hashlib.sha256(box.on("cat /etc/rancher/k3s/config.yaml").encode()).hexdigest()
    assert now == digest


def test_a_config_that_was_there_comes_back(before, box, world, converge):
    kind, inputs = k3s_server.K3sServer(), box.inputs()
    kind.delete(world, inputs, {})
    box.on("mkdir -p /etc/rancher/k3s; echo '# mine' >/etc/rancher/k3s/config.yaml")
    _planned, state = converge(inputs)
    assert box.on(f"cat {k3s_files.CONFIG_BACKUP}") == "# mine"
    assert converge(inputs, state)[0] == ()
    kind.delete(world, inputs, state)
    assert box.on("cat /etc/rancher/k3s/config.yaml") == "# mine"
    box.on("rm -r /etc/rancher")


NETWORK = f"""
cd {rootfs.K3S_PROGRAMS}
for name in iptables ip6tables; do ./xtables-nft-multi $name-save; done |
    grep -e KUBE- -e CNI- -e FLANNEL-
./ipset list -n
(ip -o link; ls /run/netns) | grep -e cni -e flannel -e veth
systemctl list-units --all --plain --no-legend 'kubepods*' | cut -d ' ' -f 1
find /sys/fs/cgroup -name '*kubepods*'
find /run/k3s /run/containerd /run/nri -type s 2>/dev/null
:"""


def test_nothing_of_k3s_stays_in_the_nodes_network(before, box, world, converge):
    """The node has no iptables of its own, as many have not."""
    kind, inputs = k3s_server.K3sServer(), box.inputs()
    kind.delete(world, inputs, {})
    box.on("ip link add docker0 type bridge; command -v iptables nft ipset && exit 1 || :")
    save = f"{rootfs.K3S_PROGRAMS}/xtables-nft-multi iptables"
    box.on(f"{save} -N DOCKER; {save} -I INPUT -m comment --comment KUBE-FIREWALL -j DOCKER")
    try:
        _planned, state = converge(inputs)
        there = box.on(NETWORK).splitlines()
        assert len([line for line in there if line.startswith(("-A", ":"))]) > 150
        for name in ("cni0", "flannel.1", "kubepods.slice", "/run/nri/nri.sock", "KUBE-SRC-"):
            assert any(name in line for line in there), name
        world.warned.clear()
        kind.delete(world, inputs, state)
        rules = [line for line in box.on(NETWORK).splitlines() if "KUBE-FIREWALL" not in line]
        assert rules == []
        assert "-A INPUT -m comment --comment KUBE-FIREWALL -j DOCKER" in box.on(f"{save} -S")
        assert "docker0" in box.on("ip link")
        told = " ".join(world.warned)
        assert "not checked" not in told
        assert "net.ipv4.conf.all.route_localnet stays 1, before k3s it was 0" in told
    finally:
        box.on(f"ip link delete docker0; {save} -F INPUT; {save} -X DOCKER")


def test_deleting_leaves_the_node_as_it_was_and_spares_what_is_mounted(
    before, box, world, converge
):
    kind, inputs = k3s_server.K3sServer(), box.inputs()
    _planned, state = converge(inputs)
    box.on(
        "mkdir -p /run/t/precious /var/lib/kubelet/pods/p/v '/var/lib/rancher/k3s/my *disk'"
        " /var/lib/rancher/k3s/storage/pvc-1\n"
        "echo x >/run/t/precious/f; echo data >/var/lib/rancher/k3s/storage/pvc-1/f\n"
        "mount --bind /run/t/precious /var/lib/kubelet/pods/p/v\n"
        "mount --bind /run/t/precious '/var/lib/rancher/k3s/my *disk'\n"
    )
    world.keep_data = True
    kind.delete(world, inputs, state)
    assert box.on("cat /run/t/precious/f") == "x"
    assert box.on("cat /var/lib/rancher/k3s/storage/pvc-1/f") == "data"
    assert box.on("cat '/var/lib/rancher/k3s/my *disk/f'") == "x", "the user's mount stays"
    assert box.on("ls /var/lib/rancher/k3s") == "my *disk\nstorage"
    box.on("umount '/var/lib/rancher/k3s/my *disk'")
    world.keep_data = False
    kind.delete(world, inputs, state)
    assert box.on("cat /run/t/precious/f") == "x"
    box.on("rm -r /run/t")
    assert box.files() == before
    assert box.on("systemctl show -p LoadState --value k3s") == "not-found"
    assert box.on("systemctl --failed --plain --no-legend") == ""
    world.session.invalidate()
    observed = kind.observe(world, inputs, state)
    assert not observed.exists
    kind.delete(world, inputs, state)  # absent is fine


def test_a_folder_that_others_use_is_not_taken(before, box, world, converge):
    box.on("mkdir -p /mnt/big/photos /mnt/own; echo x >/mnt/big/photos/1.jpg")
    for folder, words in (("/mnt/big", "/mnt/big/photos"), ("/srv", "folder of the system")):
        with pytest.raises(errors.RemoteError, match="would share") as caught:
            converge(box.inputs(options={"data-dir": folder}))
        assert words in caught.value.detail
    box.on("rm -r /mnt/big /mnt/own")
    assert box.files() == before, "nothing was written"
