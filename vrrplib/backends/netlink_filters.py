"""The kernel's packet filter: nftables operations over a netlink socket of their own.

pyroute2 makes the messages, so that neither nft(8) nor its libraries are needed. What follows each other is one
transaction: the kernel does all of it or none, and no packet sees half of it.
"""

from __future__ import annotations

import errno
import functools
import struct
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any

from pyroute2.netlink.nfnetlink import nfgen_msg
from pyroute2.netlink.nfnetlink.nftsocket import (
    nft_chain_msg,
    nft_rule_msg,
    nft_set_elem_list_msg,
    nft_set_msg,
    nft_table_msg,
)

from vrrplib.backends.netlink_errors import failure
from vrrplib.backends.netlink_socket import NetlinkSocket
from vrrplib.backends.operations import (
    AddEgressDrop,
    AddInputDrop,
    AddTable,
    DeleteTable,
    Filter,
    Operation,
    RemoveEgressDrop,
)
from vrrplib.errors import BackendError, ConfigError
from vrrplib.namespaces import Namespace, run_in

_NETLINK_NETFILTER, _NFTABLES = 12, 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_REQUEST, _ACK, _CREATE, _EXCL, _APPEND = 0x1, 0x4, 0x400, 0x200, 0x800
_NEWTABLE, _DELTABLE, _NEWCHAIN, _DELCHAIN, _NEWRULE, _NEWSET, _NEWSETELEM = 0, 2, 3, 5, 6, 9, 12
_FAMILIES = {"ip": 2, "netdev": 5, "ip6": 10}
_DROP, _ACCEPT = 0, 1
_HOOK_INPUT, _HOOK_EGRESS = 1, 1  # of ip and ip6, and of netdev
_IIF, _L4PROTO = 4, 16  # NFT_META_...
_EQUAL, _AT_MOST, _AT_LEAST = 0, 3, 5  # NFT_CMP_...
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_ICMPV6, _NEIGHBOUR_SOLICITATION, _NEIGHBOUR_ADVERTISEMENT = 58, 135, 136
_ADDRESSES = {"ip": (7, 16, 4), "ip6": (8, 24, 16)}  # type, where the destination is in the header, length
_LOOPBACK, _LOOPBACK_INDEX = "lo", 1  # of every namespace

_SET = "addresses"
MOST_KEPT = 512
"""Tables whose messages are kept: when somebody removes those of hundreds, they are to be back soon."""

Index = Callable[[Operation, str], int]
"""The index of an interface that an operation names."""

_UNKNOWN = (errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.ENOENT)
_NFTABLES_NEED = "a kernel with nftables (CONFIG_NF_TABLES)"
_NEEDS = {
    AddEgressDrop: f"{_NFTABLES_NEED}, for netdev with its egress hook (Linux 5.16, CONFIG_NETFILTER_EGRESS)",
    AddInputDrop: f"{_NFTABLES_NEED}, for ip and ip6",
}


class Filters:
    """nftables of one namespace; raises BackendError only, also where the kernel does not know of it."""

    def __init__(self, netns: Namespace = None) -> None:
        self._known: set[tuple[type, str | None]] = set()  # what the kernel can do
        try:
            self._socket = run_in(netns, functools.partial(NetlinkSocket, _NETLINK_NETFILTER))
        except OSError as error:
            raise BackendError(
                f"nftables: {error.strerror}; this takes {_NFTABLES_NEED}", operation="nftables", errno=error.errno
            ) from error

    def ready(self, operations: Sequence[Filter], index: Index) -> Callable[[], None]:
        """Encode these now; they are done, all or none, when the result is called."""
        encoded = tuple((operation, _encode(operation, index)) for operation in operations)
        return functools.partial(self._commit, encoded)

    def probe(self, operations: Sequence[Filter]) -> None:
        """BackendError if the kernel could not do these; they are tried on the loopback, and taken back."""
        wanted = {(type(operation), getattr(operation, "family", None)) for operation in operations}
        if wanted <= self._known:
            return  # it takes 10 ms to take it back
        encoded = [(operation, _encode(operation, _loopback, trial=True)) for operation in operations]
        for operation, error in self._transact(encoded, None):
            raise _failure(operation, error, probed=True)
        self._known |= wanted

    def close(self) -> None:
        self._socket.close()

    def _commit(self, encoded: Sequence[tuple[Filter, Sequence[bytes]]]) -> None:
        while encoded:
            gone = []
            for operation, error in self._transact(encoded, _END):
                if not isinstance(operation, RemoveEgressDrop) or error.errno != errno.ENOENT:
                    raise _failure(operation, error)
                gone.append(operation)
            if not gone:
                return
            # What is gone already keeps the kernel from doing the others: those again, without it.
            encoded = [(operation, messages) for operation, messages in encoded if operation not in gone]

    def _transact(
        self, encoded: Sequence[tuple[Filter, Sequence[bytes]]], end: bytes | None
    ) -> list[tuple[Filter, OSError]]:
        """The operations that failed, each with its first error."""
        each = [(operation, message) for operation, messages in encoded for message in messages]
        try:
            answers = self._socket.transact(_BEGIN, [message for _, message in each], end)
        except OSError as error:
            raise _failure(encoded[0][0], error, probed=end is None) from error
        failed: dict[int, tuple[Filter, OSError]] = {}
        for (operation, _), answer in zip(each, answers, strict=True):
            if answer is not None:
                failed.setdefault(id(operation), (operation, answer))
        return list(failed.values())


