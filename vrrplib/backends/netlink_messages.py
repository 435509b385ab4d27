"""The messages of rtnetlink: operations as bytes, and what the kernel tells, as values.

pyroute2 makes and reads them; it is known here and, for nftables, in netlink_filters alone.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import socket
import struct
from collections.abc import Callable
from ipaddress import IPv6Interface, ip_address
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
from vrrplib.wire.addresses import MacAddress

_REQUEST, _ACK, _DUMP, _CREATE, _EXCL, _REPLACE = 0x1, 0x4, 0x300, 0x400, 0x200, 0x100
_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _DELADDR, _GETADDR = 16, 17, 18, 20, 21, 22
_IFF_UP = 1
_NODAD, _NOPREFIXROUTE = 0x02, 0x200
_FOREVER = 0xFFFFFFFF
# markers: what a model says in the places where copies differ; no two have a part in common
_INDEX, _OTHER_INDEX = b"\xa1\xb2\xc3\x14", b"\xa2\xb3\xc4\x15"
_MAC = b"\x02\xd1\xd2\xd3\xd4\xd5"
_NAME = b"~!~#~$~&~+~-~=~"
_ADDRESS = bytes(range(0xE1, 0xF1))


def encode(operation: Operation, index: Callable[[str], int]) -> bytes:
    """The request that does ``operation``; ``index`` gives that of a link. ConfigError for one of another kind.

    pyroute2 takes half a millisecond for a message, and 255 virtual routers have two thousand: it makes one of each
    kind, and in copies of it the values are changed that differ from one virtual router to the next.
    """
    match operation:
        case AddMacvlan(name=name, parent=parent, mac=mac, mode=mode, master=master):
            values = {
                _NAME[: len(name.encode())] + bytes(1): name.encode() + bytes(1),
                _MAC: MacAddress(mac).packed,
            }
            indexes = {_INDEX: index(parent)} | ({_OTHER_INDEX: index(master)} if master else {})
            like: Operation = AddMacvlan(
                _NAME[: len(name.encode())].decode(), "parent", _MAC.hex(":"), mode, "master" if master else None
            )
        case AddAddress(name=name) | RemoveAddress(name=name):
            interface, indexes = operation.interface, {_INDEX: index(name)}
            unlike = ip_address(_ADDRESS[: len(interface.packed)])
            values = {unlike.packed: interface.packed}
            like = dataclasses.replace(operation, name="", address=f"{unlike}/{interface.network.prefixlen}")
        case SetMacvlanMode(name=name) | SetLinkUp(name=name) | SetLinkDown(name=name):
            like, values, indexes = dataclasses.replace(operation, name=""), {}, {_INDEX: index(name)}
        case _:
            return made_by_pyroute2(operation, index)
    model, places = _model(like)
    values |= {marker: struct.pack("=i", number) for marker, number in indexes.items()}
    if places.keys() != values.keys():
        return made_by_pyroute2(operation, index)
    message = bytearray(model)
    for marker, value in values.items():
        for place in places[marker]:
            message[place : place + len(value)] = value
    return bytes(message)


@functools.lru_cache(maxsize=256)
def _model(like: Operation) -> tuple[bytes, dict[bytes, list[int]]]:
    """A message full of markers, and the places of each."""
    numbers = {"master": _OTHER_INDEX}
    model = made_by_pyroute2(like, lambda name: int(struct.unpack("=i", numbers.get(name, _INDEX))[0]))
    name = getattr(like, "name", "").encode() + bytes(1)
    markers = [
        _INDEX,
        _OTHER_INDEX,
        _MAC,
        _ADDRESS,
        _ADDRESS[:4],
        *([name] if isinstance(like, AddMacvlan) else []),
    ]
    if _ADDRESS in model:
        markers.remove(_ADDRESS[:4])
    found = {marker: [at for at in range(len(model)) if model.startswith(marker, at)] for marker in markers}
    return model, {marker: places for marker, places in found.items() if places}


def made_by_pyroute2(operation: Operation, index: Callable[[str], int]) -> bytes:
    """What :func:`encode` gives, and slowly."""
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
    if isinstance(link, int):
        return _message(ifinfmsg, _GETLINK, 0, index=link)
    length = len(link.encode())
    if not 0 < length <= len(_NAME):
        return _message(ifinfmsg, _GETLINK, 0, IFLA_IFNAME=link)
    return _name_request(length).replace(_NAME[:length] + bytes(1), link.encode() + bytes(1))


@functools.cache
def _name_request(length: int) -> bytes:
    return _message(ifinfmsg, _GETLINK, 0, IFLA_IFNAME=_NAME[:length].decode())


def into_group(index: int, group: int) -> bytes:
    """Puts a link into a group."""
    # the index is the first of the two in the message
    model = _into_group().replace(_OTHER_INDEX, struct.pack("=I", group))
    return model.replace(_INDEX, struct.pack("=i", index), 1)


@functools.cache
def _into_group() -> bytes:
    index, group = (struct.unpack("=i", marker)[0] for marker in (_INDEX, _OTHER_INDEX))
    return _message(ifinfmsg, _NEWLINK, _ACK, index=index, IFLA_GROUP=group)


def delete_group(group: int) -> bytes:
    """Removes all links of a group, which is not 0: that is where all links are at first."""
    return _message(ifinfmsg, _DELLINK, _ACK, IFLA_GROUP=group)


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


ALL_LINKS = _message(ifinfmsg, _GETLINK, _DUMP)
"""Asks for all links."""
