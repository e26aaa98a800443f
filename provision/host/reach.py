"""How one server is reached: the configuration first, then ssh's own, then the defaults.

A `Route` is settled before anything is contacted: address, user, the keys to try,
the hosts to go through, and where the host key is pinned. What the configuration
sets wins over OpenSSH's client configuration; what neither sets has the default of
`config.SshLogin`. Hosts of a ProxyJump have OpenSSH's defaults.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from provision import config, errors, hostkeys
from provision.host import known_hosts, sshconfig
from provision.secret import Secret

_MAX_HOPS = 8
_DEFAULT_KEYS = ("id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_dsa")
"""In the order of OpenSSH."""
_STDIO = re.compile(r"(?:exec )?(?:\S*/)?ssh(?: -q)?(?: (\S+))? -W \[?%h\]?:%p(?: -q)?(?: (\S+))?")
"""A ProxyCommand that means the same as a ProxyJump."""

OWN = "the configuration"
DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class Route:
    """How one server is reached. `sources` says where each value is from.

    `keys` are the private keys to try, `certificates` those for some of them; `only`: the agent
    is asked for these keys alone. `family` is that of the addresses to connect to, and `bind`
    the own address to connect from; empty: any. What a file of `revoked` lists is refused.
    `agent` is its socket, or empty. `known_as` are the names of the server in
    known_hosts files, `known_hosts` these files; a `host_key` stands above them.
    """

    name: str
    host: str
    port: int = 22
    user: str = "root"
    host_key: str = ""
    known_as: tuple[str, ...] = ()
    known_hosts: tuple[Path, ...] = ()
    keys: tuple[Path, ...] = ()
    certificates: tuple[Path, ...] = ()
    given: bool = False
    only: bool = False
    agent: str = ""
    family: Literal["", "inet", "inet6"] = ""
    bind: str = ""
    revoked: tuple[Path, ...] = ()
    password: Secret | None = field(default=None, repr=False)
    passphrase: Secret | None = field(default=None, repr=False)
    jump: Route | None = None
    sources: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def label(self) -> str:
        """The server as it is named in messages: ``host``, or ``host:port``."""
        shown = f"[{self.host}]" if ":" in self.host and self.port != 22 else self.host
        address = shown if self.port == 22 else f"{shown}:{self.port}"
        return address if self.name.lower() == self.host.lower() else f"{self.name} ({address})"

    @property
    def way(self) -> str:
        """The whole way, as it is shown: ``ops@node through ops@gate:2222``."""
        own = f"{self.user}@{self.label}"
        return f"{own} through {self.jump.way}" if self.jump is not None else own

    def trust(self) -> hostkeys.Trust:
        """Return the pinned host keys. Raises `errors.HostKeyError` where one cannot be read."""
        trust = self._trust()
        revoked = [
            entry for path in self.revoked for entry in known_hosts.revoked(path, self.label)
        ]
        return replace(trust, revoked=(*trust.revoked, *revoked))

    def _trust(self) -> hostkeys.Trust:
        if not self.host_key:
            return known_hosts.trusted(self.known_hosts, self.known_as)
        try:
            pins = hostkeys.parse_pins(self.host_key)
        except ValueError as error:
            raise errors.HostKeyError(
                f"the host key pinned for {self.label} cannot be read",
                host=self.label,
                expected=self.host_key,
                got="",
                detail=str(error),
                hint="pin 'ssh-ed25519 AAAA…' or 'SHA256:…'",
            ) from error
        return hostkeys.Trust(pins=pins, source="hostKey")


def api_address(node: config.Node) -> str:
    """Return the host of the Kubernetes API, as kubeconfigs and certificates name it.

    A dot at the end of a name is for the resolver only: no certificate matches it.
    Raises `sshconfig.BrokenError`.
    """
    host = node.address or route(node, node.jump).host
    return host.removesuffix(".")


def route(
    login: config.SshLogin,
    jump: config.SshLogin | None = None,
    *,
    environ: Mapping[str, str] | None = None,
) -> Route:
    """Return how `login` is reached, through `jump` where it is given.

    Reads files of this machine, contacts nothing. Raises `sshconfig.BrokenError`,
    an `errors.ConfigError`.
    """
    environ = os.environ if environ is None else environ
    return _Router(environ).login(login, jump)


def _family(options: sshconfig.Options) -> Literal["", "inet", "inet6"]:
    value = options.get("addressfamily").lower()
    if value == "inet":
        return "inet"
    return "inet6" if value == "inet6" else ""


class _Router:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def login(self, login: config.SshLogin, jump: config.SshLogin | None) -> Route:
        """Return the route of a login of the configuration."""
        files = self._files(login.ssh_config)
        own = login.model_fields_set
        user = login.user if "user" in own else ""
        port = login.port if "port" in own else 0
        through = self.login(jump, None) if jump is not None else None
        options = sshconfig.read(
            login.host, files, user=user, port=port, direct=through is not None
        )
        made = self._of_options(options, files, through, hops=0)
        sources = dict(made.sources)
        for key in ("user", "port"):
            if key in own:
                sources[key] = OWN
        if "user" not in options.settings:
            made = replace(made, user=login.user)
        if login.host_key:
            sources["hostKey"] = OWN
        if login.identity_file:
            sources["identityFile"] = OWN
            path = Path(login.identity_file).expanduser()
            made = replace(made, keys=(path,), given=True, only=True)
        if through is not None:
            sources["jump"] = OWN
        return replace(
            made,
            host_key=login.host_key,
            agent=made.agent if login.agent else "",
            password=login.password,
            passphrase=login.passphrase,
            sources=sources,
        )

    def _files(self, chosen: str) -> sshconfig.SystemFiles:
        home = Path.home()
        if chosen == "none":
            return sshconfig.SystemFiles(home=home, user=None, system=None, environ=self._environ)
        if not chosen:
            return sshconfig.SystemFiles(
                home=home, user=home / ".ssh" / "config", environ=self._environ
            )
        path = Path(chosen).expanduser()
        if not path.exists():
            problem = errors.Problem(
                message=f"there is no file {path}",
                key="sshConfig",
                hint="name an SSH client configuration, or 'none'",
            )
            raise errors.ConfigError("the SSH client configuration cannot be used", [problem])
        return sshconfig.SystemFiles(
            home=home, user=path, system=None, checked=False, environ=self._environ
        )

    def _of_options(
        self,
        options: sshconfig.Options,
        files: sshconfig.SystemFiles,
        jump: Route | None,
        hops: int,
    ) -> Route:
        """Return the route that the client configuration describes, through `jump` if given."""
        where = {
            "host": options.where("hostname") or OWN,
            "user": options.where("user") or DEFAULT,
            "port": options.where("port") or DEFAULT,
        }
        if jump is None:
            jump = self._proxy(options, files, hops)
            if jump is not None:
                where["jump"] = options.where("proxyjump") or options.where("proxycommand")
        named = "identityfile" in options.settings
        keys = options.paths("identityfile")
        if named:
            where["identityFile"] = options.where("identityfile")
        else:
            keys = tuple(files.home / ".ssh" / name for name in _DEFAULT_KEYS)
        alias = options.get("hostkeyalias")
        return Route(
            name=options.name,
            # ssh writes names in lower case and addresses in one form; what differs by no more
            # than that stays as it is given.
            host=options.name
            if sshconfig.numeric(options.name.lower()) == options.hostname
            else options.hostname,
            port=options.port,
            user=options.user,
            known_as=(alias.lower(),)
            if alias
            else (hostkeys.name_of(options.hostname, options.port), options.hostname),
            known_hosts=self._known_hosts(options, files),
            keys=tuple(dict.fromkeys(keys)),
            certificates=options.paths("certificatefile"),
            only=options.yes("identitiesonly"),
            family=_family(options),
            bind=options.get("bindaddress"),
            revoked=options.paths("revokedhostkeys"),
            agent=self._agent(options),
            jump=jump,
            sources=where,
        )

    def _known_hosts(
        self, options: sshconfig.Options, files: sshconfig.SystemFiles
    ) -> tuple[Path, ...]:
        if files.user is None:  # sshConfig: none
            return ()
        own = tuple(str(files.home / ".ssh" / name) for name in ("known_hosts", "known_hosts2"))
        system = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
        return options.paths("userknownhostsfile", own) + options.plain_paths(
            "globalknownhostsfile", system
        )

    def _agent(self, options: sshconfig.Options) -> str:
        """Return the agent's socket."""
        named = options.get("identityagent")
        if not named or named == "SSH_AUTH_SOCK":
            return self._environ.get("SSH_AUTH_SOCK", "")
        if named.lower() == "none":
            return ""
        if named.startswith("$") and not named.startswith("${"):
            return self._environ.get(named[1:], "")
        return options.expanded(named, "IdentityAgent", options.where("identityagent"))

    def _proxy(
        self, options: sshconfig.Options, files: sshconfig.SystemFiles, hops: int
    ) -> Route | None:
        """Return the route of the last host to go through, None for a direct way."""
        text, where = options.get("proxyjump"), options.where("proxyjump")
        command = options.get("proxycommand")
        if command and command.lower() != "none":
            where = options.where("proxycommand")
            same = _STDIO.fullmatch(command)
            text = (same[1] or same[2] or "") if same is not None else ""
            if not text:
                raise sshconfig.BrokenError(
                    where,
                    "ProxyCommand",
                    f"elysium does not run the ProxyCommand for {options.name}",
                    "write ProxyJump instead, or set jump in elysium's configuration",
                )
        if not text or text.lower() == "none":
            return None
        through: Route | None = None
        for hop in sshconfig.hops(options, text, where):
            hops += 1
            if hops > _MAX_HOPS:
                raise sshconfig.BrokenError(
                    where,
                    "ProxyJump",
                    f"more than {_MAX_HOPS} hosts are jumped through, or they jump in a circle",
                    "a host that others are reached through needs 'ProxyJump none'",
                )
            found = sshconfig.read(
                hop.host, files, user=hop.user, port=hop.port, direct=through is not None
            )
            through = self._of_options(found, files, through, hops)
        return through
