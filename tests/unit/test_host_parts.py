"""``user@host:port`` is split, and what contradicts it is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from provision import config


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("node", ("node", "", 0)),
        ("root@node", ("node", "root", 0)),
        ("root@node:22", ("node", "root", 22)),
        ("node:2222", ("node", "", 2222)),
        ("10.0.0.7:22", ("10.0.0.7", "", 22)),
        ("fd00::1", ("fd00::1", "", 0)),
        ("root@fd00::1", ("fd00::1", "root", 0)),
        ("[fd00::1]", ("fd00::1", "", 0)),
        ("root@[fd00::1]:2222", ("fd00::1", "root", 2222)),
        ("[fe80::1%eth0]:22", ("fe80::1%eth0", "", 22)),
        ("ssh://root@node:22", ("node", "root", 22)),
        ("ssh://root@node/", ("node", "root", 0)),
        ("me@corp@node", ("node", "me@corp", 0)),
    ],
)
def test_it_is_split(text: str, expected: tuple[str, str, int]):
    assert tuple(config.split_host(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["@node", "node:", "node:x", "node:0", "node:65536", "[fd00::1", "[fd00::1]x", "root@", ":22",
     "a b", "-oProxyCommand=x", "-x@node", "node/path", "", "root@[]:22",
     "node:22:33", "root@10.0.0.7:22:22", "node:0000655359", "node:" + "2" * 5000],
)  # fmt: skip
def test_what_is_no_host(text: str):
    with pytest.raises(ValueError, match=r"no host|port|user|bracket|hyphen|no IPv6"):
        config.split_host(text)


def login(**values: Any) -> config.SshLogin:
    return config.SshLogin.model_validate(values)


def test_the_parts_are_settings_like_others():
    split = login(host="ops@[fd00::1]:2222")
    assert (split.host, split.user, split.port) == ("fd00::1", "ops", 2222)
    assert {"host", "user", "port"} <= split.model_fields_set
    assert login(host="ops@node", user="ops").user == "ops"
    assert login(host="node:22", port=22).port == 22
    assert "user" not in login(host="node:22").model_fields_set


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"host": "root@node:22", "port": 2222}, r"root@node:22.*port 22.*2222"),
        ({"host": "root@node", "user": "ops"}, r"root@node.*user root.*'ops'"),
        ({"host": "node:0"}, "port"),
    ],
)
def test_a_contradiction_names_both(values: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        login(**values)


@pytest.mark.parametrize("host", ["a b", "-oProxyCommand=x", "node\tx", "-x"])
def test_a_host_without_parts_is_checked_too(host: str):
    with pytest.raises(ValueError, match="no blanks, and no hyphen"):
        login(host=host)
    assert login(host="prod/node").host == "prod/node"  # may be a Host of ~/.ssh/config


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        *(
            ("https-listen-port", value, "1 to 65534")
            for value in ("x", "6 443", [6443], 70000, True)
        ),
        ("data-dir", ["/x"], "a text is expected"),
        ("data-dir", "srv/k3s", "an absolute path"),
        ("node-name", 5, "a text is expected"),
    ],
)
def test_options_that_elysium_reads_itself_are_checked(option: str, value: Any, words: str):
    with pytest.raises(ValueError, match=words):
        config.K3s.model_validate({"options": {option: value}})


@pytest.mark.parametrize("port", [6443, "6443", None, ""])
def test_a_port_of_the_api_may_be_a_number_or_a_text(port: Any):
    assert config.K3s.model_validate({"options": {"https-listen-port": port}}).options
