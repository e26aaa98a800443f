"""`elysium destroy --keep-data` takes the cluster and leaves what it was told to leave."""

from __future__ import annotations

from tests.support import guarded
from tests.support import lab as labs

SAVES = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: saves, namespace: default}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: local-path
  resources: {requests: {storage: 1Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: game, namespace: default}
spec:
  containers:
    - {name: game, image: game, volumeMounts: [{name: saves, mountPath: /saves}]}
  volumes:
    - {name: saves, persistentVolumeClaim: {claimName: saves}}
"""


def test_volumes_stay_when_asked_for(lab: labs.Lab, before: dict[str, str], up: labs.Done) -> None:
    lab.on_node("k3s kubectl apply -f -", stdin=SAVES)
    bound = "k3s kubectl wait pvc saves --for=jsonpath='{.status.phase}'=Bound --timeout=60s"
    lab.on_node(bound)
    (volume,) = lab.kubectl("get", "pv")["items"]
    path = volume["spec"]["local"]["path"]
    assert path.startswith("/var/lib/rancher/k3s/storage/pvc-")
    lab.on_node(f"echo level 9 >{path}/save")

    done = lab.elysium("destroy", "--yes", "--keep-data").ok()
    assert f"(default/saves) at {path}: stays (--keep-data)" in done.stderr
    assert lab.on_node(f"cat {path}/save") == "level 9\n"
    after = labs.files(lab)
    changed = {one for one in before.keys() | after.keys() if before.get(one) != after.get(one)}
    # Debian's sudo notes its first use by a member of group sudo, whoever uses it.
    sudos_own = f"/home/{guarded.USER}/.sudo_as_admin_successful"
    assert changed - {sudos_own} == {f"{path}/save"}
    assert lab.on_node("systemctl show -p LoadState --value k3s").strip() == "not-found"
    assert lab.forge.deploy_keys() == []
