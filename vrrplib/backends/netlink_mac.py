"""A change of an interface's MAC, and of its IPv6 token, with what the kernel throws away then given back.

Whatever is lost is read first and follows in the same call: not even SIGKILL ends a system call half way, so no
journal is needed for it. What the kernel tells in a dump it takes again with few bytes changed.
"""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_interface

from vrrplib.backends.netlink_socket import HEADER, NetlinkSocket
from vrrplib.wire.addresses import IPInterface, IPNetwork, MacAddress

_REQUEST, _ACK, _DUMP, _EXCL, _REPLACE, _CREATE, _APPEND = 0x1, 0x4, 0x300, 0x200, 0x100, 0x400, 0x800
_NEWLINK, _GETLINK, _NEWADDR, _GETADDR, _NEWROUTE, _GETROUTE, _NEWNEIGH, _GETNEIGH = 16, 18, 20, 22, 24, 26, 28, 30
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_LINK = struct.Struct("=BxHiII")  # family, hardware type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_ROUTE = struct.Struct(
    "=BBBBBBBBI"
)  # family, lengths of destination and source, tos, table, protocol, scope, type, flags
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type
_NEXT_HOP = struct.Struct("=HBBi")  # length, flags, weight, index

_IFF_UP = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_LINK, _IFLA_LINKINFO, _IFLA_AF_SPEC = 1, 3, 5, 18, 26
_IFLA_LINK_NETNSID = 37
_INFO_KIND, _INET6_TOKEN = 1, 7
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_TEMPORARY, _NODAD, _DEPRECATED, _TENTATIVE, _PERMANENT, _SETTABLE = 0x01, 0x02, 0x20, 0x40, 0x80, 0x716
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_MULTIPATH, _RTA_CACHEINFO, _RTA_VIA, _RTA_EXPIRES, _RTA_NH_ID = (
    1, 4, 5, 9, 12, 18, 23, 30,
)  # fmt: skip
_UNICAST, _CLONED, _ONLINK, _KERNEL, _REDIRECT = 1, 0x200, 0x4, 2, 1
_MADE_BY_THE_KERNEL = (2, 3, 4, 5)  # local, broadcast, anycast, multicast
_STATIC_STATES, _PROXY = 0x40 | 0x80, 0x08  # NUD_NOARP, NUD_PERMANENT
_TICKS = 100  # USER_HZ: a route's remaining lifetime is in hundredths of a second
_SIOCSIFHWADDR, _ARPHRD_ETHER = 0x8924, 1
_ONLY_DOWN = "its driver changes the MAC only while down, and"
_INDEPENDENT = ("macvlan", "macvtap")  # what stands on an interface and outlives its going down and up


# -- the change --


def change_mac(netlink: NetlinkSocket, name: str, index: int, mac: str, *, ioctl: bool = False) -> None:
    """Change the MAC while the interface is up; where its driver refuses that, set it down and up meanwhile.

    With the MAC the kernel throws away all neighbours of the interface, also those that the operator made; with the
    link's going down IPv6 addresses, routes of both families and proxy neighbours too: they come back in the same
    call. ``ioctl`` does it by SIOCSIFHWADDR, where there is no such neighbour. OSError, with nothing changed.
    """
    neighbours = list(_neighbours(netlink, index))
    by_netlink = not ioctl or bool(neighbours)
    failed: OSError | None = None
    if by_netlink:
        failed = _send(netlink, [_set_mac(index, mac)], neighbours)
    if not by_netlink or (failed is not None and failed.errno == errno.EOPNOTSUPP and not neighbours):
        failed = _by_ioctl(netlink, name, mac)
    if failed is not None and failed.errno == errno.EBUSY and _is_up(netlink, index):
        _refuse_company(netlink, index)
        lost = [*_ipv6_addresses(netlink, index), *_routes(netlink, index), *neighbours, *_proxies(netlink, index)]
        failed = _send(netlink, [_set_up(index, 0), _set_mac(index, mac), _set_up(index, _IFF_UP)], lost)
    if failed is not None:
        raise failed


def set_token(netlink: NetlinkSocket, index: int, token: str, old: str | None) -> None:
    """Set the interface identifier of addresses that come by Router Advertisement ("::" is the MAC's again).

    The kernel throws away the addresses that it made with ``old``: they come back, with the rest of their lives.
    """
    spec = _attribute(_INET6_TOKEN, IPv6Address(token).packed)
    message = _message(
        _NEWLINK, 0, _LINK.pack(0, 0, index, 0, 0), _attribute(_IFLA_AF_SPEC, _attribute(socket.AF_INET6, spec))
    )
    learned = list(_ipv6_addresses(netlink, index, IPv6Address(old).packed[8:])) if old else []
    if failed := _send(netlink, [message], learned):
        raise failed


def _send(netlink: NetlinkSocket, changes: list[bytes], again: Iterable[bytes]) -> OSError | None:
    """All in one call; what went wrong first. What is there still, or again already, need not come back."""
    fine = (errno.EEXIST, errno.ENOBUFS)  # the latter: there was so much of it that not all answers were kept
    answers = netlink.send_all([*changes, *again])
    failed = [answer for answer in answers[: len(changes)] if answer is not None]
    lost = [answer for answer in answers[len(changes) :] if answer is not None and answer.errno not in fine]
    return next(iter((*failed, *lost)), None)


