"""Numbers of networks, names of sandboxes."""

import pytest

from provision import errors
from provision.sandbox import lifecycle, network


def test_the_lowest_free_number_is_taken() -> None:
    assert network.free_number([], []) == 0
    assert network.free_number(["lo", "ely0", "ely1", "ely3"], []) == 2


def test_a_number_whose_addresses_are_in_use_is_passed_over() -> None:
    assert network.free_number(["eth0"], ["10.231.0.7", "192.168.1.1", "10.1.1.1"]) == 1


def test_links_of_other_things_do_not_count() -> None:
    assert network.free_number(["elysium0", "ely-0", "xely0"], []) == 0


def test_when_all_are_taken_the_error_says_what_frees_one() -> None:
    with pytest.raises(errors.ElysiumError) as caught:
        network.free_number([f"ely{n}" for n in range(network.COUNT)], [])
    assert "sandbox down" in caught.value.hint


def test_everything_of_a_network_follows_from_name_and_number() -> None:
    net = network.Network(name="demo", number=7)
    assert (net.namespace, net.link) == ("ely-demo", "ely7")
    assert (net.host_address, net.node_address) == ("10.231.7.1", "10.231.7.2")


@pytest.mark.parametrize("name", ["", "Demo", "a/b", "..", "-a", "a" * 33, "a b", "a\n", ".locks"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(errors.ConfigError):
        lifecycle.folder_of(name)


@pytest.mark.parametrize("name", ["a", "demo", "kyrion-2", "a" * 32])
def test_what_is_a_name_becomes_a_folder(name: str) -> None:
    assert lifecycle.folder_of(name).name == name
