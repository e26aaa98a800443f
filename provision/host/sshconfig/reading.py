"""The settings of one host, found as OpenSSH finds them.

A file is read from top to bottom; of each keyword the first value counts. The
user's file comes first, then the system's. ``Match final`` asks for a second
reading, in which patterns are compared with the real host name.
"""

from __future__ import annotations

import dataclasses
import getpass
import ipaddress
import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provision import config
from provision.host.sshconfig import keywords, lines, patterns, tokens

SYSTEM = Path("/etc/ssh/ssh_config")
_NONE = ""
_CANONICAL = ("yes", "true", "always")
_OFF = ("no", "false")
_NAMED_PORT = re.compile(r"([^:]+|.*\]):([A-Za-z][A-Za-z0-9-]*)?")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The value of one keyword, and the ``file:line`` that it is from."""

    values: tuple[str, ...]
    where: str

    @property
    def value(self) -> str:
        """The only value, or the first one."""
        return self.values[0]


@dataclass(frozen=True, kw_only=True)
class SystemFiles:
    """Which files are read, and what is around them. `user` None: the user's own is not read.

    `checked`: the user's file and its includes must belong to the user.
    """

    home: Path
    user: Path | None
    system: Path | None = SYSTEM
    checked: bool = True
    local_user: str = field(default_factory=lambda: _local_user())
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


@dataclass(kw_only=True)
class Options:
    """What the files say about one host. Keywords are in lower case."""

    name: str
    files: SystemFiles
    settings: dict[str, Setting] = field(default_factory=dict[str, Setting])
    hostname: str = ""

    @property
    def user(self) -> str:
        """Return who logs in: the user that is set, else the local one."""
        return self.get("user") or self.files.local_user

    @property
    def port(self) -> int:
        """Return the port that is set, or 22."""
        return int(self.get("port") or 22)

    def get(self, key: str) -> str:
        """Return the value of `key`, or an empty text."""
        setting = self.settings.get(key)
        return setting.value if setting is not None else ""

    def where(self, key: str) -> str:
        """Return the place that the value of `key` is from, or an empty text."""
        setting = self.settings.get(key)
        return setting.where if setting is not None else ""

    def yes(self, key: str) -> bool:
        """Return whether a switch is on."""
        return self.get(key).lower() in ("yes", "true")

    def paths(self, key: str, default: tuple[str, ...] = ()) -> tuple[Path, ...]:
        """Return the files that `key` names, expanded; `default` where it is not set.

        Raises `lines.BrokenError` for a token or variable that is not known.
        """
        setting = self.settings.get(key, Setting(values=default, where=""))
        return tuple(
            Path(self.expanded(value, key, setting.where))
            for value in setting.values
            if value.lower() != "none"
        )

    def plain_paths(self, key: str, default: tuple[str, ...] = ()) -> tuple[Path, ...]:
        """Return the files that `key` names, as they are written: ssh expands none of them."""
        setting = self.settings.get(key, Setting(values=default, where=""))
        return tuple(Path(value) for value in setting.values if value.lower() != "none")

    def expanded(self, text: str, key: str, where: str) -> str:
        """Return `text` with ``~``, tokens and environment variables replaced."""
        try:
            text = tokens.at_home(text, self.files.home)
            return tokens.expand(tokens.variables(text, self.files.environ), self._tokens())
        except ValueError as error:
            raise lines.BrokenError(where, key, str(error)) from None

    def _tokens(self) -> dict[str, str]:
        local = socket.gethostname()
        return {
            "C": tokens.connection_hash(local, self.hostname, self.port, self.user),
            "d": str(self.files.home),
            "h": self.hostname,
            "i": str(os.getuid()),
            "k": self.get("hostkeyalias") or self.name,
            "L": local.partition(".")[0],
            "l": local,
            "n": self.name,
            "p": str(self.port),
            "r": self.user,
            "u": self.files.local_user,
        }


def read(
    name: str, files: SystemFiles, *, user: str = "", port: int = 0, direct: bool = False
) -> Options:
    """Return the settings for the host called `name`.

    `user` and `port` are explicit ones, which win and which ``Match user``
    compares with. `direct`: the caller has a way to the host already. Contacts
    nothing and executes nothing. Raises `lines.BrokenError`.
    """
    options = Options(name=name, files=files)
    if user:
        options.settings["user"] = Setting(values=(user,), where="")
    if port:
        options.settings["port"] = Setting(values=(str(port),), where="")
    if direct:
        options.settings["proxyjump"] = Setting(values=("none",), where="")
    reader = _Reader(files, options, host=name, final=False)
    reader.read_all()
    options.hostname = numeric(_hostname(options).lower())
    canonical = options.get("canonicalizehostname").lower() in _CANONICAL
    if reader.wants_final or canonical:
        _refuse_canonical(options)
        options.settings["hostname"] = Setting(
            values=(options.hostname.replace("%", "%%"),), where=options.where("hostname")
        )
        _Reader(files, options, host=options.hostname, final=True).read_all()
    return options


def numeric(host: str) -> str:
    """Return an address in the form in which ssh writes it into known_hosts; a name as it is.

    ``fd00:0:0::7`` is ``fd00::7``, and ``127.1`` is ``127.0.0.1``.
    """
    try:
        found = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
        return socket.getnameinfo(found[0][4], socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
    except (OSError, UnicodeError):
        return host


def _hostname(options: Options) -> str:
    setting = options.settings.get("hostname")
    if setting is None:
        return options.name
    try:
        return tokens.expand(setting.value, {"h": options.name})
    except ValueError as error:
        raise lines.BrokenError(setting.where, "HostName", str(error)) from None


def _refuse_canonical(options: Options) -> None:
    """Refuse a configuration where ssh would look the short name up in other domains."""
    mode = options.get("canonicalizehostname").lower()
    jumps = any(options.get(key) not in ("", "none") for key in ("proxyjump", "proxycommand"))
    if mode not in _CANONICAL or (jumps and mode != "always"):
        return
    domains = options.settings.get("canonicaldomains")
    dots = options.get("canonicalizemaxdots") or "1"
    short = options.hostname.count(".") <= (int(dots) if dots.isdigit() else 1)
    if domains is None or domains.value == "none" or not short or _is_address(options.hostname):
        return
    raise lines.BrokenError(
        options.where("canonicalizehostname"),
        "CanonicalizeHostname",
        f"elysium does not look {options.hostname} up in other domains",
        f"write the full name: HostName {options.hostname}.{domains.value}, "
        f"or CanonicalizeHostname no for 'Host {options.name}'",
    )


class _Reader:
    """One reading of all files for one host."""

    def __init__(self, files: SystemFiles, options: Options, *, host: str, final: bool) -> None:
        self._files = files
        self._options = options
        self._host = host
        self._final = final
        self._ignored: list[str] = []
        self.wants_final = False

    def read_all(self) -> None:
        if self._files.user is not None:
            folder = self._files.home / ".ssh"
            self._file(self._files.user, folder, True, 0, checked=self._files.checked)
        if self._files.system is not None:
            self._file(self._files.system, self._files.system.parent, True, 0, checked=False)

    def _file(self, path: Path, folder: Path, outer: bool, depth: int, *, checked: bool) -> None:
        """Read one file. `outer`: whether the block that includes it is active."""
        active = outer
        try:
            for line in lines.of_file(path, checked=checked):
                if not line.words or (line.key == "include" and "" in line.words):
                    raise line.broken("a value is missing")
                if line.key == "host":
                    active = outer and self._is_host(line)
                elif line.key == "match":
                    active = self._is_match(line, outer) and outer
                elif line.key == "include":
                    for inner in self._included(line, folder, depth):
                        self._file(inner, folder, active, depth + 1, checked=checked)
                else:
                    self._setting(line, active)
        except FileNotFoundError:
            return  # as ssh does; an include may name no file either

    def _included(self, line: lines.Line, folder: Path, depth: int) -> Iterable[Path]:
        if depth + 1 > lines.MAX_DEPTH:
            raise line.broken(f"files include each other more than {lines.MAX_DEPTH} deep")
        for word in line.words:
            try:
                yield from lines.included(word, folder, self._files.home)
            except ValueError as error:
                raise line.broken(str(error)) from None

    def _is_host(self, line: lines.Line) -> bool:
        found = False
        for word in line.words:
            if not word:
                raise line.broken("an empty pattern matches nothing")
            negated = word.startswith("!")
            if patterns.matches(self._host, word[negated:]):
                if negated:
                    return False
                found = True
        return found

    def _is_match(self, line: lines.Line, outer: bool) -> bool:
        words, result, count = _criteria(line.words), True, 0
        while words:
            word = words.pop(0)
            negated = word.startswith("!")
            criterion, count = word[negated:].lower(), count + 1
            if criterion == "all":
                # ssh counts wrong, and lets one criterion stand before it.
                if count > 2 or words:
                    raise line.broken("'all' stands alone, or after 'canonical' or 'final'")
                return result and not negated
            if criterion in ("canonical", "final"):
                self.wants_final |= criterion == "final" and outer
                result &= self._final != negated
                continue
            if not words:
                raise line.broken(f"the criterion {word!r} has no argument")
            argument = words.pop(0)
            # What comes after a criterion that fails decides nothing.
            holds = self._criterion(line, criterion, argument, decides=result and outer)
            result &= holds != negated
        return result

    def _criterion(self, line: lines.Line, name: str, argument: str, *, decides: bool) -> bool:
        options, files = self._options, self._files
        if name == "host":
            host = self._host
            if not self._final and "hostname" in options.settings:
                host = _hostname(dataclasses.replace(options, name=self._host))
            return patterns.host_in_list(host, argument)
        if name == "originalhost":
            return patterns.host_in_list(options.name, argument)
        if name == "user":
            return patterns.in_list(options.user, argument)
        if name == "localuser":
            return patterns.in_list(files.local_user, argument)
        if name not in ("exec", "tagged", "localnetwork", "sessiontype", "version", "command"):
            raise line.broken(f"the criterion {name!r} is not known")
        if not decides:
            return False
        raise line.broken(
            f"elysium does not evaluate the criterion {name!r}",
            "move the settings of this host to a Host block above it, or set sshConfig: none"
            " and give elysium host, port, user and identityFile",
        )

    def _setting(self, line: lines.Line, active: bool) -> None:
        key = line.key
        if key not in keywords.KNOWN:
            if any(patterns.in_list(key, known.lower()) for known in self._ignored):
                return
            raise line.broken(
                "ssh has no such keyword",
                "correct it, or name it in IgnoreUnknown before this line",
            )
        if key not in keywords.USED:
            return
        values = self._values(line)
        if key == "ignoreunknown" and active and not self._ignored:
            self._ignored += values
        if not active:
            return
        settings, setting = self._options.settings, Setting(values=values, where=line.where)
        if key in ("proxyjump", "proxycommand"):
            # Whichever comes first excludes the other.
            if not {"proxyjump", "proxycommand"} & settings.keys():
                settings[key] = setting
        elif key in keywords.MULTIPLE and key in settings:
            before = settings[key]
            new = tuple(v for v in values if v not in before.values)
            settings[key] = Setting(values=before.values + new, where=before.where)
        else:
            settings.setdefault(key, setting)

    def _values(self, line: lines.Line) -> tuple[str, ...]:
        """Return the checked arguments of a setting."""
        if line.key == "proxycommand":
            return (line.rest.lstrip(" \t="),)
        if line.key == "proxyjump":
            return (_jumps(line),)
        if len(line.words) > 1 and line.key not in keywords.LISTS:
            raise line.broken("there is more than one value")
        value = next(iter(line.words), "")
        if not value:
            raise line.broken("a value is missing")
        if line.key == "port":
            return (str(_port(line, value)),)
        if line.key == "identitiesonly" and value.lower() not in ("yes", "no", "true", "false"):
            raise line.broken(f"{value!r} is neither yes nor no")
        if line.key == "addressfamily" and value.lower() not in ("any", "inet", "inet6"):
            raise line.broken(f"{value!r} is no family of addresses: any, inet or inet6")
        if line.key == "canonicalizehostname" and value.lower() not in (*_CANONICAL, *_OFF):
            raise line.broken(f"{value!r} is none of yes, no and always")
        if (
            line.key in keywords.LISTS
            and len(line.words) > 1
            and "none" in map(str.lower, line.words)
        ):
            raise line.broken("'none' stands alone")
        return line.words


def _jumps(line: lines.Line) -> str:
    """Return the checked value of a ProxyJump, of which ssh removes no quotes."""
    text = line.rest.lstrip(" \t=").partition("#")[0].rstrip()
    if text.lower() == "none":
        return "none"
    if '"' in text or "'" in text:
        raise line.broken("ssh takes the quotes for a part of the host", "leave them out")
    for hop in text.split(","):
        _parse_hop(hop, line.where)
    return text


def _criteria(words: Iterable[str]) -> list[str]:
    """Return the criteria and arguments of a Match; ``host=a`` and ``host = a`` are two words."""
    found: list[str] = []
    for word in words:
        if len(found) % 2:
            found += [word.removeprefix("=")] if word != "=" else []
            continue
        name, equals, argument = word.partition("=")
        found += [name, argument] if equals and argument else [name]
        if name.lstrip("!").lower() in ("all", "canonical", "final"):
            # They have no argument: the next word is a criterion again.
            found[-1:] = [name, _NONE]
    return [word for word in found if word is not _NONE]


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One host of a ProxyJump. Empty and 0: as its own settings say."""

    host: str
    user: str = ""
    port: int = 0


