"""Each configuration is read as the real ``ssh -G`` reads it, and refused where it refuses it."""

from __future__ import annotations

import getpass
import os
import pathlib
import pwd
import shutil
import subprocess

import pytest

from provision.host import sshconfig

SSH = shutil.which("ssh")
HOME = pathlib.Path(pwd.getpwuid(os.getuid()).pw_dir)

READ: dict[str, tuple[str, str]] = {
    # name: (names of hosts, separated by blanks; text; INC is a folder with files to include)
    "a host and its name": ("node other", "Host node\n HostName 10.0.0.7\n Port 2222\n User ops\n"),
    "the first value counts": ("node", "Host node\n User first\nHost *\n User second\n Port 7\n"),
    "general settings first": ("node", "Port 5\nHost node\n Port 6\n User x\n"),
    "several patterns": ("a b c", "Host a b\n Port 9\nHost c\n Port 8\n"),
    "wildcards": ("n1.lan n12.lan n.lan x", "Host n?.lan\n Port 1\nHost n*.lan\n Port 2\n"),
    "a class is no wildcard": ("n1 n[12]", "Host n[12]\n Port 99\n"),
    "negation": ("a.lan b.lan c.org", "Host *.lan !b.lan\n User ops\n"),
    "negation alone": ("a b", "Host !a\n User ops\n"),
    "negation first": ("a b", "Host !a *\n User ops\n"),
    "commas do not separate hosts": ("a b", "Host a,b\n Port 10\n"),
    "case of a pattern": ("Node node NODE", "Host Node\n Port 10\n"),
    "case of a name": ("NODE.Lan", "Host x\n Port 2\n"),
    "case of keywords": ("a", "hOsT a\n pOrT 10\n UsEr u\n"),
    "equal signs": ("a", "Host=a\nPort=10\nUser = u\nHostName\t=\tb\n"),
    "two equal signs": ("a", "User ==u\n"),
    "quotes": ("a", 'Host "a"\n User "o p"\n IdentityFile "/k y/id"\n'),
    "single quotes": ("a", "User 'o p'\nIdentityFile '/a/\"b'\n"),
    "quotes inside a word": ("a", 'User o"p q"r\n'),
    "escapes": ("a", 'User "a\\"b"\nIdentityFile /a\\ b/c\\d\n'),
    "comments": ("a", "# c\n  # c\nPort 10 # why\nUser a#b\n\nIdentityFile /k#1 #x\n"),
    "tabs, carriage returns": ("a", "\tHost\ta\t\r\n\t\tPort\t10\t\r\n\tUser u\r\n"),
    "no line break at the end": ("a", "Host a\n Port 10"),
    "HostName with tokens": ("a", "Host a\n HostName %h.example.org\n"),
    "HostName with a percent sign": ("a", "HostName %%h-%h\n"),
    "HostName in upper case": ("a", "HostName A.Example.ORG\n"),
    "several keys": ("a",
        "IdentityFile ~/.ssh/one\nHost a\n IdentityFile %d/two\n IdentityFile /3\n"),
    "a key twice": ("a", "IdentityFile /k\nHost a\n IdentityFile /k\n IdentityFile /l\n"),
    "no key": ("a", "IdentityFile none\n"),
    "IdentitiesOnly": ("a b", "Host a\n IdentitiesOnly yes\n IdentityFile /k\nHost *\n"),
    "IdentityAgent": ("a b", "Host a\n IdentityAgent none\nHost b\n IdentityAgent ~/agent.sock\n"),
    "IdentityAgent by a variable": ("a", "IdentityAgent $OTHER\n"),
    "HostKeyAlias": ("a", "Host a\n HostName b\n HostKeyAlias other\n"),
    "known hosts": ("a", "UserKnownHostsFile /k1 ~/k2\n"),
    "known hosts with tokens": ("a",
        "Host a\n HostName b\n Port 7\n UserKnownHostsFile %d/k-%h-%p-%r\n"),
    "known hosts, none": ("a", "UserKnownHostsFile none\n"),
    "known hosts, quoted": ("a", 'UserKnownHostsFile "/a b/k" /c\n'),
    "global known hosts": ("a", "GlobalKnownHostsFile /g1 /g2\n"),
    "one jump": ("a", "Host a\n ProxyJump gw\n"),
    "a jump with user and port": ("a", "Host a\n ProxyJump ops@gw:2222\n"),
    "several jumps": ("a", "Host a\n ProxyJump ops@g1:22,g2,[fd00::1]:44\n"),
    "a jump as a URI": ("a", "ProxyJump ssh://ops@gw:2222\n"),
    "no jump": ("a b", "Host a\n ProxyJump none\nHost *\n ProxyJump gw\n"),
    "a jump before a command": ("a", "ProxyJump gw\nProxyCommand nc %h %p\n"),
    "a command before a jump": ("a", "ProxyCommand nc %h %p # x\nProxyJump gw\n"),
    "no command": ("a", "ProxyCommand none\nProxyJump gw\n"),
    "a jump and a comment": ("a", "ProxyJump gw # the gate\n"),
    "Match host": ("a b", "Match host a\n Port 10\nMatch host b\n Port 11\n"),
    "Match host after HostName": ("a b", "Host a\n HostName x.lan\nMatch host *.lan\n Port 10\n"),
    "Match host, a list": ("a b c", "Match host a,b\n Port 10\n"),
    "Match host, negated in the list": ("a.lan b.lan", "Match host !a.lan,*.lan\n Port 10\n"),
    "Match host, upper case": ("a A", "Match host A\n Port 10\n"),
    "Match negated": ("a b", "Match !host a\n Port 10\n"),
    "Match originalhost": ("a b", "Host a\n HostName b\nMatch originalhost a\n Port 10\n"),
    "Match user": ("a u@a", "Match user u\n Port 10\n"),
    "Match user that was set": ("a", "User u\nMatch user u\n Port 10\n"),
    "Match localuser": ("a", f"Match localuser {getpass.getuser()}\n Port 10\n"),
    "Match several": ("a b",
        "Match host a user nobody\n Port 9\nMatch host a !user nobody\n Port 10\n"),
    "Match all": ("a", "Host b\n Port 9\nMatch all\n Port 10\n"),
    "Match final": ("a", "HostName a.lan\nMatch final host a.lan\n Port 10\n User f\n"),
    "Host in the final reading": (
        "a",
        "Host a.lan\n IdentityFile /second\n Port 10\nHost a\n HostName A.lan\n"
        "Match final all\n User f\n",
    ),
    "Match canonical": ("a", "Match canonical all\n Port 10\nMatch all\n Port 11\n"),
    "Match final and canonical": ("a", "Match canonical\n Port 10\nMatch final all\n User u\n"),
    "Match with quotes": ("a", 'Match host "a" user "*"\n Port 10\n'),
    "Match with a comment": ("a", "Match host a # why\n Port 10\n"),
    "canonical, and nothing to do": ("a.b.c 10.0.0.1",
        "CanonicalizeHostname yes\nMatch final all\n Port 9\n"),
    "Include": ("a b", "Include INC/hosts\nHost *\n Port 99\n"),
    "Include with a pattern": ("a b c", "Include INC/*.conf\nHost *\n User last\n"),
    "Include in a block": ("a b", "Host a\n Include INC/plain\nHost b\n User b\n"),
    "Host inside an inactive include": ("a b", "Host b\n Include INC/hosts\nPort 77\n"),
    "a block does not leave its include": ("z", "Include INC/hosts\nPort 12\n"),
    "Include of nothing": ("a", "Include INC/nothing INC/no*\nPort 12\n"),
    "Include twice removed": ("a", "Include INC/outer\n"),
    "IgnoreUnknown": ("a", "IgnoreUnknown Colour,X*\nColour blue\nXyz 1\nPort 10\n"),
    "keywords that do not matter": ("a",
        "Host a\n ForwardAgent yes\n ServerAliveInterval 3\n Port 4\n"),
    "a user in the name": ("root@a ops@b", "Host a\n User x\n Port 10\n"),
    "a service as port": ("a", "Port https\n"),
    "an empty file": ("a", ""),
    "Match with equal signs": ("a b", "Match host=a\n Port 9\nMatch host = b user=root\n Port 8\n"),
    "Match all after final": ("a", "Match final all\n Port 9\n"),
    "a NUL": ("a", "Host a\n Port 9\0\n User u\0v w\n"),
    "Match with negation": ("a b", "Match !host a\n Port 9\nMatch host !a,*\n User u\n"),
    "certificates": ("a b", "CertificateFile ~/.ssh/c1\nHost a\n CertificateFile %d/c2\n"),
    "addresses": ("a b", "Host a\n AddressFamily inet6\n BindAddress ::1\nHost *\n"
        " AddressFamily inet\n"),
    "an equal sign after a quoted keyword": ("a", '"User"=x\n"IdentityFile"=/k\n'),
    "blanks after a quoted keyword": ("a", '"User"  x\n'),
    "no jump in upper case": ("a", "ProxyJump NONE\n"),
    "a jump to a service": ("a", "ProxyJump u@gw:ssh,g2\n"),
    "a port with a plus sign": ("a", "Port +2222\n"),
    "one criterion before all": ("a b", "Match host a all\n Port 9\n"),
    "a negated all": ("a", "Match !all\n Port 9\n"),
    "a trailing dot": ("a.lan. a.lan", "Host a.lan.\n Port 9\nHost a.lan\n User u\n"),
    "a zone": ("fe80::1%eth0", "Host fe80::1%eth0\n Port 9\nMatch host fe80::*\n User u\n"),
    "an address of version 6": ("fd00::1", "Host fd00::*\n Port 9\n"),
    "HostName with a zone": ("a", "HostName fe80::1%%eth0\n"),
    "unused keywords": ("a", "CheckHostIP yes\nStrictHostKeyChecking accept-new\nPort 3\n"),
    "several ports": ("a", "Port 3\nPort 4\n"),
    "an include that is relative": ("a", "Include nosuch-of-elysium ~/.ssh/nosuch-of-elysium\n"),
    "addresses in other forms": ("FD00:0:0::7 fd00::0007 127.1 010.0.0.7 10.0.0.7. 1.2.3.4.5", ""),
    "HostName in another form": ("a", "HostName FD00:0:0:0::7\nUserKnownHostsFile /k-%h\n"),
    "Match host and an address": (
        "fd00:0::7", "Match host fd00::7\n Port 9\nMatch final host fd00::7\n User f\n"
    ),
    "global known hosts stay as they are": (
        "a", "GlobalKnownHostsFile ~/k %d/j ${HOME}/l ${NOPE_OF_ELYSIUM}\n"
    ),
    "revoked keys": ("a", "RevokedHostKeys /etc/ssh/revoked\n"),
}  # fmt: skip

