"""How a login becomes a route: elysium's configuration, ssh's, the defaults."""

from __future__ import annotations

import getpass
import pathlib
from typing import Any

import pytest

from provision import config, errors
from provision.host import reach, sshconfig


@pytest.fixture
def write(home: pathlib.Path):
    def put(text: str, name: str = "config") -> pathlib.Path:
        path = home / ".ssh" / name
        path.write_text(text)
        return path

    return put


def route(jump: dict[str, Any] | None = None, **values: Any) -> reach.Route:
    login = config.SshLogin.model_validate({"host": "node"} | values)
    return reach.route(login, config.SshLogin.model_validate(jump) if jump else None)


def test_without_a_file_there_are_the_defaults(home: pathlib.Path):
    found = route()
    assert (found.host, found.port, found.user, found.label) == ("node", 22, "root", "node")
    assert found.sources == {"host": reach.OWN, "user": reach.DEFAULT, "port": reach.DEFAULT}


def test_a_name_stays_as_it_is_written(write):
    write("Host Upper.LAN\n Port 5\n")
    found = route(host="Upper.LAN")
    assert (found.host, found.port) == ("Upper.LAN", 5)  # the API's address is made of it
    assert found.known_as == ("[upper.lan]:5", "upper.lan")


def test_an_address_is_pinned_as_ssh_writes_it_and_used_as_it_is_written():
    found = route(host="FD00:0:0::7", port=2222)
    assert (found.host, found.name) == ("FD00:0:0::7", "FD00:0:0::7")
    assert found.known_as == ("[fd00::7]:2222", "fd00::7")


def test_the_api_is_named_without_the_dot_at_the_end(write):
    write("Host node\n HostName node.example.org.\n")

    def named(**values: Any) -> str:
        return reach.api_address(config.Node.model_validate({"name": "kyrion"} | values))

    assert named(host="node") == named(host="node.example.org.") == "node.example.org"
    assert named(host="node", address="api.example.org.") == "api.example.org"
    assert named(host="Upper.LAN") == "Upper.LAN"
    assert route(host="node.example.org.").host == "node.example.org."  # the resolver's own form


def test_what_is_not_set_comes_from_ssh_and_says_so(write, home: pathlib.Path):
    path = write(
        "Host node\n HostName 10.0.0.7\n User ops\n Port 2222\n IdentityFile ~/.ssh/key\n"
        " UserKnownHostsFile ~/.ssh/mine\n IdentitiesOnly yes\n"
    )
    found = route()
    assert (found.host, found.port, found.user) == ("10.0.0.7", 2222, "ops")
    assert found.label == "node (10.0.0.7:2222)"
    assert found.keys == (home / ".ssh" / "key",) and found.only and not found.given
    assert found.known_hosts[0] == home / ".ssh" / "mine"
    assert found.known_as == ("[10.0.0.7]:2222", "10.0.0.7")
    lines = {"host": 2, "user": 3, "port": 4, "identityFile": 5}
    assert found.sources == {key: f"{path}:{line}" for key, line in lines.items()}


def test_what_elysium_sets_wins(write, home: pathlib.Path):
    write(
        "Host node\n User ops\n Port 2222\n IdentityFile /k\n ProxyJump gate\n"
        "Match user me\n Port 9\n"
    )
    found = route(
        {"host": "other"}, user="root", port=22, identityFile="~/.ssh/mine", hostKey="SHA256:x"
    )
    assert (found.user, found.port, found.keys) == ("root", 22, (home / ".ssh" / "mine",))
    assert found.jump is not None and found.jump.name == "other" and found.jump.user == "root"
    assert set(found.sources.values()) == {reach.OWN}
    # A user that elysium sets is the one that Match compares with.
    assert route(user="me").port == 2222


def test_several_jumps_each_with_its_own_settings(write):
    write(
        "Host node\n ProxyJump one,ops@two:23\nHost one\n HostName 10.0.0.1\n User first\n"
        " ProxyJump zero\nHost two\n HostName 10.0.0.2\n User no\n Port 9\n ProxyJump elsewhere\n"
    )
    found = route()
    me = getpass.getuser()
    assert found.way == (
        "root@node through ops@two (10.0.0.2:23) through first@one (10.0.0.1) through "
        + f"{me}@zero"
    )


def test_eight_jumps_are_followed_and_nine_refused(write):
    write("Host node\n ProxyJump " + ",".join(f"gate{number}" for number in range(8)) + "\n")
    assert route().way.count(" through ") == 8
    write("Host node\n ProxyJump " + ",".join(f"gate{number}" for number in range(9)) + "\n")
    with pytest.raises(errors.ConfigError, match="more than 8 hosts"):
        route()