def hops(options: Options, text: str, where: str) -> tuple[Hop, ...]:
    """Return the hosts of a ProxyJump's `text` for the host of `options`, the first one first."""
    text = options.expanded(text, "ProxyJump", where)
    return tuple(_parse_hop(hop, where) for hop in text.split(","))


def _parse_hop(text: str, where: str) -> Hop:
    """Read ``[user@]host[:port]`` or an ``ssh://`` URI. Raises `lines.BrokenError`."""
    text = text.strip()
    try:
        if named := _NAMED_PORT.fullmatch(text):  # a service, or nothing: 22
            service = named[2] and socket.getservbyname(named[2], "tcp")
            text = f"{named[1]}:{service}" if service else named[1]
        split = config.split_host(text)
        if ":" in split.host and "[" not in text:
            raise ValueError(f"an IPv6 address stands in brackets: [{split.host}]")
    except OSError:
        message = f"{text!r}: the port after the colon is no number, and no service has that name"
        raise lines.BrokenError(where, "ProxyJump", message) from None
    except ValueError as error:
        raise lines.BrokenError(where, "ProxyJump", str(error)) from None
    return Hop(host=split.host, user=split.user, port=split.port)


def _port(line: lines.Line, text: str) -> int:
    """Return the port that a number, or the name of a service, means."""
    text = text.removeprefix("+")
    if text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= 65535:
        return int(text)
    try:
        return socket.getservbyname(text, "tcp")
    except OSError:
        raise line.broken(f"{text!r} is no port", "a port is a number from 1 to 65535") from None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _local_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id
        return ""
