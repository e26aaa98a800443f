"""A drill beside the sandbox that stands for the real places, and its page in a browser."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess

import pytest

from provision.recovery.drill import outcome, page
from provision.sandbox import lifecycle
from tests.support import drills
from tests.support import lab as labs

PHRASE = {"ELYSIUM_BACKUP_PASSPHRASE": "correct horse battery"}


def test_a_drill_passes_and_reaches_nothing_real(
    lab: labs.Lab, kept: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """Of the backup at hand: the node it was made of may be gone by now."""
    forge = lab.forge.with_repository("deadlocked")
    head, calls = forge.head(), len(lab.forge.calls())
    keys = [each["id"] for each in forge.deploy_keys()]
    name = f"drill-{os.getpid()}"
    done = lab.elysium(
        *("--json", "drill", str(kept), "--name", name, "--report", str(tmp_path)), environ=PHRASE
    )
    assert done.status == 0, done.stdout[-4000:] + done.stderr
    (ended,) = [each for each in done.json_lines() if each.get("event") == "drilled"]
    assert ended["passed"] and ended["recoverySeconds"] > 0
    assert lifecycle.status(name) is None
    data, shown = map(pathlib.Path, ended["files"])
    found = json.loads(data.read_bytes())
    assert found["equal"] == found["secrets"] - 1  # the deploy key is the sandbox's own
    assert any("as expected: Secret flux-system/flux-system" in each for each in found["notes"])
    assert found["ready"] == found["kustomizations"] == 4
    assert [each["opens"] for each in found["sealedSecrets"]] == [True, True]
    assert "PRIVATE KEY" not in data.read_text() + shown.read_text() + done.stdout
    # The real forge was read, and that is all; the key of the real node was not used.
    assert forge.head() == head
    assert [each["id"] for each in forge.deploy_keys()] == keys
    assert {call["method"] for call in lab.forge.calls(calls)} == {"GET"}
    assert not list((pathlib.Path(lab.environ["HOME"]) / ".config").rglob("elysium-drill-*"))


def test_a_datastore_is_rehearsed_too(
    lab: labs.Lab, kept: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    drills.datastore(lab, kept, tmp_path)


def test_a_browser_shows_the_page(tmp_path: pathlib.Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.fail("the page is looked at in a browser: apt-get install chromium")
    steps = (
        outcome.Step(name="sandbox", does="start a sandbox", at=0, seconds=30),
        outcome.Step(name="k3s", does="bring up k3s", at=30, seconds=60),
        outcome.Step(name="up", does="bring up everything else", at=90, seconds=30, failed="no"),
    )
    found = outcome.Outcome(
        cluster="kyrion",
        file="kyrion.age",
        made="2026-03-01T02:03:04Z",
        age_seconds=93784,
        began="2026-03-02T04:06:08Z",
        mode="rebuild",
        seconds=120,
        recovery_seconds=90,
        steps=steps,
        problems=("Secret arkham/token <is> missing",),
    )
    path = tmp_path / "page.html"
    path.write_text(page.render(found), encoding="utf-8")
    # What the browser made of it: each bar's place and width, as drawn.
    probe = path.with_name("probe.html")
    probe.write_text(
        path.read_text(encoding="utf-8").replace(
            "</body>",
            "<script>document.title=JSON.stringify({"
            "verdict:document.querySelector('#verdict').textContent,"
            "colour:getComputedStyle(document.querySelector('#verdict')).color,"
            "wide:document.documentElement.scrollWidth<=innerWidth,"
            "bars:[...document.querySelectorAll('.bar')].map(b=>{"
            "const r=b.getBoundingClientRect(),t=b.parentElement.getBoundingClientRect();"
            "return [(r.left-t.left)/t.width,r.width/t.width]})})</script></body>",
        ),
        encoding="utf-8",
    )
    common = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}/u",
    ]
    for size in ("1280,1000", "390,900"):
        dumped = subprocess.run(
            [*common, f"--window-size={size}", "--dump-dom", probe.as_uri()],
            capture_output=True,
            text=True,
            timeout=180,
            check=True,
        ).stdout
        title = dumped.partition("<title>")[2].partition("</title>")[0]
        drawn = json.loads(title)
        assert drawn["verdict"] == "failed" and drawn["wide"]
        assert drawn["colour"] in ("rgb(180, 35, 24)", "rgb(255, 133, 119)")
        for bar, (left, width) in zip(
            drawn["bars"], ((0, 0.25), (0.25, 0.5), (0.75, 0.25)), strict=True
        ):
            assert bar == [pytest.approx(left, abs=0.02), pytest.approx(width, abs=0.02)]
        assert "Secret arkham/token &lt;is&gt; missing" in dumped
    shot = tmp_path / "page.png"
    subprocess.run(
        [*common, "--window-size=1000,1200", f"--screenshot={shot}", path.as_uri()],
        capture_output=True,
        timeout=180,
        check=True,
    )
    assert shot.read_bytes().startswith(b"\x89PNG") and shot.stat().st_size > 10_000
