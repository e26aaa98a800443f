"""The part of Go's text templates that SealedSecret templates use.

Actions with fields of the data (``.user``, ``index . "my-key"``), texts,
pipelines, parentheses, ``if``/``else``/``end``, trimming markers and comments,
and the common functions of sprig. Anything else is refused by name: a seed
that is nearly right would be worse than none.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, Final

_LARGEST: Final = 2 << 20
_DEEPEST: Final = 50
"""Parentheses inside of each other."""
_ACTION: Final = re.compile(r"\{\{(-(?=\s))?(.*?)((?<=\s)-)?\}\}", re.DOTALL)
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<field>\.[A-Za-z_]\w*)|(?P<dot>\.)"""
    r"""|(?P<number>-?\d{1,18}(?!\d))|(?P<word>[A-Za-z_]\w*)|(?P<mark>[|()]))"""
)


class TemplateError(ValueError):
    """A template this subset cannot render. Its text holds no secret."""


def to_text(value: bytes) -> str:
    """Return `value` as a text from which `to_bytes` makes the same bytes again."""
    return value.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """Return the bytes of `text`, also where they are not UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _quote(*values: Any) -> str:
    return " ".join(json.dumps(str(value), ensure_ascii=False) for value in values)


def _repeat(count: int, text: str) -> str:
    _check_size(count * len(text))
    return text * count


def _replace(old: str, new: str, text: str) -> str:
    _check_size(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _check_size(characters: int) -> None:
    """Raise `TemplateError` for a text that no Secret holds: etcd takes 1.5 MiB."""
    if characters > _LARGEST:
        raise TemplateError(f"a text in it has more than {_LARGEST >> 20} MiB")


def _indent(width: int, text: str) -> str:
    _check_size(width * (text.count("\n") + 1))
    pad = " " * width
    return pad + text.replace("\n", "\n" + pad)


def _printf(form: str, *values: Any) -> str:
    if set(re.findall(r"%(.)", form)) - set("sdqv%"):
        raise TemplateError("printf with other verbs than %s %d %q %v is not supported")
    rest = iter(values)

    def one(match: re.Match[str]) -> str:
        verb = match.group(1)
        if verb == "%":
            return "%"
        value = next(rest, "")
        return _quote(value) if verb == "q" else str(value)

    return re.sub(r"%(.)", one, form)


_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "b64enc": lambda text: base64.b64encode(to_bytes(text)).decode(),
    "b64dec": lambda text: to_text(base64.b64decode(text)),
    "quote": _quote,
    "squote": lambda *values: " ".join(f"'{value}'" for value in values),
    "upper": lambda text: text.upper(),
    "lower": lambda text: text.lower(),
    "title": lambda text: text.title(),
    "trim": lambda text: text.strip(),
    "trimSuffix": lambda suffix, text: text.removesuffix(suffix),
    "trimPrefix": lambda prefix, text: text.removeprefix(prefix),
    "trimAll": lambda chars, text: text.strip(chars),
    "replace": _replace,
    "repeat": _repeat,
    "default": lambda other, value="": value or other,
    "indent": _indent,
    "nindent": lambda width, text: "\n" + _indent(width, text),
    "toString": str,
    "toJson": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    "sha256sum": lambda text: hashlib.sha256(to_bytes(text)).hexdigest(),
    "print": lambda *values: "".join(str(value) for value in values),
    "printf": _printf,
    "len": lambda value: len(to_bytes(value) if isinstance(value, str) else value),
    "not": lambda value: not value,
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda first, other: first != other,
    "and": lambda *values: next((v for v in values if not v), values[-1]),
    "or": lambda *values: next((v for v in values if v), values[-1]),
    "urlquery": lambda text: urllib.parse.quote_plus(to_bytes(text)),
}


def render(template: str, data: Mapping[str, str]) -> str:
    """Return `template` filled with `data`. Raises `TemplateError`."""
    out: list[str] = []
    # Of each open if: whether output is on inside it, whether a branch was taken.
    stack: list[tuple[bool, bool]] = []
    on = True
    trim_next = False
    position = 0
    for match in _ACTION.finditer(template):
        text = template[position : match.start()]
        position = match.end()
        text = text.lstrip() if trim_next else text
        text = text.rstrip() if match.group(1) else text
        trim_next = bool(match.group(3))
        if on:
            out.append(text)
        action = match.group(2).strip()
        word, _, rest = action.partition(" ")
        if action.startswith("/*"):
            continue
        if word == "if":
            taken = on and bool(_evaluate(rest, data))
            stack.append((on, taken))
            on = taken
        elif word == "else" and stack:
            outer, taken = stack[-1]
            condition = rest.strip()
            if condition and not condition.startswith("if "):
                raise TemplateError(f"'else {condition.split()[0]}' is not supported")
            on = outer and not taken and (not condition or bool(_evaluate(condition[3:], data)))
            stack[-1] = (outer, taken or on)
        elif word == "end" and stack:
            on = stack.pop()[0]
        elif on:
            out.append(_text(_evaluate(action, data)))
    if stack:
        raise TemplateError("an 'if' has no 'end'")
    rest = template[position:]
    if on:
        out.append(rest.lstrip() if trim_next else rest)
    return "".join(out)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _evaluate(expression: str, data: Mapping[str, str]) -> Any:
    tokens = _tokens(expression)
    value, rest = _pipeline(tokens, data)
    if rest:
        raise TemplateError(f"{rest[0][1]!r} is not expected")
    return value


def _tokens(expression: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position = 0
    depth = 0
    expression = expression.strip()
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if not match or not match.lastgroup:
            word = expression[position:].split()[0]
            raise TemplateError(f"{word!r} is not supported")
        token = (match.lastgroup, match.group(match.lastgroup))
        found.append(token)
        depth += {("mark", "("): 1, ("mark", ")"): -1}.get(token, 0)
        if depth > _DEEPEST:
            raise TemplateError(f"parentheses are nested more than {_DEEPEST} deep")
        position = match.end()
    return found


def _pipeline(
    tokens: list[tuple[str, str]], data: Mapping[str, str]
) -> tuple[Any, list[tuple[str, str]]]:
    value, tokens = _command(tokens, data, ())
    while tokens and tokens[0] == ("mark", "|"):
        value, tokens = _command(tokens[1:], data, (value,))
    return value, tokens


def _command(
    tokens: list[tuple[str, str]], data: Mapping[str, str], last: tuple[Any, ...]
) -> tuple[Any, list[tuple[str, str]]]:
    if not tokens:
        raise TemplateError("an expression is missing")
    kind, word = tokens[0]
    if kind != "word" or word in ("true", "false"):
        if last:
            raise TemplateError("only a function can follow '|'")
        return _operand(tokens, data)
    tokens = tokens[1:]
    arguments: list[Any] = []
    while tokens and tokens[0][1] not in ("|", ")"):
        value, tokens = _operand(tokens, data)
        arguments.append(value)
    return _call(word, [*arguments, *last]), tokens


def _operand(
    tokens: list[tuple[str, str]], data: Mapping[str, str]
) -> tuple[Any, list[tuple[str, str]]]:
    (kind, word), rest = tokens[0], tokens[1:]
    if (kind, word) == ("mark", "("):
        value, rest = _pipeline(rest, data)
        if not rest or rest[0] != ("mark", ")"):
            raise TemplateError("a ')' is missing")
        return value, rest[1:]
    if kind == "text":
        return _literal(word), rest
    if kind == "field":
        return data.get(word[1:], "<no value>"), rest
    if kind == "dot":
        return data, rest
    if kind == "number":
        return int(word), rest
    if word in ("true", "false"):
        return word == "true", rest
    if word in _FUNCTIONS:
        return _call(word, []), rest
    raise TemplateError(f"{word!r} is not supported")


def _call(name: str, arguments: list[Any]) -> Any:
    if name == "index":
        if len(arguments) != 2 or not isinstance(arguments[0], Mapping):
            raise TemplateError("index needs the data and one key")
        return arguments[0].get(arguments[1], "")
    if name not in _FUNCTIONS:
        raise TemplateError(f"the function {name!r} is not supported")
    try:
        result = _FUNCTIONS[name](*arguments)
        _check_size(len(result) if isinstance(result, str) else 0)
        return result
    except TemplateError:
        raise
    except Exception:  # noqa: BLE001 - its words may hold the value
        raise TemplateError(f"the function {name!r} cannot take what it is given") from None


def _literal(word: str) -> str:
    """Return the text that a Go literal stands for. Raises `TemplateError`."""
    if word[0] == "`":
        return word[1:-1]
    try:
        return str(json.loads(word, strict=False))
    except ValueError as error:
        raise TemplateError("a text in it has an escape that is not known here") from error