# -- messages --


def _message(kind: type, number: int, flags: int, family: int, resource: int = 0, **attributes: Any) -> bytes:
    message = kind()
    message["attrs"] = list(attributes.items())
    message["nfgen_family"] = family
    message["res_id"] = resource
    message["header"]["type"] = number
    message["header"]["flags"] = flags | _REQUEST
    message.encode()
    return bytes(message.data)


_BEGIN = _message(nfgen_msg, _BATCH_BEGIN, 0, 0, _NFTABLES)
_END = _message(nfgen_msg, _BATCH_END, 0, 0, _NFTABLES)


def _nft(kind: type, number: int, flags: int, family: str, **attributes: Any) -> bytes:
    return _message(kind, _NFTABLES << 8 | number, flags | _ACK, _FAMILIES[family], **attributes)


def _encode(operation: Filter, index: Index, *, trial: bool = False) -> Sequence[bytes]:
    """``trial``: on the loopback, and letting all pass: it is there for a moment before it is taken back."""
    match operation:
        case AddTable(family=family, table=table):
            return [_table(family, table, _CREATE | _EXCL)]
        case DeleteTable(family=family, table=table):
            # made first: none that is there would be an error, and what a failure takes back costs 10 ms
            return [_table(family, table, _CREATE), _table(family, table, 0, _DELTABLE)]
        case AddEgressDrop(table=table, device=device):
            device, policy = (_LOOPBACK, _ACCEPT) if trial else (device, _DROP)
            chain = _chain("netdev", table, "egress", policy, _HOOK_EGRESS, device)
            return [_table("netdev", table, _CREATE), chain]
        case RemoveEgressDrop(table=table):
            chain_name = {"NFTA_CHAIN_TABLE": table, "NFTA_CHAIN_NAME": "egress"}
            return [_nft(nft_chain_msg, _DELCHAIN, 0, "netdev", **chain_name)]
        case AddInputDrop():
            return _input_drop(operation, index(operation, operation.device))
    raise ConfigError(f"operation must be one that nftables knows, not {operation!r}")


def _loopback(_: Operation, __: str) -> int:
    return _LOOPBACK_INDEX


@functools.lru_cache(maxsize=4 * MOST_KEPT)  # made and deleted, of two families
def _table(family: str, table: str, flags: int, number: int = _NEWTABLE) -> bytes:
    return _nft(nft_table_msg, number, flags, family, NFTA_TABLE_NAME=table)


def _chain(family: str, table: str, name: str, policy: int, hook: int, device: str | None = None) -> bytes:
    where: list[tuple[str, Any]] = [("NFTA_HOOK_HOOKNUM", hook), ("NFTA_HOOK_PRIORITY", 0)]
    if device is not None:
        where.append(("NFTA_HOOK_DEV", device))
    return _nft(
        nft_chain_msg,
        _NEWCHAIN,
        _CREATE,
        family,
        NFTA_CHAIN_TABLE=table,
        NFTA_CHAIN_NAME=name,
        NFTA_CHAIN_TYPE="filter",
        NFTA_CHAIN_HOOK={"attrs": where},
        NFTA_CHAIN_POLICY=policy,
    )