REFUSED = {
    "an unknown keyword": "Host x\n Hostnme 10.0.0.1\n",
    "an unknown keyword elsewhere": "Host x\n\nColour blue\n",
    "a quote that is not closed": 'Host a\n User "ops\n',
    "a port that is none": "Port 0x10\n",
    "port zero": "Port 0\n",
    "a port too large": "Port 65536\n",
    "a value that is missing": "Port\n",
    "two users": "User a b\n",
    "two keys in a line": "IdentityFile /a /b\n",
    "an unknown criterion": "Match colour blue\n Port 1\n",
    "a criterion without argument": "Match host\n Port 1\n",
    "Match without a criterion": "Match\n",
    "all with another": "Match all host a\n",
    "a switch that is none": "IdentitiesOnly perhaps\n",
    "a jump that is none": "ProxyJump a:b\n",
    "an address of a jump without brackets": "ProxyJump fd00::1\n",
    "a family that is none": "AddressFamily ipv4\n",
    "an include of itself": "Include SELF\n",
    "an empty pattern": 'Host "" b\n',
    "an equal sign after a quoted port": '"Port"=22\n',
    "two criteria before all": "Match host a user b all\n",
    "final and a criterion before all": "Match final host a all\n",
    "Host without a pattern": "Host\n",
    "no file beside another": "UserKnownHostsFile none /k\n",
    "an include of an empty name": 'Include ""\n',
    "an empty user of a jump": "ProxyJump @gw\n",
    "a quoted user of a jump": 'ProxyJump "u@gw:22"\n',
    "a switch of names that is none": "CanonicalizeHostname perhaps\n",
    "a jump to no service": "ProxyJump gw:no-such-service\n",
    "a broken include": "Include INC/broken\n",
}

