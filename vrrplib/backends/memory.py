"""A host in memory: for dry runs, simulations and tests."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from vrrplib.backends.operations import (
    AddAddress,
    AddEgressDrop,
    AddInputDrop,
    AddMacvlan,
    AddTable,
    DeleteLink,
    DeleteTable,
    Filter,
    Operation,
    RemoveAddress,
    RemoveEgressDrop,
    SetLinkDown,
    SetLinkUp,
    SetMac,
    SetMacvlanMode,
    SetSysctl,
    SetToken,
)
from vrrplib.backends.plan import Claim, Host, Journal, Link
from vrrplib.backends.upkeep import foreign
from vrrplib.errors import BackendError
from vrrplib.wire.addresses import Family, InterfaceLike, IPInterface, IPNetwork, MacAddress, to_interface


class MemoryJournal:
    """A journal that lasts as long as its host."""

    def __init__(self, host: MemoryHost, key: tuple[int, int, int]) -> None:
        self.undo: list[Operation] = []
        self._host = host
        self._key = key

    def record(self, undo: Sequence[Operation]) -> None:
        self.undo.extend(undo)

    def ready(self, undo: Sequence[Operation]) -> Callable[[], None]:
        return functools.partial(self.record, tuple(undo))

    def share(self, undo: Operation) -> None:
        self._host.shared.setdefault(self._key[0], []).append(undo)

    def mark(self) -> int:
        return len(self.undo)

    def rewind(self, mark: int) -> None:
        del self.undo[mark:]

    def finish(self, perform: Callable[[Sequence[Operation]], None]) -> None:
        index = self._key[0]
        if all(other[0] != index for other in self._host.claims if other != self._key):
            perform(self._host.shared.get(index, [])[::-1])
            self._host.shared.pop(index, None)
        self._host.claims.pop(self._key, None)  # last: if any of it fails, it is ours to try again
        self._host.journals.pop(self._key, None)


class MemoryHost:
    """Interfaces, addresses and sysctls as values. What it does not know it reads from ``base``, which stays as is.

    ``performed`` lists every operation that was done, in order.
    """

    def __init__(self, base: Host | None = None) -> None:
        self.performed: list[Operation] = []
        self.claims: dict[tuple[int, int, int], Claim] = {}
        self.journals: dict[tuple[int, int, int], MemoryJournal] = {}
        self.shared: dict[int, list[Operation]] = {}
        self._base = base
        self._links: dict[str, Link | None] = {}
        self._created: set[str] = set()
        self._addresses: dict[str, dict[IPInterface, None]] = {}
        self._sysctls: dict[str, str] = {}
        self._left_alone: list[str] = []
        self._tables: dict[tuple[str, str], dict[str, Filter]] = {}  # the chains of each, as what made them
        self._gone: set[tuple[str, str]] = set()  # tables: ``base`` may have them, and this copy not
        self._no_source: set[tuple[str, IPInterface]] = set()

    def add_interface(self, name: str, mac: str, addresses: Iterable[InterfaceLike] = (), **facts: Any) -> None:
        """An interface that was there before; ``facts`` are further fields of its Link."""
        self._links[name] = Link(name, len(self._links) + 2, MacAddress(mac), **facts)
        self._addresses[name] = dict.fromkeys(to_interface(address) for address in addresses)

    def add_sysctl(self, path: str, value: str) -> None:
        """A value below /proc/sys that was there before; those of an interface that were not added are 0."""
        self._sysctls[path] = value

    def link(self, name: str | int) -> Link | None:
        if isinstance(name, int):
            return self._link_at(name)
        if name in self._links or self._base is None:
            return self._links.get(name)
        return self._base.link(name)

    def addresses(self, name: str) -> tuple[IPInterface, ...]:
        return tuple(self._known_addresses(name))

    def subnets(self, name: str) -> tuple[IPNetwork, ...]:
        mine = [item.network for item in self._known_addresses(name) if (name, item) not in self._no_source]
        if self._base is None:
            return tuple(mine)
        found = list(self._base.subnets(name))
        for gone in self._base.addresses(name):
            # IPv6 ones that a dead process left are not among them
            is_ipv4 = gone.version == Family.IPV4.value
            if is_ipv4 and gone not in self._known_addresses(name) and gone.network in found:
                found.remove(gone.network)
        return (*mine, *found)

    def stacked(self, name: str) -> tuple[Link, ...]:
        links = {link.name: link for link in (() if self._base is None else self._base.stacked(name))}
        below = self.link(name)
        mine = (self.link(child) for child in self._created)
        links |= {link.name: link for link in mine if link and below and link.parent == below.index}
        return tuple(link for link in links.values() if self._links.get(link.name, link) is not None)

    def sysctl(self, path: str) -> str | None:
        if path in self._sysctls:
            return self._sysctls[path]
        *head, name, last = path.split("/")
        if name in self._created:
            return self.sysctl("/".join([*head, "default", last]))  # what a new link begins with
        if name in self._links and self._links[name] is None:
            return None
        if self._base is not None:
            return self._base.sysctl(path)
        return "0" if name in self._links or name in ("all", "default") else None

    def claim(self, claim: Claim) -> Journal:
        if self._base is not None and not self.claims:
            self.perform(self._base.leftovers(claim.interface))
        key = (claim.index, claim.family, claim.vrid)
        if key in self.claims:
            raise BackendError(f"{claim.interface}: VRID {claim.vrid} is taken", operation="claim")
        for other in self.claims.values():
            if other.index == claim.index and (other.exclusive or claim.exclusive):
                raise BackendError(f"{claim.interface}: one MAC has room for one VRID, and {other.vrid} is there")
            if claim.link and other.link == claim.link:
                raise BackendError(f"{claim.interface}: {claim.link} is used by VRID {other.vrid}")
        self.claims[key] = claim
        self.journals[key] = MemoryJournal(self, key)
        return self.journals[key]

    def leftovers(self, _: str) -> tuple[Operation, ...]:
        return ()

    @property
    def undo(self) -> tuple[Operation, ...]:
        """All that is journalled, in the order in which it would be undone after a crash."""
        own = [operation for journal in self.journals.values() for operation in journal.undo]
        shared = [operation for operations in self.shared.values() for operation in operations]
        return (*own[::-1], *shared[::-1])

    def together(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def perform(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            if why := foreign(operation, lambda name: link.mac if (link := self.link(name)) else None, self.sysctl):
                self._left_alone.append(why)
            else:
                self._perform(operation)

    def take_left_alone(self) -> tuple[str, ...]:
        left, self._left_alone = tuple(self._left_alone), []
        return left

    def batch(self, operations: Sequence[Operation]) -> Callable[[], None]:
        return functools.partial(self.perform, tuple(operations))

    def probe(self, filters: Sequence[Filter]) -> None:
        for operation in filters:
            if isinstance(operation, AddTable):
                self._refuse_table(operation)
        if self._base is not None and not self._gone:  # else a dead process could do them
            self._base.probe(filters)

    def _perform(self, operation: Operation) -> None:
        if isinstance(operation, Filter):
            if self._filter(operation):
                self.performed.append(operation)
            return
        match operation:
            case AddMacvlan(name=name, parent=parent, mac=mac, mode=mode, master=master):
                if self.link(name) is not None:
                    raise BackendError(f"{operation.deed}: File exists", operation=operation, errno=errno.EEXIST)
                self._links[name] = Link(
                    name,
                    1000 + len(self._links),
                    MacAddress(mac),
                    "macvlan",
                    is_up=False,
                    parent=self._existing(parent, operation).index,
                    master=0 if master is None else self._existing(master, operation).index,
                    mode=mode,
                )
                self._created.add(name)
                self._addresses[name] = {}
            case DeleteLink(name=name, mac=mac):
                link = self.link(name)
                if link is None or link.mac != MacAddress(mac):
                    return
                self._links[name] = None
                self._created.discard(name)
                self._addresses[name] = {}
                self._sysctls = {path: held for path, held in self._sysctls.items() if f"/{name}/" not in path}
            case SetMac(name=name, mac=mac, expected=expected):
                link = self._existing(name, operation)
                if expected is not None and link.mac != MacAddress(expected):
                    return
                self._links[name] = dataclasses.replace(link, mac=MacAddress(mac))
            case SetToken(name=name, token=token, expected=expected):
                link = self._existing(name, operation)
                if expected is not None and link.identifier != expected:
                    return
                self._links[name] = dataclasses.replace(link, identifier=token)
            case AddAddress(name=name):
                self._existing(name, operation)
                if not operation.source:
                    self._no_source.add((name, operation.interface))
                self._known_addresses(name)[operation.interface] = None
            case RemoveAddress(name=name):
                self._no_source.discard((name, operation.interface))
                self._known_addresses(name).pop(operation.interface, None)
            case SetSysctl(path=path, value=value, expected=expected):
                held = self.sysctl(path)
                if held is None and expected is None:
                    raise BackendError(f"{operation.deed}: No such file", operation=operation, errno=errno.ENOENT)
                if held is None or (expected is not None and held != expected):
                    return
                self._sysctls[path] = value
                if parts := re.fullmatch("net/ipv6/conf/(.+)/disable_ipv6", path):
                    self._forget_ipv6(parts[1], value)
            case SetMacvlanMode(name=name, mode=mode, expected=expected):
                there = self.link(name)
                if there is None and (mode == "source" or expected):
                    return
                if there is not None and expected not in (None, there.mode):
                    return
                self._change(name, operation, mode=mode)
            case SetLinkDown(name=name):
                if self.link(name) is None:
                    return
                self._change(name, operation, is_up=False)
            case SetLinkUp(name=name):
                self._change(name, operation, is_up=True)
        self.performed.append(operation)

    def _link_at(self, index: int) -> Link | None:
        for link in self._links.values():
            if link is not None and link.index == index:
                return link
        found = None if self._base is None else self._base.link(index)
        return None if found is None or found.name in self._links else found

    def _change(self, name: str, operation: Operation, **facts: Any) -> None:
        self._links[name] = dataclasses.replace(self._existing(name, operation), **facts)

    def _filter(self, operation: Filter) -> bool:
        """Whether there was anything to do."""
        match operation:
            case AddTable(family=family, table=table):
                self._refuse_table(operation)
                self._tables[family, table] = {}
            case DeleteTable(family=family, table=table):
                is_of_base = self._base is not None and (family, table) not in self._gone
                self._gone.add((family, table))
                return self._tables.pop((family, table), None) is not None or is_of_base
            case AddEgressDrop(table=table, device=device):
                if self.link(device) is None:
                    return False
                self._tables.setdefault(("netdev", table), {})["egress"] = operation
            case RemoveEgressDrop(table=table):
                return self._tables.get(("netdev", table), {}).pop("egress", None) is not None
            case AddInputDrop(table=table, device=device):
                self._existing(device, operation)
                if (operation.family, table) not in self._tables:
                    raise BackendError(f"{operation.deed}: No such table", operation=operation, errno=errno.ENOENT)
                self._tables[operation.family, table]["input"] = operation
        return True

    def _refuse_table(self, operation: AddTable) -> None:
        if (operation.family, operation.table) in self._tables:
            raise BackendError(f"{operation.deed}: File exists", operation=operation, errno=errno.EEXIST)

    def _existing(self, name: str, operation: Operation) -> Link:
        link = self.link(name)
        if link is None:
            raise BackendError(f"{operation.deed}: No such device", operation=operation, errno=errno.ENODEV)
        return link

    def _forget_ipv6(self, name: str, disabled: str) -> None:
        if disabled != "0" and self.link(name) is not None:
            held = self._known_addresses(name)
            self._addresses[name] = {item: None for item in held if item.version == Family.IPV4.value}

    def _known_addresses(self, name: str) -> dict[IPInterface, None]:
        if name not in self._addresses:
            held = () if self._base is None else self._base.addresses(name)
            self._addresses[name] = dict.fromkeys(held)
        return self._addresses[name]
