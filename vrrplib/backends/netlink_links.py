"""What the kernel tells of a link, as a Link; what is in its messages is decoded by others."""

from __future__ import annotations

import contextlib
import pathlib
from typing import Any

from vrrplib.backends.plan import Link
from vrrplib.wire.addresses import MacAddress

_IFF_UP = 1


def link_of(found: Any, identifier: str = "::") -> Link:
    """The link in an RTM_NEWLINK message that was decoded, all but its IPv6 ``identifier``."""
    info = found.get_attr("IFLA_LINKINFO")
    kind = (info.get_attr("IFLA_INFO_KIND") if info else None) or ""
    data = info.get_attr("IFLA_INFO_DATA") if kind == "macvlan" else None
    name, index = found.get_attr("IFLA_IFNAME"), found["index"]
    elsewhere = found.get_attr("IFLA_LINK_NETNSID") is not None  # then the number is another namespace's
    return Link(
        name,
        index,
        MacAddress(found.get_attr("IFLA_ADDRESS") or bytes(6)),
        kind or ("wlan" if _is_wireless(name, index) else ""),
        is_up=bool(found["flags"] & _IFF_UP),
        parent=0 if elsewhere else found.get_attr("IFLA_LINK") or 0,
        master=found.get_attr("IFLA_MASTER") or 0,
        port_of=(info.get_attr("IFLA_INFO_SLAVE_KIND") if info else None) or "",
        identifier=identifier,
        permanent_mac=str(found.get_attr("IFLA_PERM_ADDRESS") or ""),
        sources=(data.get_attr("IFLA_MACVLAN_MACADDR_COUNT") if data else None) or 0,
        mode=(data.get_attr("IFLA_MACVLAN_MODE") if data else None) or "",
    )


def _is_wireless(name: str, index: int) -> bool:
    """sysfs may be another namespace's, whose links have other numbers: then it has nothing to say."""
    folder = pathlib.Path("/sys/class/net", name)
    with contextlib.suppress(OSError, ValueError):
        return int((folder / "ifindex").read_text()) == index and (folder / "phy80211").exists()
    return False
