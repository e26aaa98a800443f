"""No URN reaches a user."""

from __future__ import annotations

import json

import pytest

from provision import errors
from provision.cli import naming
from provision.engine import events

KEY = "urn:pulumi:kyrion::elysium::elysium:components:Flux$elysium:flux:GitAccess::flux-access"
GROUP = "urn:pulumi:kyrion::elysium::elysium:components:Flux::flux"
POD = "urn:pulumi:kyrion::elysium::kubernetes:core/v1:Namespace::gpu"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{KEY} failed", "deploy key flux-access failed"),
        (f"'{KEY}', {POD}: no.", "'deploy key flux-access', Namespace gpu: no."),
        (f"{GROUP}#outputs.revision is odd", "Flux flux (outputs.revision) is odd"),
        (f"it needs {KEY}.", "it needs deploy key flux-access."),
        ("nothing to name: urn:pulumi:", "nothing to name: urn:pulumi:"),
    ],
)
def test_urns_become_names(text: str, told: str) -> None:
    assert naming.without_urns(text) == told


def test_errors_and_diagnostics_name_resources(call, operations) -> None:
    operations.fails["up"] = errors.StackError(
        f"{KEY} depends on {GROUP}", operation="x", detail=f"- {POD}", hint=f"look at {POD}"
    )
    operations.up_events = [
        *operations.up_events[:-1],
        events.Diagnostic(severity="warning", message=f"the state has {KEY}"),
    ]
    done = call("up", "--yes")
    assert "urn:pulumi" not in done.err + done.out
    assert "error: deploy key flux-access depends on Flux flux" in done.err
    last = json.loads(call("up", "--yes", "--json").out.splitlines()[-1])
    assert "urn:pulumi" not in json.dumps(last)