INCLUDED = {
    "hosts": "Host a\n Port 21\nHost b\n Port 22\n",
    "1.conf": "Host a\n User one\n",
    "2.conf": "Host a b\n User two\n",
    "plain": "User plain\nPort 31\n",
    "outer": "Include INC/hosts\nUser outer\n",
    "broken": "\n\nPort none\n",
}

pytestmark = pytest.mark.skipif(SSH is None, reason="needs the ssh client")


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    for name, text in INCLUDED.items():
        (tmp_path / name).write_text(text.replace("INC", str(tmp_path)))
    return tmp_path


def oracle(path: pathlib.Path, name: str) -> tuple[int, dict[str, list[str]], str]:
    done = subprocess.run(
        [str(SSH), "-F", path, "-G", name],
        capture_output=True, text=True, timeout=20, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    return done.returncode, found, done.stderr


def written(folder: pathlib.Path, text: str) -> pathlib.Path:
    path = folder / "config"
    path.write_bytes(text.replace("INC", str(folder)).replace("SELF", str(path)).encode())
    return path


def mine(path: pathlib.Path, name: str) -> sshconfig.Options:
    user, _, host = name.rpartition("@")
    files = sshconfig.SystemFiles(home=HOME, user=path, system=None)
    return sshconfig.read(host, files, user=user)


def jumps(value: str) -> list[str]:
    """Return the hops of a ProxyJump without ``ssh://``, which ssh leaves out."""
    return [] if value in ("", "none") else [hop.removeprefix("ssh://") for hop in value.split(",")]


@pytest.mark.parametrize("case", READ)
def test_as_ssh_reads_it(folder: pathlib.Path, case: str):
    names, text = READ[case]
    path = written(folder, text)
    for name in names.split():
        status, said, complaint = oracle(path, name)
        assert status == 0, complaint
        options = mine(path, name)
        assert options.hostname == said["hostname"][0]
        assert options.user == said["user"][0]
        assert str(options.port) == said["port"][0]
        keys = options.settings.get("identityfile")
        if keys is not None:
            assert list(keys.values) == said["identityfile"]
        assert ("yes" if options.yes("identitiesonly") else "no") == said["identitiesonly"][0]
        assert jumps(options.get("proxyjump")) == jumps(said.get("proxyjump", [""])[0])
        command = options.get("proxycommand")
        assert ("" if command == "none" else command) == said.get("proxycommand", [""])[0]
        assert options.get("hostkeyalias") == said.get("hostkeyalias", [""])[0]
        agent = options.expanded(options.get("identityagent"), "identityagent", "")
        assert agent == said.get("identityagent", [""])[0]
        certificates = options.settings.get("certificatefile")
        assert list(certificates.values if certificates else ()) == said.get("certificatefile", [])
        assert (options.get("addressfamily") or "any") == said["addressfamily"][0]
        assert options.get("bindaddress") == said.get("bindaddress", [""])[0]
        assert options.get("revokedhostkeys") == said.get("revokedhostkeys", [""])[0]
        ways = {"userknownhostsfile": options.paths, "globalknownhostsfile": options.plain_paths}
        for key, paths in ways.items():
            if key in options.settings:
                shown = " ".join(map(str, paths(key))) or "none"
                assert shown == said[key][0]


@pytest.mark.parametrize("case", REFUSED)
def test_refused_as_ssh_refuses_it(folder: pathlib.Path, case: str):
    path = written(folder, REFUSED[case])
    status, _, complaint = oracle(path, "a")
    assert status != 0, complaint
    with pytest.raises(sshconfig.BrokenError) as caught:
        mine(path, "a")
    problem = caught.value.problems[0]
    file, _, line = problem.where.rpartition(":")
    assert pathlib.Path(file).parent == folder and line.isdigit()
    assert problem.hint


def test_there_are_enough_files():
    assert len(READ) >= 40
