"""The messages of rtnetlink: operations as bytes, and what the kernel tells, as values.

pyroute2 makes and reads them; it is known here and, for nftables, in netlink_filters alone.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from ipaddress import IPv6Interface
from typing import Any

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from vrrplib.backends.netlink_links import link_of
from vrrplib.backends.netlink_mac import token_of
from vrrplib.backends.operations import (
    AddAddress,
    AddMacvlan,
    DeleteLink,
    Operation,
    RemoveAddress,
    SetLinkDown,
    SetLinkUp,
    SetMacvlanMode,
)
from vrrplib.backends.plan import Link
from vrrplib.errors import ConfigError

_REQUEST, _ACK, _DUMP, _CREATE, _EXCL, _REPLACE = 0x1, 0x4, 0x300, 0x400, 0x200, 0x100
_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _DELADDR, _GETADDR = 16, 17, 18, 20, 21, 22
_IFF_UP = 1
_NODAD, _NOPREFIXROUTE = 0x02, 0x200
_FOREVER = 0xFFFFFFFF


def encode(operation: Operation, index: Callable[[str], int]) -> bytes:
    """The request that does ``operation``; ``index`` gives that of a link. ConfigError for one of another kind."""
    match operation:
        case AddMacvlan(name=name, parent=parent, mac=mac, mode=mode, master=master):
            return _message(
                ifinfmsg,
                _NEWLINK,
                _ACK | _CREATE | _EXCL,
                IFLA_IFNAME=name,
                IFLA_LINK=index(parent),
                IFLA_ADDRESS=mac,
                IFLA_LINKINFO=_macvlan_info(mode),
                **({"IFLA_MASTER": index(master)} if master else {}),
            )
        case SetMacvlanMode(name=name, mode=mode):
            return _message(ifinfmsg, _NEWLINK, _ACK, index=index(name), IFLA_LINKINFO=_macvlan_info(mode))
        case DeleteLink(name=name):
            return _message(ifinfmsg, _DELLINK, _ACK, index=index(name))
        case SetLinkUp(name=name):
            return _message(ifinfmsg, _NEWLINK, _ACK, index=index(name), flags=_IFF_UP, change=_IFF_UP)
        case SetLinkDown(name=name):
            return _message(ifinfmsg, _NEWLINK, _ACK, index=index(name), flags=0, change=_IFF_UP)
        case AddAddress(name=name):
            return _address_message(_NEWADDR, _ACK | _CREATE | _REPLACE, index(name), operation)
        case RemoveAddress(name=name):
            return _address_message(_DELADDR, _ACK, index(name), operation)
    raise ConfigError(f"operation must be one that netlink knows, not {operation!r}")


def is_done_already(operation: Operation, answer: OSError) -> bool:
    """Whether all is as the operation would have it: each that undoes another may be done again."""
    match operation:
        case RemoveAddress():
            return answer.errno in (errno.EADDRNOTAVAIL, errno.ENODEV)
        case DeleteLink() | SetLinkDown() | SetMacvlanMode(mode="source"):
            return answer.errno == errno.ENODEV
    return False


def link_request(link: str | int) -> bytes:
    """Asks for the link of a name, or of an index."""
    wanted = {"index": link} if isinstance(link, int) else {"IFLA_IFNAME": link}
    return _message(ifinfmsg, _GETLINK, 0, **wanted)


def link_in(answer: bytes) -> Link:
    """The link that an answer tells of."""
    return link_of(_decode(ifinfmsg, answer), token_of(answer))


def _message(kind: type, number: int, request: int, /, **values: Any) -> bytes:
    """A request as bytes: ``values`` in capitals are attributes, the others fields of the head."""
    message = kind()
    message["attrs"] = [(name, value) for name, value in values.items() if name.isupper()]
    for name, value in values.items():
        if not name.isupper():
            message[name] = value
    message["header"]["type"] = number
    message["header"]["flags"] = request | _REQUEST
    message.encode()
    return bytes(message.data)


def _macvlan_info(mode: str) -> dict[str, Any]:
    data = {"attrs": [("IFLA_MACVLAN_MODE", mode)]}
    return {"attrs": [("IFLA_INFO_KIND", "macvlan"), ("IFLA_INFO_DATA", data)]}


def _address_message(number: int, flags: int, index: int, operation: AddAddress | RemoveAddress) -> bytes:
    interface = operation.interface
    is_ipv6 = isinstance(interface, IPv6Interface)
    values: dict[str, Any] = {"IFA_LOCAL": str(interface.ip), "IFA_ADDRESS": str(interface.ip)}
    if isinstance(operation, AddAddress):
        # another router may have the address still, or again: detection would find it and give up
        bits = (_NODAD if is_ipv6 else 0) | (0 if operation.prefix_route else _NOPREFIXROUTE)
        if bits:
            values["IFA_FLAGS"] = bits
        if not operation.source:
            values["IFA_CACHEINFO"] = {"ifa_preferred": 0, "ifa_valid": _FOREVER}
    return _message(
        ifaddrmsg,
        number,
        flags,
        family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
        prefixlen=interface.network.prefixlen,
        index=index,
        **values,
    )


def _decode(kind: type, data: bytes) -> Any:
    message = kind(data)
    message.decode()
    return message
