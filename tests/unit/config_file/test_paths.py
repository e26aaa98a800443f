"""Settings that are paths in the repository."""

from __future__ import annotations

import pytest

from provision import config_file, errors

STACK = """\
config:
  elysium:nodes:
    - {{name: kyrion, host: 192.168.1.5, hostKey: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA}}
  elysium:github: {{owner: me, repository: elysium}}
  elysium:{0}:
    {1}: {2}
"""


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("flux", "path", r'"clusters\\home"'),
        ("flux", "path", "../clusters/home"),
        ("flux", "path", "clusters/home/.git"),
        ("flux", "path", r'"clusters/home\n"'),
        ("sealing", "certificate", "../pub.pem"),
        ("sealing", "certificate", r'"etc\\pub.pem"'),
        ("sealing", "certificate", "etc/certs/"),
        ("sealing", "certificate", "./"),
    ],
)
def test_a_configuration_with_such_a_path_is_refused(stack, section, key, value) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        config_file.load(stack(STACK.format(section, key, value)), None)
    (problem,) = caught.value.problems
    assert problem.where == "Pulumi.kyrion.yaml:6"
    assert problem.key == f"elysium:{section}.{key}"
    assert "in the repository, such as " in problem.message


@pytest.mark.parametrize(
    ("value", "expected"),
    [(".", ""), ("./", ""), ("/", ""), ("./a//b/", "a/b"), ("a/b/.", "a/b"), ("/a", "a")],
)
def test_flux_path_is_normalised(stack, value, expected) -> None:
    loaded = config_file.load(stack(STACK.format("flux", "path", f'"{value}"')), None)
    assert loaded.flux_path == expected


def test_the_certificate_is_found_under_any_spelling(stack) -> None:
    loaded = config_file.load(stack(STACK.format("sealing", "certificate", "./etc//pub.pem")), None)
    assert loaded.sealing.certificate == "etc/pub.pem"
