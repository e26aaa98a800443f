"""The outcome as one HTML page that needs nothing beside it: evidence to keep."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Final

from provision.recovery.drill import outcome

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5c6675;--line:#d9dee6;--paper:#fff;
--good:#18794e;--bad:#b42318;--bar:#3b6fd4;--warn:#8a5a00}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa4b2;--line:#333b47;
--paper:#14181f;--good:#4cc38a;--bad:#ff8577;--bar:#7aa2f7;--warn:#e0af68}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}main{max-width:56rem;margin:0 auto;padding:2rem 1rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
.verdict{font-weight:700;font-size:1.2rem}.passed{color:var(--good)}.failed{color:var(--bad)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:1rem 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.row{display:grid;grid-template-columns:minmax(9rem,16rem) 1fr 5rem;gap:.75rem;
align-items:center;border-top:1px solid var(--line);padding:.3rem 0}
.track{position:relative;height:.9rem}.bar{position:absolute;top:0;bottom:0;min-width:2px;
background:var(--bar);border-radius:2px}.bar.failed{background:var(--bad)}
.time{text-align:right;font-variant-numeric:tabular-nums;color:var(--soft)}
ul{padding-left:1.2rem;margin:.3rem 0}li{overflow-wrap:anywhere;white-space:pre-wrap}
.warn{color:var(--warn)}
@media(max-width:40rem){.row{grid-template-columns:1fr 5rem}.track{grid-row:2;grid-column:1/-1}}
"""


def render(found: outcome.Outcome) -> str:
    """Return the page. Every text of it is escaped; it loads and runs nothing."""
    word, kind = ("passed", "passed") if found.passed else ("failed", "failed")
    facts = (
        ("Backup", found.file),
        ("Made", found.made),
        ("Age of the data", duration(found.age_seconds)),
        ("Rehearsed", found.began),
        ("Mode", "rebuild from Git" if found.mode == "rebuild" else "restore the datastore"),
        ("Repository at", found.commit),
        ("Recovery time", duration(found.recovery_seconds)),
        ("With the sandbox", duration(found.seconds)),
        ("Kustomizations Ready", f"{found.ready} of {found.kustomizations}"),
        ("Secrets as they were", f"{found.equal} of {found.secrets}"),
    )
    listed = "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts if value
    )
    sealed = (f"{'✓' if each.opens else '✗'} {each.name}" for each in found.sealed_secrets)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Recovery drill of {_text(found.cluster)}: {word}</title>"
        f"<style>{_STYLE}</style></head><body><main>"
        f"<h1>Recovery drill of {_text(found.cluster)}</h1>"
        f'<p class="verdict {kind}" id="verdict">{word}</p><dl>{listed}</dl>'
        + _section("What failed", found.problems, "failed")
        + f'<h2>Timeline</h2><div id="timeline">{_timeline(found)}</div>'
        + _section("SealedSecrets of the repository", sealed)
        + _section("What would be lost", found.losses, "warn")
        + _section("To know", found.notes)
        + _section("Real in this drill", (f"{p.part}: {p.what}" for p in found.real))
        + _section("Stood in", (f"{p.part}: {p.what}" for p in found.stood_in))
        + "</main></body></html>\n"
    )


def _timeline(found: outcome.Outcome) -> str:
    whole = max(found.seconds, 0.01)
    rows: list[str] = []
    for step in found.steps:
        left, width = 100 * step.at / whole, 100 * step.seconds / whole
        kind = "bar failed" if step.failed else "bar"
        rows.append(
            f'<div class="row"><span>{_text(step.does)}</span><span class="track">'
            f'<span class="{kind}" style="left:{left:.2f}%;width:{width:.2f}%" '
            f'title="{_text(step.failed)}"></span></span>'
            f'<span class="time">{step.seconds:.1f} s</span></div>'
        )
    return "".join(rows)


def _section(title: str, lines: Iterable[str], kind: str = "") -> str:
    items = "".join(f"<li>{_text(line)}</li>" for line in lines)
    return f'<h2>{_text(title)}</h2><ul class="{kind}">{items}</ul>' if items else ""


def duration(seconds: float) -> str:
    """Return seconds as people say them."""
    days, rest = divmod(round(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    named = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    chosen = [f"{count} {unit}" for count, unit in named if count]
    return " ".join(chosen[:2]) or "0 s"


def _text(value: str) -> str:
    return html.escape(value, quote=True)
