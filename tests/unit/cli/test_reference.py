"""Pages made from the program are what the program says; JSON lines are what they promise."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from provision import errors
from provision.cli import main, reference
from provision.cli.render import schema
from provision.config_file import schema as configuration

DOCS = pathlib.Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", reference.pages())
def test_pages_are_up_to_date(name):
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == reference.pages()[name], "run: python -m provision.cli.reference docs"


def test_every_key_has_a_meaning():
    lacking = [k.name for k in configuration.every() if not k.meaning and k.path[-1] not in "[]*"]
    assert lacking == []


def test_one_line_help_is_the_first_line_of_each_commands_help():
    for name, (_, text) in main.COMMANDS.items():
        command = main.cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert (command.help or "").strip().splitlines()[0] == text


def test_every_command_of_the_documentation_explains_itself():
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    for name in main.COMMANDS:
        assert f"## `elysium {name}`" in page


def matches(value: Any, wanted: dict[str, Any]) -> bool:
    """Check the part of JSON Schema that ours uses; fail on any other."""
    unknown = set(wanted) - {
        "$schema", "title", "description", "type", "properties", "required",
        "additionalProperties", "items", "enum", "const", "oneOf",
    }  # fmt: skip
    assert not unknown
    if "oneOf" in wanted and sum(matches(value, one) for one in wanted["oneOf"]) != 1:
        return False
    if "const" in wanted and value != wanted["const"]:
        return False
    if "enum" in wanted and value not in wanted["enum"]:
        return False
    kinds: dict[str, Any] = {
        "string": str, "integer": int, "number": (int, float), "boolean": bool,
        "array": list, "object": dict,
    }  # fmt: skip
    if "type" in wanted and not isinstance(value, kinds[wanted["type"]]):
        return False
    if isinstance(value, list):
        return all(matches(item, wanted.get("items", {})) for item in value)
    if isinstance(value, dict):
        inner = wanted.get("properties", {})
        more = wanted.get("additionalProperties", {})
        extra = {k: v for k, v in value.items() if k not in inner}
        if (extra and more is False) or set(wanted.get("required", ())) - set(value):
            return False
        return all(matches(value[k], s) for k, s in inner.items() if k in value) and all(
            matches(v, more) for v in extra.values()
        )
    return True


def check(out: str) -> list[str]:
    kinds: list[str] = []
    for line in out.splitlines():
        value = json.loads(line)
        assert matches(value, schema.schema()), line
        kinds.append(value["event"])
    return kinds


def test_every_line_satisfies_the_schema(call, operations):
    assert check(call("preview", "--json").out)[-1] == "summary"
    assert check(call("up", "--yes", "--json").out)[-1] == "result"
    assert "losses" in check(call("destroy", "--yes", "--json").out)
    operations.fails["preflight"] = errors.PreflightError("no", [errors.Problem(message="m")])
    outcome = call("up", "--yes", "--json")
    assert check(outcome.out) == ["step", "error"]
    last = json.loads(outcome.out.splitlines()[-1])
    assert (last["class"], last["exitCode"]) == ("PreflightError", outcome.code)
    assert last["problems"] == [
        dict.fromkeys(("where", "key", "hint", "kind"), "") | {"message": "m"}
    ]


def test_the_check_itself_refuses():
    line = {"event": "step", "time": "t", "message": "m"}
    assert matches(line, schema.schema())
    assert not matches(line | {"more": 1}, schema.schema())
    assert not matches(line | {"message": 1}, schema.schema())
    assert not matches({"event": "step", "time": "t"}, schema.schema())
    assert not matches({"event": "nothing", "time": "t"}, schema.schema())
