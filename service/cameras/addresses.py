"""Which addresses the service may connect to for a stream: cameras' yes, its own and the cloud's no."""

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from edge.sources.base import SourceError
from edge.sources.settings import resolve_any

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

METADATA = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192")))
"""Where clouds (AWS and most others, AWS by IPv6, Alibaba, Oracle) give their machines credentials."""
THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")
NAT64 = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48")))
COMPATIBLE = ipaddress.IPv6Network("::/96")
LOW_PORTS = frozenset({80, 88, 322, 443, 554})
"""Ports below 1024 that cameras use; the others belong to services that nobody should poke at."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Decides by number, never by name: a name is looked up, and every address that it has must pass."""

    allow_loopback: bool = False
    """Cameras on this machine (tests, demo)."""
    allow_private: bool = True
    """Cameras in private networks, where most of them live."""
    networks: tuple[IpNetwork, ...] = ()
    """Only cameras in these; empty: in any."""

    def resolve(self, host: str, port: int) -> list[str]:
        """Addresses to connect to. Raises SourceError: connection_failed, or address_not_allowed if any is refused."""
        found = resolve_any(host, port)
        for address in found:
            self.check(ipaddress.ip_address(address.partition("%")[0]), port)
        return found

    def check(self, address: IpAddress, port: int) -> None:
        """Raise SourceError address_not_allowed, without telling which rule it was of one that a name led to."""
        for one in _meant(address):
            if reason := self._refusal(one, port):
                raise SourceError("address_not_allowed", f"this service connects to no {reason}")

    def _refusal(self, address: IpAddress, port: int) -> str | None:
        if address.is_loopback or _is_ours(address):
            return None if self.allow_loopback else "camera on its own machine; start it with ATTTRACK_ALLOW_LOOPBACK=1"
        if port < 1024 and port not in LOW_PORTS:
            return f"port below 1024 but {', '.join(map(str, sorted(LOW_PORTS)))}"
        if address.is_link_local or address in METADATA:
            return "link-local or metadata address"
        if address.is_multicast or address.is_unspecified or _within(address, (THIS_NETWORK,)) or _is_reserved(address):
            return "address that is no single host's"
        if self.networks and not _within(address, self.networks):
            return "camera outside its camera networks; see the setting camera_networks"
        if not self.allow_private and not address.is_global:
            return "camera in a private network; see the setting allow_private"
        return None


def literal(host: str) -> IpAddress | None:
    """The address that a host, as written in a URL, is; None for a name. Raises SourceError invalid_url.

    What only old C libraries take for an address (octal, hexadecimal, one number) is not passed on to them.
    """
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    last = host.rstrip(".").rpartition(".")[2].lower()
    if last.isdigit() or last.startswith("0x"):
        raise SourceError("invalid_url", "write an IPv4 address as four decimal numbers, such as 192.168.1.20")
    return None


def _meant(address: IpAddress) -> Iterable[IpAddress]:
    """The address, and the IPv4 address that a gateway or the system would make of it."""
    yield address
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if _within(address, NAT64) or (address in COMPATIBLE and int(address) > 1):
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _within(address: IpAddress, networks: Iterable[IpNetwork]) -> bool:
    return any(address in network for network in networks)  # of the other version: False


def _is_reserved(address: IpAddress) -> bool:
    """IPv4's class E and broadcast; what IPv6 reserves holds the forms that `_meant` unwraps."""
    return isinstance(address, IPv4Address) and address.is_reserved


def _is_ours(address: IpAddress) -> bool:
    """Whether this machine has the address: services that listen on all of them are found there, too."""
    if address.is_multicast or address.is_unspecified:
        return False
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as one:
            one.bind((str(address), 0))
    except OSError:
        return False
    return True
