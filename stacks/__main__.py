"""The program as the upstream engine runs it: ``pulumi up`` in the stack's folder."""

from __future__ import annotations

import json
import os
from typing import Any

import pulumi

from provision import config
from provision.provider import connections as provider_connections
from stacks import program, repository_facts


def _config() -> config.Config:
    """Return the stack's configuration from what the engine hands to the program."""
    given = pulumi.Config("elysium")
    values: dict[str, Any] = {"cluster": pulumi.get_stack()}
    for name, field in config.Config.model_fields.items():
        key = field.alias or name
        text = given.get(key)
        if text is not None and key != "cluster":
            values[key] = json.loads(text) if text[:1] in "[{" else text
    return config.Config.model_validate(values)


def main() -> None:
    """Run the program of the selected stack."""
    cfg = _config()
    connections = provider_connections.Live(cfg)
    try:
        decided = repository_facts.decide(
            cfg,
            connections.bind(lambda _level, _text: None),
            repository_facts.of_configuration(cfg),
        )
    finally:
        connections.close()
    if os.environ.get("ELYSIUM_NO_SEEDS"):
        pulumi.log.warn("ELYSIUM_NO_SEEDS is no longer read; elysium up --no-seeds seeds nothing")
    for problem in decided.problems:
        pulumi.log.warn(f"an empty cluster would not come up: {problem}")
    program.make_program(cfg, decided)()


main()
