"""What texts mention of elysium: commands, options, configuration keys and links."""

from __future__ import annotations

import ast
import functools
import pathlib
import re
from collections.abc import Iterator, Mapping

import click

from provision.cli import main
from provision.config_file import schema

ROOT = pathlib.Path(__file__).parents[2]
HOLE = "\x00"
"""Stands for what an f-string fills in."""

_COMMAND = re.compile(r"(?<![\w/.-])elysium((?:[ ]+[^\s'\"`|&;<>()]+)*)")
_QUOTED = re.compile(r"(?:['\"`]|\b[Rr]un |\$ )$")
_PROGRAM = re.compile(
    r"(?<![\w-])(?:kubectl|k3s|flux|git|rclone|systemctl|systemd-run|journalctl|firewall-cmd|ufw|nmcli"
    r"|ssh|ssh-keygen|curl|pulumi|kustomize|helm|docker|apt-get|age|sops|openssl|tests\.bench)(?![\w-])"
)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]")
_KEY = re.compile(
    r"(?<![\w./@:-])([a-z][a-zA-Z0-9]*(?:\[\d*\])?(?:\.[a-z][a-zA-Z0-9]*(?:\[\d*\])?)+)"
)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PAGE = re.compile(r"(?<![\w/])docs/[\w./-]+\.(?:md|json)")


@functools.cache
def commands() -> Mapping[tuple[str, ...], frozenset[str]]:
    """Return every command by its words, with the options that it takes."""
    found: dict[tuple[str, ...], frozenset[str]] = {}

    def visit(command: click.Command, words: tuple[str, ...], context: click.Context) -> None:
        options = {
            text for param in command.params for text in (*param.opts, *param.secondary_opts)
        }
        found[words] = frozenset({*options, "--help", "--version"})
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                visit(inner, (*words, name), click.Context(inner, context, name))

    visit(main.cli, (), click.Context(main.cli, info_name="elysium"))
    return found


@functools.cache
def _with_value() -> frozenset[str]:
    """Return the options whose value is the next word."""
    found: set[str] = set()

    def visit(command: click.Command, context: click.Context) -> None:
        for param in command.params:
            if isinstance(param, click.Option) and not param.is_flag and not param.count:
                found.update(param.opts)
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                visit(inner, click.Context(inner, context, name))

    visit(main.cli, click.Context(main.cli, info_name="elysium"))
    return frozenset(found)


def literals(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of each string of a module; joined and formatted ones whole."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside.update(id(part) for part in ast.walk(node) if part is not node)
            parts = [
                str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values
            ]
            yield node.lineno, "".join(parts)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in inside
        ):
            yield node.lineno, node.value


def pages() -> list[pathlib.Path]:
    """Return the pages that people read."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def modules() -> list[pathlib.Path]:
    """Return the modules whose strings users may read."""
    return sorted([*(ROOT / "provision").rglob("*.py"), *(ROOT / "stacks").rglob("*.py")])


def wrong_commands(text: str) -> Iterator[str]:
    """Yield what `text` mentions as a command or as a command's option and is none.

    In a sentence a verb may follow the name of the program ("elysium writes"). What stands in
    quotes, after "run" or before an option is a command.
    """
    known = commands()
    for found in _COMMAND.finditer(text):
        words: tuple[str, ...] = ()
        quoted = _QUOTED.search(text[: found.start()]) is not None
        is_value = False
        for raw in found[1].split():
            word = raw.rstrip(".,:!?…*")
            if is_value:
                is_value = False
                continue
            if word.startswith("--"):
                option, equals, _ = word.partition("=")
                is_value = option in _with_value() and not equals
                if _OPTION.fullmatch(option) and option not in known[words] | known[()]:
                    yield f"elysium {' '.join(words)} has no option {option}"
            elif (*words, word) in known:
                words = (*words, word)
            elif any(other[: len(words)] == words and len(other) > len(words) for other in known):
                followed = found[1].partition(f" {raw} ")[2].startswith("--")
                if (quoted or followed) and _is_meant(words, word):
                    yield f"elysium {' '.join((*words, word))} is no command"
                break
            if raw != word and raw[-1] in ".,:!?":
                break


def _is_meant(words: tuple[str, ...], word: str) -> bool:
    """Return whether `word` after the command `words` can only be meant as a command."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", word):
        return False
    command: click.Command = main.cli
    for name in words:
        assert isinstance(command, click.Group)
        inner = command.get_command(click.Context(command), name)
        assert inner is not None
        command = inner
    return not words or not getattr(command, "invoke_without_command", False)


def wrong_options(text: str, foreign: frozenset[str]) -> Iterator[str]:
    """Yield each option in `text` that no command has. `foreign` are those of other programs.

    One in the same clause as the name of another program belongs to that.
    """
    every = frozenset().union(*commands().values())
    for found in _OPTION.finditer(text):
        clause = re.split(r"[.;:!?] ", text[: found.start()])[-1]
        if found[0] in every or found[0] in foreign:
            continue
        if not _PROGRAM.search(clause):
            yield f"no command has the option {found[0]}"


def wrong_keys(text: str, no_keys: frozenset[str]) -> Iterator[str]:
    """Yield each configuration key in `text` that the schema does not have."""
    top = set(schema.top_level())
    for found in _KEY.finditer(text):
        plain = re.sub(r"\[\d*\]", "", found[1])
        parts = tuple(plain.split("."))
        if parts[0] not in top or plain in no_keys:
            continue
        if not _is_key(parts):
            yield f"the configuration has no key {found[1]}"


@functools.cache
def _keys() -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    """Return every key and section, and those below which any name may stand."""
    exact: set[tuple[str, ...]] = set()
    free: set[tuple[str, ...]] = set()
    for key in schema.every():
        parts = tuple(re.sub(r"\[\]", "", key.name).split("."))
        for length in range(1, len(parts) + 1):
            exact.add(parts[:length])
        if key.type in ("map", "object", "mapping") or key.name.endswith((".options", ".remote")):
            free.add(parts)
    return exact, free


def _is_key(parts: tuple[str, ...]) -> bool:
    exact, free = _keys()
    return parts in exact or any(parts[:length] in free for length in range(1, len(parts)))


def wrong_links(path: pathlib.Path) -> Iterator[str]:
    """Yield each relative link of a page that leads nowhere."""
    text = path.read_text(encoding="utf-8")
    for found in _LINK.finditer(text):
        target, _, anchor = found[1].partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        file = (path.parent / target).resolve() if target else path
        if not file.exists():
            yield f"{found[1]} does not exist"
        elif anchor and file.suffix == ".md" and anchor not in _anchors(file):
            yield f"{found[1]}: there is no such heading"


def wrong_pages(text: str) -> Iterator[str]:
    """Yield each page that `text` names and that does not exist."""
    for found in _PAGE.finditer(text):
        if not (ROOT / found[0]).exists():
            yield f"there is no page {found[0]}"


@functools.cache
def _anchors(path: pathlib.Path) -> frozenset[str]:
    headings = re.findall(r"^#+ +(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return frozenset(heading.strip().replace(" ", "-") for heading in plain)
