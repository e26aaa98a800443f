"""The graph of small clusters, as data, text and Mermaid."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from provision.cli.render import graphs, graphsvg
from provision.gitops import graph, tree
from provision.gitops.build import discovery
from tests.support import gitopsdocs as docs


def drawn(**folders: str) -> graph.Graph:
    return graph.of(discovery.discover(tree.Tree.of(docs.files(**folders)), "clusters/home"))


def whole() -> graph.Graph:
    return drawn(
        clusters__home=docs.many(
            docs.kustomization("infra", "./infra"),
            docs.kustomization("apps", "./apps", "infra", "gone", suspend=True),
            docs.kustomization("far", "./far", source="elsewhere"),
            docs.source("elsewhere", "https://git.example.org/far"),
        ),
        infra=docs.chart("cert-manager"),
        apps=docs.chart("web", dependsOn=[{"name": "cert-manager"}]),
    )


def test_as_text():
    assert list(graphs.text(whole())) == [
        "Kustomization flux-system/flux-system  clusters/home",
        "|- Kustomization flux-system/infra  infra",
        "|  `- HelmRelease flux-system/cert-manager  cert-manager"
        "  from HelmRepository flux-system/cert-manager",
        "|- Kustomization flux-system/apps  apps  <- infra, gone  (suspended)",
        "|  `- HelmRelease flux-system/web  web  from HelmRepository flux-system/web"
        "  <- cert-manager",
        "`- Kustomization flux-system/far  far  from GitRepository flux-system/elsewhere"
        "  (not built: GitRepository elsewhere is another source)",
        "Kustomization flux-system/gone  (not seen)",
        "sources:",
        "  GitRepository flux-system/flux-system",
        "  GitRepository flux-system/elsewhere  https://git.example.org/far",
        "  HelmRepository flux-system/cert-manager  https://charts.example.org/cert-manager",
        "  HelmRepository flux-system/web  https://charts.example.org/web",
    ]


def test_as_data():
    data = whole().to_json()
    names = {one["id"]: f"{one['kind']}/{one['name']}" for one in data["nodes"]}
    edges = {(names[e["from"]], e["relation"], names[e["to"]]) for e in data["edges"]}
    assert ("GitRepository/flux-system", "files", "Kustomization/apps") in edges
    assert ("Kustomization/flux-system", "applies", "Kustomization/apps") in edges
    assert ("Kustomization/infra", "after", "Kustomization/apps") in edges
    assert ("HelmRepository/web", "chart", "HelmRelease/web") in edges
    assert ("HelmRelease/cert-manager", "after", "HelmRelease/web") in edges


def test_as_mermaid():
    lines = list(graphs.mermaid(whole()))
    assert lines[0] == "flowchart LR"
    ids = {line.split("[")[0].split("(")[0].strip() for line in lines if '"' in line}
    for line in lines:
        found = re.fullmatch(r"  (n\d+) (?:-->|==>|-\.->)(?:\|\w+\|)? (n\d+)", line)
        if found:
            assert {found[1], found[2]} <= ids
    assert any("==>" in line for line in lines) and any("|chart|" in line for line in lines)
    assert lines[-1].startswith("  class n") and lines[-1].endswith(" odd")


def test_a_name_cannot_leave_its_label():
    evil = 'x"]; click n0 "javascript:alert(1)"\nn9'
    lines = list(graphs.mermaid(drawn(clusters__home=docs.kustomization(evil, "./gone"))))
    assert not any("javascript:alert(1)" in line for line in lines)
    assert all(line.startswith(("  ", "flowchart")) for line in lines)


def test_what_is_missing_and_all_was_seen():
    found = drawn(
        clusters__home=docs.kustomization("apps", "./apps", "gone"), apps=docs.config_map("a")
    )
    node = found.nodes["Kustomization", "flux-system", "gone"]
    assert node.state == "not in the repository"


def test_a_circle_ends():
    found = drawn(
        clusters__home=docs.many(
            docs.kustomization("a", "./a", "b"), docs.kustomization("b", "./b", "a")
        ),
        a=docs.kustomization("b", "./b", "a"),
        b=docs.kustomization("a", "./a", "b"),
    )
    assert len(list(graphs.text(found))) < 12


def test_as_svg():
    picture = ElementTree.fromstring("\n".join(graphsvg.svg(whole())))  # noqa: S314
    name = "{http://www.w3.org/2000/svg}"
    boxes = picture.findall(f"{name}g")
    assert len(boxes) == len(whole().nodes)
    spots = [(one.find(f"{name}rect").get("x"), one.find(f"{name}rect").get("y")) for one in boxes]
    assert len(set(spots)) == len(spots), "no box covers another"
    assert all(int(x) + 250 <= int(picture.get("width")) for x, _ in spots)


def test_an_svg_holds_what_others_wrote_as_text():
    evil = "</text><script>alert(1)</script>\x1b[2J"
    text = "\n".join(graphsvg.svg(drawn(clusters__home=docs.kustomization("a", "./gone", evil))))
    ElementTree.fromstring(text)  # noqa: S314
    assert "&lt;script&gt;" in text and "<script" not in text and "\x1b" not in text


def test_an_svg_of_a_circle_ends():
    circle = docs.many(docs.kustomization("a", "./a", "b"), docs.kustomization("b", "./a", "a"))
    found = drawn(clusters__home=circle, a=docs.config_map("x"))
    assert "\n".join(graphsvg.svg(found)).count("<rect") == len(found.nodes)
