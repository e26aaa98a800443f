"""The line of k3s' journal that says why it ended. Pure.

Facts: k3s logs with logrus (``time=… level=fatal msg="…"``), the Kubernetes
parts with klog (``F0102 15:04:05.000000 1 file.go:1] …``), and its command line
prints ``Error: …`` or, for an option that it does not know, one line without any.
"""

from __future__ import annotations

import re
from typing import Final

LIMIT: Final = 300
"""Characters of a reason."""

_LOGRUS = re.compile(r'time="?[^ ]*"? level=(\w+) msg=("(?:[^"\\]|\\.)*"|\S+)(.*)')
_KLOG = re.compile(r"([IWEF])\d{4} [\d:.]+ +\d+ [\w./-]+:\d+\] (.*)")
_PLAIN = re.compile(r"(?:Error|error|panic|fatal error|FATAL)[: ] *(.*)")
_USAGE = re.compile(r".*(?:unknown (?:shorthand )?flag|flag provided but not defined).*")
_EXITED = re.compile(r"[\w -]+ exited: .*")
"""How k3s says that one of its parts ended, which ends k3s; errors of the other parts follow."""
_SHORT = re.compile(r"(DEBU|INFO|WARN|ERRO|FATA|PANI)\[[^\]]*\] *(.*)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SYSTEMD = re.compile(r"(?:k3s\.service|Start(?:ing|ed)|Stopp(?:ing|ed)|Failed to start) ?")
_ORDER: Final = ("fatal", "error", "")


def reason(log: str) -> str:
    """Return why k3s ended, by the unit's journal `log`; empty where it does not say.

    The last line of the most severe kind counts. Where k3s called nothing an error, it
    is the last line that is not systemd's.
    """
    found: dict[str, str] = {}
    for line in log.splitlines():
        severity, text = _read(_COLOUR.sub("", line).strip())
        if text:
            found[severity] = text
    return next((found[severity][:LIMIT] for severity in _ORDER if severity in found), "")


def _read(line: str) -> tuple[str, str]:
    """Return a line's severity (``fatal``, ``error``, ``info`` or empty) and its text."""
    if match := _LOGRUS.match(line):
        level, text, rest = match.groups()
        if text.startswith('"'):
            text = re.sub(r"\\(.)", r"\1", text[1:-1])
        severity = {"panic": "fatal", "fatal": "fatal", "error": "error"}.get(level, "info")
        if severity == "error" and (_EXITED.match(text) or _USAGE.match(text)):
            severity = "fatal"
        return severity, f"{text}{rest}".strip()
    if match := _SHORT.match(line):
        short = {"FATA": "fatal", "PANI": "fatal", "ERRO": "error"}
        return short.get(match.group(1), "info"), match.group(2)
    if match := _KLOG.match(line):
        return {"F": "fatal", "E": "error"}.get(match.group(1), "info"), match.group(2)
    if match := _USAGE.fullmatch(line):
        return "fatal", line
    if match := _PLAIN.match(line):
        return "fatal", match.group(1) or line
    return ("info", "") if _SYSTEMD.match(line) else ("", line)
