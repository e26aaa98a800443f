"""A real kube-apiserver on loopback, with kine on SQLite behind it, for contract tests."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

START_TIMEOUT = 60
NEEDED = ("kube-apiserver", "kine")


def binaries(*needed: str) -> Path:
    """Return the folder with the built sandbox parts, or fail naming what is missing."""
    folder = os.environ.get("ELYSIUM_SANDBOX_BIN")
    if not folder:
        with contextlib.suppress(ImportError, AttributeError):
            from provision.sandbox import build

            folder = str(build.bin_dir())
    missing = [n for n in needed or NEEDED if not folder or not (Path(folder) / n).exists()]
    if missing:
        pytest.fail(f"not built: {', '.join(missing)} (make sandbox-parts builds them)")
    return Path(str(folder))


def _name(common: str, organisation: str = "") -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(attributes)


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


class Authority:
    """A throwaway certificate authority."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(_name("throwaway CA"), self.key, ca=True, client=False)

    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, common: str, organisation: str = "", *, client: bool) -> tuple[bytes, bytes]:
        """Return certificate and key in PEM, for a client or for a server on loopback."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_name(common, organisation), key, ca=False, client=client)
        return certificate.public_bytes(serialization.Encoding.PEM), _pem(key)

    def serving(self, folder: Path) -> ssl.SSLContext:
        """Return the context of a server on loopback; its files are put into `folder`."""
        certificate, key = self.issue("throwaway server", client=False)
        (folder / "server.pem").write_bytes(certificate + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        return context

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool, client: bool
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if ca else self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            builder = builder.add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


@dataclass(kw_only=True)
class ApiServer:
    """A running API server. `kubeconfig` is that of an administrator."""

    folder: Path
    bin: Path
    port: int
    authority: Authority
    processes: list[subprocess.Popen[bytes]]

    @property
    def kubeconfig(self) -> str:
        return self.kubeconfig_for("admin", "system:masters")

    def kubeconfig_for(self, user: str, group: str = "", port: int = 0) -> str:
        certificate, key = self.authority.issue(user, group, client=True)

        def text(value: bytes) -> str:
            return base64.b64encode(value).decode()

        cluster = {
            "server": f"https://127.0.0.1:{port or self.port}",
            "certificate-authority-data": text(self.authority.pem()),
        }
        credentials = {
            "client-certificate-data": text(certificate),
            "client-key-data": text(key),
        }
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "default",
                "clusters": [{"name": "default", "cluster": cluster}],
                "users": [{"name": user, "user": credentials}],
                "contexts": [{"name": "default", "context": {"cluster": "default", "user": user}}],
            }
        )

    def start(self) -> None:
        socket_path = self.folder / "kine.sock"
        socket_path.unlink(missing_ok=True)
        self._spawn(
            "kine",
            f"--listen-address=unix://{socket_path}",
            f"--endpoint=sqlite://{self.folder}/state.db?_journal=WAL&cache=shared&_busy_timeout=30000",
            "--metrics-bind-address=0",
            cwd=self.folder,
        )
        _await(socket_path.exists, "kine's socket")
        self._spawn(
            "kube-apiserver",
            f"--etcd-servers=unix://{socket_path}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={self.folder}/server.crt",
            f"--tls-private-key-file={self.folder}/server.key",
            f"--client-ca-file={self.folder}/ca.crt",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder}/sa.key",
            f"--service-account-signing-key-file={self.folder}/sa.key",
            "--service-cluster-ip-range=10.43.0.0/16",
            "--endpoint-reconciler-type=none",
            "--profiling=false",
        )
        _await(self.ready, "the API server")

    def start_controllers(self, controllers: str) -> None:
        """Start kube-controller-manager with these controllers only."""
        config = self.folder / "controllers.kubeconfig"
        config.write_text(self.kubeconfig)
        self._spawn(
            "kube-controller-manager",
            f"--kubeconfig={config}",
            f"--controllers={controllers}",
            f"--service-account-private-key-file={self.folder}/sa.key",
            f"--root-ca-file={self.folder}/ca.crt",
            "--secure-port=0",
            "--leader-elect=false",
        )

    def ready(self) -> bool:
        for process in self.processes:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args[0]} ended:\n{self._log(process)}")
        context = ssl.create_default_context(cadata=self.authority.pem().decode())
        context.load_cert_chain(self.folder / "admin.pem")
        url = f"https://127.0.0.1:{self.port}/readyz"
        try:
            with urllib.request.urlopen(url, context=context, timeout=5) as answer:
                # Its list of failures holds the word ok too: only this body is ready.
                return answer.read() == b"ok"
        except urllib.error.HTTPError as error:
            error.close()  # 500 while it starts
            return False
        except OSError:
            return False

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes.clear()

    def _spawn(self, program: str, *arguments: str, cwd: Path | None = None) -> None:
        with (self.folder / f"{program}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [str(self.bin / program), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                )
            )

    def _log(self, process: subprocess.Popen[bytes]) -> str:
        name = Path(process.args[0]).name  # type: ignore[index]
        return (self.folder / f"{name}.log").read_text()[-3000:]


def _await(condition, what: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come up within {START_TIMEOUT} s")
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ApiServer]:
    """Start an API server with its data in `folder`; stop it at the end."""
    authority = Authority()
    server = ApiServer(
        folder=folder, bin=binaries(), port=free_port(), authority=authority, processes=[]
    )
    certificate, key = authority.issue("kube-apiserver", client=False)
    admin = b"".join(authority.issue("admin", "system:masters", client=True))
    signing = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    files = {
        "ca.crt": authority.pem(),
        "server.crt": certificate,
        "server.key": key,
        "admin.pem": admin,
        "sa.key": _pem(signing),
    }
    for name, content in files.items():
        path = folder / name
        path.touch(0o600)
        path.write_bytes(content)
    try:
        server.start()
        yield server
    finally:
        server.stop()
