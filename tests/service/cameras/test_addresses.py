"""Which addresses are connected to, by an independent list of those that are not."""

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.base import SourceError
from service.cameras.addresses import AddressPolicy, literal

NOBODY = AddressPolicy()
FORBIDDEN = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "0.1.2.3",
    "169.254.0.1",
    "169.254.169.254",
    "100.100.100.200",
    "192.0.0.192",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "febf::1",
    "ff02::1",
    "fd00:ec2::254",
]
WRAPPED_FORMS = [
    lambda v4: f"::ffff:{v4}",  # IPv4-mapped
    lambda v4: f"::{v4}",  # IPv4-compatible
    lambda v4: f"64:ff9b::{v4}",  # NAT64
    lambda v4: str(IPv6Address((0x2002 << 112) | (int(v4) << 80) | 1)),  # 6to4
    lambda v4: str(IPv6Address((0x20010000 << 96) | (0xFFFFFFFF ^ int(v4)))),  # Teredo
]
CAMERAS = ["10.0.0.7", "172.16.3.4", "192.168.1.20", "8.8.8.8", "100.64.0.1", "fd12:3456::1", "2a00:1450::1"]


def refused(policy: AddressPolicy, address: str, port: int = 554) -> bool:
    try:
        policy.check(ipaddress.ip_address(address), port)
    except SourceError as error:
        assert error.code == "address_not_allowed"
        return True
    return False


@pytest.mark.parametrize("address", FORBIDDEN)
def test_address_that_is_no_camera_is_refused(address: str) -> None:
    assert refused(NOBODY, address)


@pytest.mark.parametrize("address", CAMERAS)
def test_camera_may_be_anywhere_else(address: str) -> None:
    assert not refused(NOBODY, address)


@pytest.mark.parametrize("wrap", WRAPPED_FORMS)
@pytest.mark.parametrize("address", [one for one in FORBIDDEN if "." in one and one != "0.0.0.0"])  # noqa: S104
def test_ipv4_inside_ipv6_is_seen(address: str, wrap) -> None:
    assert refused(NOBODY, wrap(IPv4Address(address)))


@given(st.ip_addresses(v=4), st.sampled_from(WRAPPED_FORMS))
def test_no_form_of_an_address_is_allowed_where_it_plainly_is_not(address: IPv4Address, wrap) -> None:
    if refused(NOBODY, str(address)):
        assert refused(NOBODY, wrap(address))


@given(st.ip_addresses(network="127.0.0.0/8") | st.ip_addresses(network="169.254.0.0/16") | st.just(IPv6Address("::1")))
def test_this_machine_and_link_local_are_refused_whole(address: IPv4Address | IPv6Address) -> None:
    assert refused(NOBODY, str(address))


def test_loopback_is_allowed_when_told_and_nothing_else_is() -> None:
    policy = AddressPolicy(allow_loopback=True)
    assert not refused(policy, "127.0.0.1")
    assert not refused(policy, "::1")
    assert refused(policy, "169.254.169.254")
    assert refused(policy, "0.0.0.0")  # noqa: S104


def test_address_of_this_machine_on_its_network_is_loopback_by_another_name() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))  # no packet is sent
        except OSError:
            pytest.skip("this machine has no network")
        own = one.getsockname()[0]
    assert refused(NOBODY, own)


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.20", "172.31.0.1", "100.64.0.1", "fd12:3456::1"])
def test_private_networks_can_be_forbidden(address: str) -> None:
    assert refused(AddressPolicy(allow_private=False), address)
    assert not refused(AddressPolicy(allow_private=False), "8.8.8.8")


def test_networks_can_be_listed() -> None:
    policy = AddressPolicy(networks=(ipaddress.ip_network("10.0.5.0/24"), ipaddress.ip_network("fd12::/16")))
    assert not refused(policy, "10.0.5.9")
    assert not refused(policy, "fd12::9")
    assert refused(policy, "10.0.6.9")
    assert refused(policy, "8.8.8.8")
    assert refused(AddressPolicy(networks=(ipaddress.ip_network("0.0.0.0/0"),)), "169.254.169.254")


@pytest.mark.parametrize(
    ("port", "expected"), [(554, False), (8554, False), (80, False), (22, True), (25, True), (0, True)]
)
def test_ports_of_other_services_are_refused(port: int, expected: bool) -> None:
    assert refused(NOBODY, "192.168.1.20", port) is expected


def test_name_is_refused_when_any_of_its_addresses_is(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"good.example": ["192.168.1.20"], "mixed.example": ["192.168.1.20", "127.0.0.1"]}

    def look_up(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", (one, port)) for one in answers[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert NOBODY.resolve("good.example", 554) == ["192.168.1.20"]
    with pytest.raises(SourceError) as caught:
        NOBODY.resolve("mixed.example", 554)
    assert caught.value.code == "address_not_allowed"


def test_name_that_changes_its_mind_is_refused_the_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["192.168.1.20", "169.254.169.254"])
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: [(0, 0, 0, "", (next(answers), port))])
    assert NOBODY.resolve("rebound.example", 554) == ["192.168.1.20"]
    with pytest.raises(SourceError):
        NOBODY.resolve("rebound.example", 554)


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "1.2.3", "0x7f000001", "127.0.0.1.0x1"]
)
def test_number_that_only_old_libraries_take_for_an_address_is_refused(host: str) -> None:
    with pytest.raises(SourceError) as caught:
        literal(host)
    assert caught.value.code == "invalid_url"


@given(st.ip_addresses())
def test_every_literal_is_known_as_one(address: IPv4Address | IPv6Address) -> None:
    assert literal(f"[{address}]" if address.version == 6 else str(address)) == address


@pytest.mark.parametrize("host", ["camera.example", "camera-7", "a.1b", "xn--kamera"])
def test_name_is_no_literal(host: str) -> None:
    assert literal(host) is None
