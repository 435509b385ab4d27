"""Accept_Mode off: packets to the virtual addresses are not accepted (RFC 9568 6.4.3), and others forwarded.

The rules stand from ``prepare`` to ``close``, for a Backup must accept no such packet either (6.4.2): a promotion
changes none of them. Only what comes in is dropped: the RFC has nothing against what goes out, and redirects
(8.1.1) and other errors from a virtual address are of use.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from vrrplib.backends.operations import (
    AddAddress,
    AddEgressDrop,
    AddInputDrop,
    AddTable,
    DeleteTable,
    Filter,
    Operation,
)
from vrrplib.election.config import OWNER_PRIORITY, RouterConfig


def table_name(config: RouterConfig, index: int) -> str:
    """The nftables tables of a virtual router on the interface of that index, one in each family that it needs."""
    return f"vrrplib{config.family}-{index}-{config.vrid}"


def input_drop(config: RouterConfig, index: int, added: Sequence[AddAddress]) -> AddInputDrop | None:
    """What keeps packets to the addresses that are added out; None if they are to be accepted.

    The owner of an address always accepts (6.4.3), and what an interface has of its own is not among the added.
    """
    if config.accept_mode or config.priority == OWNER_PRIORITY or not added:
        return None
    addresses = tuple(str(address.interface.ip) for address in added)
    return AddInputDrop(table_name(config, index), addresses, added[0].name)


def around(prepare: Sequence[Operation], drop: AddInputDrop | None) -> tuple[Operation, ...]:
    """``prepare`` with it in the place of an earlier one; the table comes first, for then it goes last."""
    if (old := kept_out(prepare)) is not None:
        prepare = [item for item in prepare if item not in (old, AddTable(old.family, old.table))]
    if drop is None:
        return tuple(prepare)
    return (AddTable(drop.family, drop.table), *prepare, drop)


def kept_out(operations: Iterable[Operation]) -> AddInputDrop | None:
    """What :func:`around` has put among them."""
    return next((operation for operation in operations if isinstance(operation, AddInputDrop)), None)


def instead(old: AddInputDrop | None, new: AddInputDrop) -> tuple[Filter, ...]:
    """What puts ``new`` in the place of what is there, in one step; with ``old`` its addresses are kept out too."""
    addresses = dict.fromkeys((*(old.addresses if old else ()), *new.addresses))
    drop = dataclasses.replace(new, addresses=tuple(addresses))
    return DeleteTable(drop.family, drop.table), AddTable(drop.family, drop.table), drop


def put_back(drops: Iterable[AddInputDrop | AddEgressDrop]) -> tuple[Filter, ...]:
    """What makes their tables again with them in it, in one step, if somebody has removed any."""
    each = (instead(None, drop) if isinstance(drop, AddInputDrop) else (drop,) for drop in drops)
    return tuple(itertools.chain(*each))
