"""The charts that the server of a sandbox answers with."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import socket
import ssl
import tarfile
import threading
from pathlib import Path

import pytest
import yaml

from provision.sandbox import model
from provision.sandbox.charts import catalog, listener, service, wanted
from provision.sandbox.forge import authority

ISSUER = wanted.Kind(
    group="cert-manager.io", kind="ClusterIssuer", versions=("v1",), namespaced=False
)
MONITOR = wanted.Kind(
    group="externaldns.k8s.io", kind="DNSEndpoint", versions=("v1alpha1", "v1"), namespaced=True
)
ASKED = wanted.Wanted(
    indexes={
        ("charts.example.org", "stable"): {
            "cert-manager": ("1.2.3",),
            "external-dns": ("4.0.0",),
            "sealed-secrets": ("2.0.0",),
        }
    },
    images={("charts.example.org", "oci/web"): ("5.0.0", "6.0.0+1"), ("r.example.org", "x"): ()},
    kinds=(ISSUER, MONITOR),
)
SEALED = {
    "kind": "CustomResourceDefinition",
    "spec": {"group": "bitnami.com", "names": {"kind": "SealedSecret"}},
}


@pytest.fixture
def charts(tmp_path: Path) -> catalog.Catalog:
    definitions = tmp_path / "crds"
    definitions.mkdir()
    (definitions / "bitnami.com_sealedsecrets.yaml").write_text(yaml.safe_dump(SEALED))
    return catalog.Catalog(lambda: ASKED, definitions, tmp_path / "served.json")


def files(archive: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {
            member.name: (opened.extractfile(member) or io.BytesIO()).read().decode()
            for member in opened
        }


def get(charts: catalog.Catalog, path: str, host: str = "charts.example.org") -> bytes:
    answer = charts.answer("https", host, path)
    assert answer.status == 200, answer.body
    return answer.body


def test_the_index_names_archives_with_their_digests(charts: catalog.Catalog) -> None:
    index = yaml.safe_load(get(charts, "/stable/index.yaml"))
    assert set(index["entries"]) == {"cert-manager", "external-dns", "sealed-secrets"}
    for name, (entry,) in index["entries"].items():
        assert entry["name"] == name
        url = entry["urls"][0]
        assert url.startswith("https://charts.example.org/stable/")
        archive = get(charts, url.removeprefix("https://charts.example.org"))
        assert hashlib.sha256(archive).hexdigest() == entry["digest"]
        assert yaml.safe_load(files(archive)[f"{name}/Chart.yaml"])["version"] == entry["version"]


def test_a_placeholder_defines_the_kinds_in_its_folder(charts: catalog.Catalog) -> None:
    found = files(get(charts, "stable/external-dns-4.0.0.tgz"))
    definition = json.loads(found["external-dns/crds/definitions.yaml"])
    assert definition["metadata"]["name"] == "dnsendpoints.externaldns.k8s.io"
    assert definition["spec"]["scope"] == "Namespaced"
    assert [one["storage"] for one in definition["spec"]["versions"]] == [True, False]


def test_a_chart_that_values_switch_has_them_in_a_template(charts: catalog.Catalog) -> None:
    found = files(get(charts, "stable/cert-manager-1.2.3.tgz"))
    assert yaml.safe_load(found["cert-manager/values.yaml"]) == {
        "crds": {"enabled": False},
        "installCRDs": False,
    }
    text = found["cert-manager/templates/definitions.yaml"]
    assert text.startswith("{{- if or .Values.crds.enabled .Values.installCRDs false }}\n")
    assert '"scope": "Cluster"' in text


def test_a_chart_of_ours_runs_its_program(charts: catalog.Catalog) -> None:
    found = files(get(charts, "stable/sealed-secrets-2.0.0.tgz"))
    assert "kind: Deployment" in found["sealed-secrets/templates/controller.yaml"]
    assert "sealed-secrets/crds/bitnami.com_sealedsecrets.yaml" in found


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("example.org", "index.yaml"),
        ("charts.example.org", "index.yaml"),
        ("charts.example.org", "stable/web-1.0.0.tgz"),
        ("charts.example.org", "stable/cert-manager-9.9.9.tgz"),
        ("charts.example.org", "stable/../../etc/passwd"),
        ("charts.example.org", "v2/oci/other/tags/list"),
        ("charts.example.org", "v2/oci/web/manifests/latest"),
        ("charts.example.org", "v2/oci/web/blobs/sha256:00"),
    ],
)
def test_what_nothing_asks_for_is_not_found(charts: catalog.Catalog, host: str, path: str) -> None:
    assert charts.answer("https", host, path).status == 404


def test_an_image_is_found_by_tag_and_digest(charts: catalog.Catalog) -> None:
    assert get(charts, "v2/") == b"{}"
    assert json.loads(get(charts, "v2/oci/web/tags/list"))["tags"] == ["5.0.0", "6.0.0_1"]
    manifest = get(charts, "v2/oci/web/manifests/6.0.0_1")
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    assert get(charts, f"v2/oci/web/manifests/{digest}") == manifest
    (layer,) = json.loads(manifest)["layers"]
    archive = get(charts, f"v2/oci/web/blobs/{layer['digest']}")
    assert len(archive) == layer["size"]
    assert "web/templates/placeholder.yaml" in files(archive)
    config = json.loads(get(charts, f"v2/oci/web/blobs/{json.loads(manifest)['config']['digest']}"))
    assert config["version"] == "6.0.0+1"


def test_the_same_chart_has_the_same_bytes(charts: catalog.Catalog, tmp_path: Path) -> None:
    other = catalog.Catalog(lambda: ASKED, tmp_path / "crds")
    assert get(charts, "stable/external-dns-4.0.0.tgz") == get(
        other, "stable/external-dns-4.0.0.tgz"
    )


def test_the_fetched_charts_are_listed(charts: catalog.Catalog, tmp_path: Path) -> None:
    served = model.Charts(address="10.231.0.1", log=tmp_path / "served.json")
    assert service.served(served) == ()
    get(charts, "stable/index.yaml")
    assert service.served(served) == ()
    get(charts, "stable/external-dns-4.0.0.tgz")
    get(charts, "stable/sealed-secrets-2.0.0.tgz")
    get(charts, "v2/oci/web/manifests/5.0.0")
    listed = {part.part: part.what for part in service.served(served)}
    assert set(listed) == {
        "chart external-dns 4.0.0",
        "chart sealed-secrets 2.0.0",
        "chart web 5.0.0",
    }
    assert "DNSEndpoint.externaldns.k8s.io" in listed["chart external-dns 4.0.0"]
    assert "runs its program" in listed["chart sealed-secrets 2.0.0"]
    assert "defines no kind, runs nothing" in listed["chart web 5.0.0"]


def test_every_host_has_a_certificate_of_the_authority(
    charts: catalog.Catalog, tmp_path: Path
) -> None:
    root = tmp_path / "authority"
    root.mkdir()
    certificates = listener.Certificates(root, "127.0.0.1", charts)
    trusting = ssl.create_default_context(cafile=authority.ca_file(root))
    with listener.Server(("127.0.0.1", 0), charts, certificates) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = int(server.server_address[1])

        def ask(host: str, path: str) -> int:
            with (
                contextlib.closing(socket.create_connection(("127.0.0.1", port), 10)) as plain,
                trusting.wrap_socket(plain, server_hostname=host) as secured,
            ):
                secured.sendall(f"HEAD {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                return int(secured.recv(64).split()[1])

        assert ask("charts.example.org", "/stable/index.yaml") == 200
        assert ask("r.example.org", "/v2/") == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            ask("other.example.org", "/")
        server.shutdown()
