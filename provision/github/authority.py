"""The certificate authority that the forge's certificate must come from.

Without ``github.caFile`` the usual ones count: those of the environment
(`REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `SSL_CERT_FILE`), else those that
requests brings along. With it, only the file's.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from provision import config, errors

KEY: Final = "github.caFile"
MAX_BYTES: Final = 1024 * 1024
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_BY_REQUESTS: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def resolved(cfg: config.GitHub, root: Path | None) -> config.GitHub:
    """Return `cfg` with its CA file as a whole path; a relative one is below `root`."""
    if not cfg.ca_file:
        return cfg
    path = Path(cfg.ca_file).expanduser()
    return cfg.model_copy(update={"ca_file": str(root / path if root is not None else path)})


def verify(cfg: config.GitHub, environ: Mapping[str, str] = os.environ) -> bool | str:
    """Return what requests takes for ``verify``.

    Raises `errors.ConfigError` for a CA file that is of no use. No word of the
    file gets into it.
    """
    if cfg.ca_file:
        path = Path(cfg.ca_file).expanduser()
        check(path)
        return str(path)
    given = environ.get("SSL_CERT_FILE", "")
    if given and not any(environ.get(name) for name in _BY_REQUESTS) and Path(given).is_file():
        return given
    return True  # and requests looks at its own variables


def check(path: Path) -> None:
    """See that `path` holds certificates in PEM. Raises `errors.ConfigError`."""
    try:
        if not path.is_file():
            raise _unusable(path, "it is no file" if path.exists() else "there is no such file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unusable(path, f"it cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise _unusable(path, f"it is larger than {MAX_BYTES // 1024} KiB")
    if _BEGIN not in content:
        raise _unusable(path, "it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        raise _unusable(path, "a certificate in it is damaged or cut short") from None


def _unusable(path: Path, why: str) -> errors.ConfigError:
    return errors.ConfigError(
        f"the CA file for GitHub cannot be used: {path}",
        [errors.Problem(message=why, where=str(path), key=KEY)],
        hint="put the certificate of the server's certificate authority there, in PEM, or name "
        f"another file: elysium config set {KEY} FILE",
    )