@functools.lru_cache(maxsize=MOST_KEPT)
def _input_drop(operation: AddInputDrop, index: int) -> tuple[bytes, ...]:
    family, table = operation.family, operation.table
    kind, offset, length = _ADDRESSES[family]
    destination = _expression("payload", dreg=1, base=_NETWORK_HEADER, offset=offset, len=length)

    def rule(*expressions: dict[str, Any]) -> bytes:
        where = {"NFTA_RULE_TABLE": table, "NFTA_RULE_CHAIN": "input"}
        flags = _CREATE | _APPEND
        return _nft(nft_rule_msg, _NEWRULE, flags, family, **where, NFTA_RULE_EXPRESSIONS=list(expressions))

    messages = []
    if operation.everywhere:
        messages += _address_set(operation, kind, length)
    messages.append(_chain(family, table, "input", _ACCEPT, _HOOK_INPUT))
    if family == "ip6":
        messages.append(rule(*_NEIGHBOUR_DISCOVERY, _verdict(_ACCEPT)))
    on_device = [_expression("meta", key=_IIF, dreg=1), _compare(_EQUAL, struct.pack("=I", index)), destination]
    messages += [
        rule(*on_device, _compare(_EQUAL, ip_address(address).packed), _verdict(_DROP))
        for address in operation.on_device
    ]
    if operation.everywhere:
        messages.append(rule(destination, _expression("lookup", sreg=1, set=_SET), _verdict(_DROP)))
    return tuple(messages)


def _address_set(operation: AddInputDrop, kind: int, length: int) -> list[bytes]:
    table = operation.table
    within = {"NFTA_SET_TABLE": table, "NFTA_SET_NAME": _SET, "NFTA_SET_ID": 1, "NFTA_SET_FLAGS": ()}
    elements = [
        {"attrs": [("NFTA_SET_ELEM_KEY", _data(ip_address(address).packed))]} for address in operation.everywhere
    ]
    return [
        _nft(
            nft_set_msg,
            _NEWSET,
            _CREATE,
            operation.family,
            **within,
            NFTA_SET_KEY_TYPE=kind,
            NFTA_SET_KEY_LEN=length,
        ),
        _nft(
            nft_set_elem_list_msg,
            _NEWSETELEM,
            _CREATE,
            operation.family,
            NFTA_SET_ELEM_LIST_TABLE=table,
            NFTA_SET_ELEM_LIST_SET=_SET,
            NFTA_SET_ELEM_LIST_ELEMENTS=elements,
        ),
    ]


def _expression(name: str, **values: Any) -> dict[str, Any]:
    data = [(f"NFTA_{name.upper()}_{key.upper()}", value) for key, value in values.items()]
    return {"attrs": [("NFTA_EXPR_NAME", name), ("NFTA_EXPR_DATA", {"attrs": data})]}


def _data(value: bytes) -> dict[str, Any]:
    return {"attrs": [("NFTA_DATA_VALUE", value)]}


def _compare(how: int, value: bytes) -> dict[str, Any]:
    return _expression("cmp", sreg=1, op=how, data=_data(value))


def _verdict(code: int) -> dict[str, Any]:
    verdict = {"attrs": [("NFTA_VERDICT_CODE", code)]}
    return _expression("immediate", dreg=0, data={"attrs": [("NFTA_DATA_VERDICT", verdict)]})


_NEIGHBOUR_DISCOVERY = (
    _expression("meta", key=_L4PROTO, dreg=1),
    _compare(_EQUAL, bytes([_ICMPV6])),
    _expression("payload", dreg=1, base=_TRANSPORT_HEADER, offset=0, len=1),
    _compare(_AT_LEAST, bytes([_NEIGHBOUR_SOLICITATION])),
    _compare(_AT_MOST, bytes([_NEIGHBOUR_ADVERTISEMENT])),
)


def _failure(operation: Filter, error: OSError, *, probed: bool = False) -> BackendError:
    if error.errno == errno.EPERM:
        return failure(operation.deed, error, operation)
    hint = ""
    if error.errno in _UNKNOWN and probed:
        hint = f"this takes {_NEEDS.get(type(operation), _NFTABLES_NEED)}"
    elif error.errno == errno.EEXIST and isinstance(operation, AddTable):
        hint = f"it is not ours: remove it (`nft delete table {operation.family} {operation.table}`)"
    message = f"{operation.deed}: {error.strerror}" + (f"; {hint}" if hint else "")
    return BackendError(message, operation=operation, errno=error.errno)
