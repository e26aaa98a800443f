"""The images that a sandbox's registry is given, against a small server."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from provision import errors
from provision.provider.flux import scaffold
from provision.sandbox import model, registry, tryout


class Server(http.server.ThreadingHTTPServer):
    """Takes blobs and manifests as a registry does; `status` is its answer to a manifest."""

    status = 201

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/v2/" else 404)

    def do_POST(self) -> None:
        content = self._body()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        good = self.path == f"/v2/acme/web/blobs/uploads/?digest={digest}"
        self.server.blobs[digest] = content
        self._answer(201 if good else 400)

    def do_PUT(self) -> None:
        self.server.manifests[self.path] = self._body()
        self._answer(self.server.status, b"MANIFEST_INVALID" if self.server.status != 201 else b"")

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def address(server: Server) -> model.Registry:
    return model.Registry(address=f"127.0.0.1:{server.server_address[1]}")


def test_an_image_is_a_manifest_with_its_configuration(server: Server) -> None:
    assert registry.answers(address(server))
    registry.push(address(server), "acme/web", "1.0")
    registry.push(address(server), "acme/web", "1.1")
    assert list(server.manifests) == ["/v2/acme/web/manifests/1.0", "/v2/acme/web/manifests/1.1"]
    one, two = (json.loads(text)["config"]["digest"] for text in server.manifests.values())
    assert one != two
    assert {one, two} == set(server.blobs)


def test_a_refusal_is_said_with_the_registrys_words(server: Server) -> None:
    server.status = 400
    with pytest.raises(errors.ElysiumError) as caught:
        registry.push(address(server), "acme/web", "1.0")
    assert "PUT /v2/acme/web/manifests/1.0 with 400" in str(caught.value)
    assert "MANIFEST_INVALID" in caught.value.detail


def test_a_registry_that_is_gone_is_named(server: Server) -> None:
    gone = address(server)
    server.shutdown()
    server.server_close()
    assert not registry.answers(gone)
    with pytest.raises(errors.ElysiumError, match=gone.address):
        registry.push(gone, "acme/web", "1.0")


def test_the_registry_has_the_tag_of_each_policy_in_the_repository() -> None:
    """Else the first look for tags fails, or finds an update at once."""
    files = scaffold.render("kyrion")
    policies = [text for text in files.values() if "kind: ImageRepository" in text]
    assert len(policies) == 1
    for image, tags in registry.TAGS.items():
        assert f"image: docker.io/{image}\n" in policies[0]
        assert any(f"newTag: {tag} #" in text for text in files.values() for tag in tags)


def test_the_seeded_repository_names_the_sandboxs_registry() -> None:
    bare = model.Sandbox.model_construct(registry=None)
    own = model.Sandbox.model_construct(registry=model.Registry(address="10.231.3.1:5000"))
    plain, changed = tryout.repository_files(bare), tryout.repository_files(own)
    assert plain == scaffold.render("kyrion", flux_in_git=True)
    (path,) = [path for path in plain if plain[path] != changed[path]]
    assert path == "apps/kyrion/image-automation.yaml"
    assert "  image: 10.231.3.1:5000/plexinc/pms-docker\n" in changed[path]
