"""`gitops graph` on a real checkout."""

from __future__ import annotations

import json


def test_the_graph_of_a_repository(call, checkout, folder):
    outcome = call("gitops", "graph", str(checkout))
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith("Kustomization flux-system/flux-system  clusters/kyrion\n")
    mermaid = call("gitops", "graph", str(checkout), "--format", "mermaid")
    assert mermaid.out.startswith("flowchart LR\n")
    data = json.loads(call("gitops", "graph", str(checkout), "--json").out)
    assert data == json.loads(call("gitops", "graph", str(checkout), "--format", "json").out)
    assert {"nodes", "edges"} == data.keys()
    outcome = call("gitops", "graph", str(checkout), "--format", "svg", "--output", "g.svg")
    assert outcome.code == 0 and outcome.out == "" and "is in g.svg" in outcome.err
    assert (folder / "g.svg").read_text().startswith("<svg ")


def test_what_does_not_build_is_drawn_and_named(call, checkout):
    (checkout / "apps" / "kyrion" / "kustomization.yaml").write_text("resources: [gone.yaml]\n")
    outcome = call("gitops", "graph", str(checkout))
    assert outcome.code == 3
    assert "(does not build)" in outcome.out
    assert "gone.yaml" in outcome.err and "Traceback" not in outcome.err


def test_no_cluster(call, folder):
    (folder / "empty").mkdir()
    assert call("gitops", "graph", "empty").code == 2