def test_a_jump_of_the_configuration_may_have_jumps_in_sshs(write):
    write("Host gate\n ProxyJump front\n")
    assert route({"host": "gate"}).way.startswith("root@node through root@gate through ")


@pytest.mark.parametrize(
    "command",
    ["ssh -W %h:%p ops@gate", "ssh -q ops@gate -W %h:%p", "/usr/bin/ssh -W [%h]:%p ops@gate"],
)
def test_a_command_that_is_a_jump(write, command: str):
    write(f"ProxyCommand none\nHost x\nMatch all\nProxyCommand {command}\n")
    assert route().jump is None
    write(f"Host node\n ProxyCommand {command}\n")
    assert route().way == "root@node through ops@gate"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("Host node\n ProxyCommand nc %h %p\n", 2, "does not run the ProxyCommand for node"),
        ("Host *\n ProxyJump gate\n", 2, "jump in a circle"),
        ("CanonicalizeHostname yes\nCanonicalDomains lan\n", 1, "does not look node up"),
        ('\nMatch exec "touch %d/ran"\n User x\n', 2, "does not evaluate the criterion 'exec'"),
        ("Host node\n HostName %q\n", 2, "token %q"),
        ("IdentityFile ${NOT_SET_AT_ALL}/k\n", 1, "NOT_SET_AT_ALL is not set"),
        ("ProxyJump a:b\n", 1, "port after the colon"),
    ],
)
def test_what_is_not_supported_names_file_and_line(
    write, home: pathlib.Path, text: str, line: int, words: str
):
    path = write(text)
    with pytest.raises(errors.ConfigError) as caught:
        route()
    problem = caught.value.problems[0]
    assert problem.where == f"{path}:{line}" and words in problem.message and problem.hint
    assert not (home / "ran").exists()
    assert route(sshConfig="none").jump is None


def test_what_does_not_decide_is_not_refused(write, home: pathlib.Path):
    write(
        'Match host other exec "touch %d/ran"\n User x\nHost other\n ProxyCommand nc %h %p\n'
        "Match user nobody tagged work\n Port 9\n"
    )
    assert route().user == "root" and not (home / "ran").exists()
    write("Host node\n ProxyCommand nc %h %p\n")
    assert route({"host": "gate"}).jump is not None


def test_relative_includes_are_below_the_users_folder(write):
    write("Include more/*.conf\n")
    (write("", "x").parent / "more").mkdir()
    write("Port 77\n", "more/1.conf")
    assert route().port == 77


def test_files_are_bounded(write, home: pathlib.Path):
    path = write("# " + "x" * 1_000_001)
    with pytest.raises(sshconfig.BrokenError, match="more than 1000000 bytes"):
        route()
    path.write_text("Include many/*\n")
    (home / ".ssh" / "many").mkdir()
    for number in range(201):
        write("", f"many/{number}")
    with pytest.raises(sshconfig.BrokenError, match=r"config:1: Include: .*more than 200 files"):
        route()
    path.write_text("Include /dev/zero\n")
    with pytest.raises(sshconfig.BrokenError, match="not a regular file"):
        route()


def test_a_file_that_others_may_write_is_refused_as_ssh_refuses_it(write):
    path = write("User ops\n")
    path.chmod(0o666)
    with pytest.raises(sshconfig.BrokenError, match="may write"):
        route()


def test_patterns_take_no_time_beyond_reason():
    name = "a" * 2000
    assert not sshconfig.reading.patterns.matches(name, "*a" * 200 + "b")
    assert not sshconfig.reading.patterns.matches(name, "*a" * 8 + "b")


def test_the_agent_that_is_named(write, home: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", "/from/environment")
    monkeypatch.setenv("OTHER", "/other")
    assert route().agent == "/from/environment"
    assert route(agent=False).agent == ""
    for text, expected in {
        "none": "", "SSH_AUTH_SOCK": "/from/environment", "$OTHER": "/other",
        "~/a.sock": f"{home}/a.sock", "${OTHER}.sock": "/other.sock",
    }.items():  # fmt: skip
        write(f"IdentityAgent {text}\n")
        assert route().agent == expected


def test_an_alias_for_the_host_key(write):
    write("Host node\n HostName 10.0.0.7\n Port 5\n HostKeyAlias Kyrion\n")
    assert route().known_as == ("kyrion",)
