"""The part of the configuration that reaches nodes and GitHub, as one JSON text.

The program hands it, as a secret, to the ``elysium`` provider resource, so that
a provider in another process (the upstream engine's) can open the same
connections. The GitHub token is in it only where the stack's configuration
holds one; a token from the environment stays out of the state.
"""

from __future__ import annotations

import json
from typing import Any

from provision import config, errors
from provision.secret import Secret


def dump(cfg: config.Config) -> str:
    """Return `cfg` as JSON with its secrets in clear: to be made a secret at once.

    The media library, the sealing keys and the stack's id are left out: they are inputs of
    their own resources. The token of Flux gets to a provider in another process in its environment.
    """
    flux = cfg.flux.model_copy(update={"token": None})
    cfg = cfg.model_copy(update={"media": None, "sealing": config.Sealing(), "flux": flux})
    values = cfg.model_dump(by_alias=True, exclude={"stack", "nodes"})
    # What is not set comes from the SSH client configuration of whoever connects.
    values["nodes"] = [node.model_dump(by_alias=True, exclude_unset=True) for node in cfg.nodes]
    return json.dumps(_reveal(values), sort_keys=True)


def load(text: str) -> config.Config:
    """Return the configuration that `dump` wrote.

    Raises `errors.StackError` when the text is from an incompatible version.
    """
    try:
        return config.Config.model_validate_json(text)
    except ValueError as error:
        raise errors.StackError(
            "the provider's settings in the stack's state cannot be read by this elysium",
            operation="configure the elysium provider",
            hint="run 'elysium up' with the version that wrote the state, or upgrade",
        ) from error


def _reveal(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, dict):
        return {key: _reveal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_reveal(item) for item in value]
    return value
