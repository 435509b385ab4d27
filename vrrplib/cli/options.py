"""What several commands take: addresses, states, and the virtual router that ``run`` is told of."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

from vrrplib.election.states import State
from vrrplib.errors import BackendError, ConfigError
from vrrplib.namespaces import Namespace, is_name
from vrrplib.rules import DEFAULT_RULES
from vrrplib.wire.addresses import Family, IPAddress, IPInterface, family_of, to_address, to_interface
from vrrplib.wire.checksum import ChecksumForm

CHECKSUMS = {
    "pseudo": ChecksumForm.PSEUDO_HEADER,
    "message": ChecksumForm.MESSAGE_ONLY,
    "auto": None,  # the form last heard
}


F = TypeVar("F", bound=Callable[..., Any])


def netns_option(function: F) -> F:
    """``--netns``, as every command has it that touches a host."""
    return click.option(
        "--netns",
        callback=lambda _, __, value: _namespace(value),
        metavar="NAME",
        help="Do it in this network namespace: a name that `ip netns` knows, a path, or a process id.",
    )(function)


def _namespace(value: str | None) -> Namespace:
    """Digits are a process id, unless there is a namespace of that name."""
    return int(value) if value and value.isdecimal() and not is_name(value) else value


class StateType(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.4
    """A state by its name; ``master`` is RFC 5798's word for ``active``."""

    name = "state"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> State:
        name = str(value).lower()
        try:
            return State("active" if name == "master" else name)
        except ValueError:
            self.fail(f"a state must be initialize, backup or active (master), not {value!r}", param, ctx)


def virtual_addresses(values: Sequence[str], *, interface: str = "IFACE", vrid: int = 1) -> tuple[IPInterface, ...]:
    """The ``--address`` values, all of one family; ConfigError that says what to run instead if they are not."""
    addresses = tuple(to_interface(value) for value in values)
    if len({address.version for address in addresses}) > 1:
        each = " and ".join(
            f"'vrrplib run {interface} --vrid {vrid} --address {first}'"
            for first in (_first(addresses, 4), _first(addresses, 6))
        )
        raise ConfigError(f"addresses must be of one family: run one process for each, {each}")
    first = addresses[0].ip
    if family_of(first) is Family.IPV6 and not first.is_link_local:
        # RFC 9568 5.2.9
        raise ConfigError(
            f"the first IPv6 address must be link-local, such as fe80::{vrid:x}/64, not {addresses[0]}: "
            "give that one before the others"
        )
    return addresses


def _first(addresses: Iterable[IPInterface], version: int) -> IPInterface:
    return next(address for address in addresses if address.version == version)


def router_fields(
    *,
    vrid: int,
    addresses: tuple[IPInterface, ...],
    priority: int,
    interval: float,
    version: int,
    preempt: bool,
    accept: bool,
    checksum: str,
) -> dict[str, Any]:
    """The options of ``run`` as RouterConfig's fields, all but ``primary_address``."""
    return {
        "vrid": vrid,
        "addresses": addresses,
        "priority": priority,
        "advertisement_interval": interval,
        "preempt": preempt,
        "accept_mode": accept,
        "rules": DEFAULT_RULES[version],
        "send_checksum": CHECKSUMS[checksum],
    }


def choose_source(
    there: Sequence[IPInterface], virtual: Sequence[IPInterface], *, interface: str, given: str | None = None
) -> IPAddress:
    """What advertisements are sent from, among the addresses that the interface has.

    IPv4: the first in the first virtual address's subnet, else the first. IPv6: the first link-local one
    (RFC 9568 5.1.2.1). ``given`` goes before both. BackendError says what to do where there is none.
    """
    family = family_of(virtual[0])
    if given is not None:
        source = to_address(given, "source")
        if source.version != family:
            raise ConfigError(f"source must be an IPv{family} address, as the virtual addresses are, not {source}")
        return source
    ours = {address.ip for address in virtual}
    usable = [item.ip for item in there if item.version == family]
    if family is Family.IPV6:
        usable = [address for address in usable if address.is_link_local]
    candidates = [address for address in usable if address not in ours] or usable  # an owner may have no other
    if not candidates:
        what = "link-local IPv6 address" if family is Family.IPV6 else "IPv4 address"
        raise BackendError(f"{interface} has no {what} to send from: give it one, or name one with --source")
    subnet = ipaddress.ip_interface(virtual[0]).network
    inside = [address for address in candidates if address in subnet]
    return (inside or candidates)[0]