def _by_ioctl(netlink: NetlinkSocket, name: str, mac: str) -> OSError | None:
    request = struct.pack("=16sH14s", name.encode(), _ARPHRD_ETHER, MacAddress(mac).packed)
    try:
        fcntl.ioctl(netlink.fileno(), _SIOCSIFHWADDR, request.ljust(40, b"\0"))
    except OSError as error:
        return error
    return None


def _refuse_company(netlink: NetlinkSocket, index: int) -> None:
    """A VLAN goes down with its interface, and loses what we do not know of."""
    company = [found for found in stacked(netlink, index) if found[1] not in _INDEPENDENT]
    if company:
        raise OSError(errno.EBUSY, f"{_ONLY_DOWN} {company[0][0]} stands on it")


# -- reading --


def addresses(netlink: NetlinkSocket, index: int) -> list[tuple[IPInterface, bool]]:
    """The addresses of an interface, in the kernel's order, each with whether it is deprecated."""
    found: list[tuple[IPInterface, bool]] = []
    for data in netlink.request(_message(_GETADDR, _DUMP, bytes(_ADDRESS.size))):
        _, length, low_flags, _, its_index = _ADDRESS.unpack_from(data, HEADER.size)
        if its_index == index:
            values = dict(attributes(data, HEADER.size + _ADDRESS.size))
            packed = values.get(_IFA_LOCAL) or values[_IFA_ADDRESS]  # with a peer, the address is the peer's
            flags = values.get(_IFA_FLAGS, bytes([low_flags]))[0]
            found.append((ip_interface((packed, length)), bool(flags & _DEPRECATED)))
    return found


def stacked(netlink: NetlinkSocket, index: int) -> list[tuple[str, str, MacAddress]]:
    """Name, kind and MAC of what stands on an interface in its namespace: VLANs, macvlans."""
    found = []
    for link in netlink.request(_message(_GETLINK, _DUMP, _LINK.pack(0, 0, 0, 0, 0))):
        values = dict(attributes(link, HEADER.size + _LINK.size))
        below = struct.unpack("=I", values.get(_IFLA_LINK, bytes(4)))[0]
        its_index = _LINK.unpack_from(link, HEADER.size)[2]
        if below == index != its_index and _IFLA_LINK_NETNSID not in values:  # else another namespace's number
            name = values[_IFLA_IFNAME].rstrip(b"\0").decode()
            mac = values.get(_IFLA_ADDRESS, b"")
            found.append((name, _kind_of(link), MacAddress(mac if len(mac) == 6 else bytes(6))))
    return found


def _kind_of(link: bytes) -> str:
    info = dict(attributes(dict(attributes(link, HEADER.size + _LINK.size)).get(_IFLA_LINKINFO, b"")))
    return info.get(_INFO_KIND, b"").rstrip(b"\0").decode()


def token_of(link: bytes) -> str:
    """The IPv6 token of a link, "::" for none."""
    spec = dict(attributes(dict(attributes(link, HEADER.size + _LINK.size)).get(_IFLA_AF_SPEC, b"")))
    token = dict(attributes(spec.get(socket.AF_INET6, b""))).get(_INET6_TOKEN, bytes(16))
    return str(IPv6Address(token))


def on_link_routes(netlink: NetlinkSocket, index: int) -> list[IPNetwork]:
    """What the operator has routed to an interface without a gateway."""
    found: list[IPNetwork] = []
    for family, length, protocol, values in _unicast_routes(netlink, index):
        if protocol == _KERNEL or _RTA_GATEWAY in values or _RTA_VIA in values or _RTA_MULTIPATH in values:
            continue
        if family == socket.AF_INET:
            found.append(IPv4Network((values.get(_RTA_DST, bytes(4)), length)))
        else:
            found.append(IPv6Network((values.get(_RTA_DST, bytes(16)), length)))
    return found


def _unicast_routes(netlink: NetlinkSocket, index: int) -> Iterator[tuple[int, int, int, dict[int, bytes]]]:
    for data in _all_routes(netlink):
        family, length, _, _, _, protocol, _, kind, flags = _ROUTE.unpack_from(data, HEADER.size)
        values = dict(attributes(data, HEADER.size + _ROUTE.size))
        if kind == _UNICAST and not flags & _CLONED and struct.pack("=i", index) == values.get(_RTA_OIF):
            yield family, length, protocol, values


def _all_routes(netlink: NetlinkSocket) -> Iterator[bytes]:
    for family in (socket.AF_INET, socket.AF_INET6):
        yield from netlink.request(_message(_GETROUTE, _DUMP, _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)))


def _is_up(netlink: NetlinkSocket, index: int) -> bool:
    (link,) = netlink.request(_message(_GETLINK, 0, _LINK.pack(0, 0, index, 0, 0)))
    return bool(_LINK.unpack_from(link, HEADER.size)[3] & _IFF_UP)


