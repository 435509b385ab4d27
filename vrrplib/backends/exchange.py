"""From the addresses of one plan to those of another, with those that stay in place all the time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vrrplib.backends.operations import AddAddress, Operation, RemoveAddress
from vrrplib.election.config import OWNER_PRIORITY, RouterConfig


def is_alike(one: RouterConfig, other: RouterConfig) -> bool:
    """Whether they differ in nothing that a plan looks at but the addresses."""
    owners = [config.priority == OWNER_PRIORITY for config in (one, other)]
    return (one.accept_mode or owners[0] is owners[1]) and all(
        getattr(one, name) == getattr(other, name) for name in ("vrid", "family", "virtual_mac", "accept_mode")
    )


def addresses_of(operations: Iterable[Operation]) -> tuple[AddAddress, ...]:
    """The addresses that ``operations`` add."""
    return tuple(operation for operation in operations if isinstance(operation, AddAddress))


def without_addresses(operations: Iterable[Operation]) -> tuple[Operation, ...]:
    """All that is done besides."""
    return tuple(operation for operation in operations if not isinstance(operation, AddAddress | RemoveAddress))


def removals_of(added: Iterable[AddAddress]) -> tuple[RemoveAddress, ...]:
    """What takes them away again."""
    return tuple(RemoveAddress(item.name, item.address) for item in added)


def exchange(old: Sequence[AddAddress], new: Sequence[AddAddress]) -> tuple[Operation, ...]:
    """What makes ``new`` of ``old``: those that come before those that go.

    One that is to be otherwise, its prefix say, goes first: the kernel would refuse it, or keep it as it is.
    """
    come = tuple(item for item in new if item not in old)
    go = tuple(item for item in old if item not in new)
    again = {item.interface.ip for item in come}
    first = [item for item in go if item.interface.ip in again]
    last = [item for item in go if item.interface.ip not in again]
    return (*removals_of(first), *come, *removals_of(last))
