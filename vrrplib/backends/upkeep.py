"""What a backend's operations say of the host as it should be, and of an interface that has got another name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from vrrplib.backends.base import ExpectedLink
from vrrplib.backends.operations import (
    AddAddress,
    AddEgressDrop,
    AddInputDrop,
    DeleteLink,
    Operation,
    RemoveEgressDrop,
    SetLinkUp,
    SetMac,
    SetSysctl,
)
from vrrplib.wire.addresses import IPInterface, MacAddress


def expected_links(
    operations: Iterable[Operation],
    own_link: str | None,
    mac: MacAddress,
    parent: str,
    parent_mac: MacAddress | None,
) -> tuple[ExpectedLink, ...]:
    """What must be so after ``operations``: on the backend's own link, which has ``mac``, and on the parent.

    ``parent_mac`` None: its MAC does not matter, unless one of the operations sets it.
    """
    done = tuple(operations)
    swapped = [MacAddress(item.mac) for item in done if isinstance(item, SetMac) and item.name == parent]
    links = [ExpectedLink(None, swapped[-1] if swapped else parent_mac, _addresses(done, parent))]
    if own_link is not None:
        is_up = any(isinstance(item, SetLinkUp) and item.name == own_link for item in done)
        links.append(ExpectedLink(own_link, mac, _addresses(done, own_link), is_up=is_up))
    return tuple(links)


def _addresses(operations: tuple[Operation, ...], link: str) -> tuple[IPInterface, ...]:
    return tuple(item.interface for item in operations if isinstance(item, AddAddress) and item.name == link)


def drops_after(operations: Iterable[Operation]) -> tuple[AddInputDrop | AddEgressDrop, ...]:
    """What keeps packets from coming in or out after ``operations``."""
    drops: list[AddInputDrop | AddEgressDrop] = []
    for item in operations:
        if isinstance(item, AddInputDrop | AddEgressDrop):
            drops.append(item)
        elif isinstance(item, RemoveEgressDrop):
            drops = [drop for drop in drops if (drop.family, drop.table) != ("netdev", item.table)]
    return tuple(drops)


class Upkeep:
    """What a Watch is to look for on behalf of a backend that is prepared, and what puts it back.

    ``expected``, ``drops`` and their ``tables`` go by whether the backend is active. ``macs`` are what it says or
    sends with: if the parent's is one of them, that matters too.
    """

    def __init__(
        self,
        prepare: tuple[Operation, ...],
        activate: tuple[Operation, ...],
        own_link: str | None,
        macs: tuple[MacAddress, MacAddress],
        parent: str,
        parent_mac: MacAddress,
    ) -> None:
        self._swaps = any(isinstance(operation, SetMac) for operation in activate)
        mac = parent_mac if self._swaps or parent_mac in macs else None
        self.expected = {
            active: expected_links(prepare + (activate if active else ()), own_link, macs[0], parent, mac)
            for active in (False, True)
        }
        self.drops = {active: drops_after(prepare + (activate if active else ())) for active in (False, True)}
        self.tables = {
            active: tuple((drop.family, drop.table) for drop in drops) for active, drops in self.drops.items()
        }
        again = (operation for operation in prepare if isinstance(operation, SetLinkUp | AddAddress))
        self.repair = (*((SetMac(own_link, str(macs[0])),) if own_link else ()), *again)

    def is_lasting(self, parent_mac: MacAddress, *, active: bool) -> bool:
        """Whether this MAC of the parent's leaves what was prepared as good as it was.

        One that only its operator can have given it is taken for its own from now on.
        """
        wanted = next((link.mac for link in self.expected[active] if link.name is None), None)
        return wanted in (None, parent_mac) or (active and self._swaps)


def concerns(operation: Operation, interface: str) -> bool:
    """Whether an operation changes this interface itself."""
    if isinstance(operation, SetSysctl):
        return operation.path.split("/")[3:4] == [interface]  # net/ipv4/conf/NAME/...
    return getattr(operation, "name", None) == interface


def renamed(operation: Operation, old: str, new: str) -> Operation:
    """The same operation when the interface ``old`` is called ``new``."""
    if old == new:
        return operation
    changes: dict[str, Any] = {
        field: new for field in ("name", "parent", "device") if getattr(operation, field, None) == old
    }
    if isinstance(operation, SetSysctl) and concerns(operation, old):
        parts = operation.path.split("/")
        changes["path"] = "/".join([*parts[:3], new, *parts[4:]])
    return dataclasses.replace(operation, **changes) if changes else operation  # type: ignore[type-var]


def foreign(
    operation: Operation, mac_of: Callable[[str], MacAddress | None], value_of: Callable[[str], str | None]
) -> str | None:
    """Why an undo must not be done: somebody else has changed it since. None: that is not so.

    ``mac_of`` reads the MAC of a link, ``value_of`` a sysctl; None for what is not there.
    """
    match operation:
        case SetSysctl(path=path, value=value, expected=str(expected)):
            value_now = value_of(path)
            if value_now not in (None, value, expected):
                return f"{path} is {value_now} now, not the {expected} that was set"
        case SetMac(name=name, mac=mac, expected=str(expected)):
            found = mac_of(name)
            if found is not None and found not in (MacAddress(mac), MacAddress(expected)):
                return f"{name} has the MAC {found} now, not the {expected} that was set"
        case DeleteLink(name=name, mac=mac):
            found = mac_of(name)
            if found is not None and found != MacAddress(mac):
                return f"{name} has the MAC {found} now, not the {mac} of the link that was made"
    return None