# -- the messages that make what a dump told --


def _neighbours(netlink: NetlinkSocket, index: int) -> Iterator[bytes]:
    """Those that the operator made."""
    for found in netlink.request(_message(_GETNEIGH, _DUMP, bytes(_NEIGHBOUR.size))):
        _, its_index, state, flags, kind = _NEIGHBOUR.unpack_from(found, HEADER.size)
        if its_index == index and state & _STATIC_STATES and kind == _UNICAST and not flags & _PROXY:
            yield _again(found, _NEWNEIGH, _CREATE | _REPLACE)


def _proxies(netlink: NetlinkSocket, index: int) -> Iterator[bytes]:
    for found in netlink.request(_message(_GETNEIGH, _DUMP, _NEIGHBOUR.pack(0, 0, 0, _PROXY, 0))):
        if _NEIGHBOUR.unpack_from(found, HEADER.size)[1] == index:
            yield _again(found, _NEWNEIGH, _CREATE | _REPLACE)


def _ipv6_addresses(netlink: NetlinkSocket, index: int, ending: bytes | None = None) -> Iterator[bytes]:
    """Two messages each: without duplicate detection, then as it was; with ``ending`` only learned ones so ending.

    In reverse: the kernel puts each before those that are there. Temporary ones (RFC 8981) nobody but it can make.
    """
    request = _message(_GETADDR, _DUMP, _ADDRESS.pack(socket.AF_INET6, 0, 0, 0, 0))
    for found in reversed(netlink.request(request)):
        family, length, low_flags, scope, its_index = _ADDRESS.unpack_from(found, HEADER.size)
        values = dict(attributes(found, HEADER.size + _ADDRESS.size))
        flags = struct.unpack("=I", values.pop(_IFA_FLAGS, bytes([low_flags, 0, 0, 0])))[0]
        if its_index != index or flags & _TEMPORARY:
            continue
        if ending is not None and (flags & _PERMANENT or not values[_IFA_ADDRESS].endswith(ending)):
            continue
        for request_flags, more in ((_CREATE | _EXCL, _NODAD), (_CREATE | _REPLACE, 0)):
            if more and flags & _TENTATIVE:
                continue  # its detection begins anew
            new = (flags & _SETTABLE) | more
            head = _ADDRESS.pack(family, length, new & 0xFF, scope, index)
            packed = (_attribute(_IFA_FLAGS, struct.pack("=I", new)), *map(_attribute, values, values.values()))
            yield _message(_NEWADDR, request_flags, head, *packed)


def _routes(netlink: NetlinkSocket, index: int) -> list[bytes]:
    """Those by way of an interface, of all tables; those without a gateway first, for others need them."""
    found: list[tuple[bool, bytes]] = []
    for data in _all_routes(netlink):
        *head, protocol, scope, kind, flags = _ROUTE.unpack_from(data, HEADER.size)
        values = dict(attributes(data, HEADER.size + _ROUTE.size))
        if kind in _MADE_BY_THE_KERNEL or protocol == _REDIRECT or flags & _CLONED or not _uses(values, index):
            continue
        if _RTA_NH_ID in values:
            raise OSError(errno.EBUSY, f"{_ONLY_DOWN} a route by a nexthop object uses it")
        cache = values.pop(_RTA_CACHEINFO, b"")
        expires = struct.unpack_from("=i", cache, 8)[0] if len(cache) >= 12 else 0
        if expires > 0:
            values[_RTA_EXPIRES] = struct.pack("=I", expires // _TICKS)
        packed = map(_attribute, values, values.values())
        message = _message(
            _NEWROUTE, _CREATE | _APPEND, _ROUTE.pack(*head, protocol, scope, kind, flags & _ONLINK), *packed
        )
        found.append((any(name in values for name in (_RTA_GATEWAY, _RTA_VIA, _RTA_MULTIPATH)), message))
    return [message for _, message in sorted(found, key=lambda item: item[0])]


def _uses(route: dict[int, bytes], index: int) -> bool:
    if route.get(_RTA_OIF) == struct.pack("=i", index):
        return True
    hops, at = route.get(_RTA_MULTIPATH, b""), 0
    while at + _NEXT_HOP.size <= len(hops):
        length, _, _, its_index = _NEXT_HOP.unpack_from(hops, at)
        if its_index == index:
            return True
        at += max(length, _NEXT_HOP.size)
    return False


# -- bytes --


def attributes(data: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute from ``at`` on."""
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _message(number: int, flags: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return HEADER.pack(HEADER.size + len(body), number, flags | _REQUEST | _ACK, 0, 0) + body


def _again(found: bytes, number: int, flags: int) -> bytes:
    return _message(number, flags, found[HEADER.size :])


def _set_mac(index: int, mac: str) -> bytes:
    return _message(_NEWLINK, 0, _LINK.pack(0, 0, index, 0, 0), _attribute(_IFLA_ADDRESS, MacAddress(mac).packed))


def _set_up(index: int, flags: int) -> bytes:
    return _message(_NEWLINK, 0, _LINK.pack(0, 0, index, flags, _IFF_UP))
