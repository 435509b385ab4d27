"""VRRP and virtual-MAC primitives: packets, timers, an election that its caller drives, and host backends.

The names below are the public API; each is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib

# Type checkers know it by its name. To import it would load typing, which takes longer than all else here.
TYPE_CHECKING = False

__version__ = "0.1.0"

if TYPE_CHECKING:
    from typing import Any

    from vrrplib.backends.announce import AnnounceBackend as AnnounceBackend
    from vrrplib.backends.base import NetBackend as NetBackend
    from vrrplib.backends.base import Watch as Watch
    from vrrplib.backends.dryrun import DryRunBackend as DryRunBackend
    from vrrplib.backends.macswap import MacSwapBackend as MacSwapBackend
    from vrrplib.backends.macvlan import MacvlanBackend as MacvlanBackend
    from vrrplib.backends.watch import NetlinkWatch as NetlinkWatch
    from vrrplib.election import actions as actions
    from vrrplib.election import events as events
    from vrrplib.election.announcing import AnnouncementPolicy as AnnouncementPolicy
    from vrrplib.election.config import RouterConfig as RouterConfig
    from vrrplib.election.groups import SyncGroup as SyncGroup
    from vrrplib.election.router import Router as Router
    from vrrplib.election.states import Reason as Reason
    from vrrplib.election.states import State as State
    from vrrplib.election.statistics import Statistics as Statistics
    from vrrplib.election.timers import active_down_interval as active_down_interval
    from vrrplib.election.timers import skew_time as skew_time
    from vrrplib.election.tracking import Condition as Condition
    from vrrplib.election.tracking import Tracker as Tracker
    from vrrplib.errors import BackendError as BackendError
    from vrrplib.errors import ConfigError as ConfigError
    from vrrplib.errors import DecodeError as DecodeError
    from vrrplib.errors import Finding as Finding
    from vrrplib.errors import Problem as Problem
    from vrrplib.errors import VRRPError as VRRPError
    from vrrplib.node import Node as Node
    from vrrplib.node import Notice as Notice
    from vrrplib.profiles import FRR_8_4 as FRR_8_4
    from vrrplib.profiles import HOLO as HOLO
    from vrrplib.profiles import KEEPALIVED_2_2 as KEEPALIVED_2_2
    from vrrplib.profiles import KEEPALIVED_2_4 as KEEPALIVED_2_4
    from vrrplib.profiles import OS_KEN as OS_KEN
    from vrrplib.profiles import PROFILES as PROFILES
    from vrrplib.profiles import STRICT as STRICT
    from vrrplib.profiles import Profile as Profile
    from vrrplib.rules import RFC2338 as RFC2338
    from vrrplib.rules import RFC3768 as RFC3768
    from vrrplib.rules import RFC5798 as RFC5798
    from vrrplib.rules import RFC9568 as RFC9568
    from vrrplib.rules import RFC9568_PUBLISHED as RFC9568_PUBLISHED
    from vrrplib.rules import Rules as Rules
    from vrrplib.rules import Verdict as Verdict
    from vrrplib.transports.base import Transport as Transport
    from vrrplib.transports.memory import MemoryTransport as MemoryTransport
    from vrrplib.transports.packet import PacketTransport as PacketTransport
    from vrrplib.wire.addresses import Family as Family
    from vrrplib.wire.addresses import MacAddress as MacAddress
    from vrrplib.wire.addresses import virtual_mac as virtual_mac
    from vrrplib.wire.ah import AHStyle as AHStyle
    from vrrplib.wire.ah import AuthenticationHeader as AuthenticationHeader
    from vrrplib.wire.announcements import Announcement as Announcement
    from vrrplib.wire.announcements import AnnouncementKind as AnnouncementKind
    from vrrplib.wire.announcements import AnnouncementStyle as AnnouncementStyle
    from vrrplib.wire.announcements import NAFlags as NAFlags
    from vrrplib.wire.announcements import parse_announcement as parse_announcement
    from vrrplib.wire.authentication import CiscoMD5 as CiscoMD5
    from vrrplib.wire.authentication import HMACTrailer as HMACTrailer
    from vrrplib.wire.authentication import SimpleText as SimpleText
    from vrrplib.wire.authentication import next_sequence as next_sequence
    from vrrplib.wire.authentication import sign as sign
    from vrrplib.wire.authentication import verify as verify
    from vrrplib.wire.capture import CaptureReader as CaptureReader
    from vrrplib.wire.capture_writer import PcapngWriter as PcapngWriter
    from vrrplib.wire.capture_writer import PcapWriter as PcapWriter
    from vrrplib.wire.carp import CARP as CARP
    from vrrplib.wire.carp import CARPInspection as CARPInspection
    from vrrplib.wire.carp import CARPKey as CARPKey
    from vrrplib.wire.carp import carp_down_time as carp_down_time
    from vrrplib.wire.carp import carp_interval as carp_interval
    from vrrplib.wire.carp import decode_carp as decode_carp
    from vrrplib.wire.carp import inspect_carp as inspect_carp
    from vrrplib.wire.carp import sign_carp as sign_carp
    from vrrplib.wire.carp import verify_carp as verify_carp
    from vrrplib.wire.checksum import ChecksumForm as ChecksumForm
    from vrrplib.wire.datagram import Datagram as Datagram
    from vrrplib.wire.frames import IPv4Header as IPv4Header
    from vrrplib.wire.frames import IPv6Header as IPv6Header
    from vrrplib.wire.frames import advertisement_frame as advertisement_frame
    from vrrplib.wire.frames import announcement_frame as announcement_frame
    from vrrplib.wire.keys import Key as Key
    from vrrplib.wire.keys import Replay as Replay
    from vrrplib.wire.keys import Verified as Verified
    from vrrplib.wire.linktypes import Captured as Captured
    from vrrplib.wire.packets import Inspection as Inspection
    from vrrplib.wire.packets import VRRPv2 as VRRPv2
    from vrrplib.wire.packets import VRRPv3 as VRRPv3
    from vrrplib.wire.packets import decode as decode
    from vrrplib.wire.packets import inspect as inspect
    from vrrplib.wire.packets import is_carp as is_carp
    from vrrplib.wire.parsing import VlanTag as VlanTag
    from vrrplib.wire.parsing import parse as parse
    from vrrplib.wire.parsing import vlan_tags as vlan_tags

_MODULES = {
    "vrrplib.backends.announce": "AnnounceBackend",
    "vrrplib.backends.base": "NetBackend Watch",
    "vrrplib.backends.dryrun": "DryRunBackend",
    "vrrplib.backends.macswap": "MacSwapBackend",
    "vrrplib.backends.macvlan": "MacvlanBackend",
    "vrrplib.backends.watch": "NetlinkWatch",
    "vrrplib.election": "actions events",
    "vrrplib.election.announcing": "AnnouncementPolicy",
    "vrrplib.election.config": "RouterConfig",
    "vrrplib.election.groups": "SyncGroup",
    "vrrplib.election.router": "Router",
    "vrrplib.election.states": "Reason State",
    "vrrplib.election.statistics": "Statistics",
    "vrrplib.election.timers": "active_down_interval skew_time",
    "vrrplib.election.tracking": "Condition Tracker",
    "vrrplib.errors": "BackendError ConfigError DecodeError Finding Problem VRRPError",
    "vrrplib.node": "Node Notice",
    "vrrplib.profiles": "FRR_8_4 HOLO KEEPALIVED_2_2 KEEPALIVED_2_4 OS_KEN PROFILES STRICT Profile",
    "vrrplib.rules": "RFC2338 RFC3768 RFC5798 RFC9568 RFC9568_PUBLISHED Rules Verdict",
    "vrrplib.transports.base": "Transport",
    "vrrplib.transports.memory": "MemoryTransport",
    "vrrplib.transports.packet": "PacketTransport",
    "vrrplib.wire.addresses": "Family MacAddress virtual_mac",
    "vrrplib.wire.announcements": "Announcement AnnouncementKind AnnouncementStyle NAFlags parse_announcement",
    "vrrplib.wire.capture": "CaptureReader",
    "vrrplib.wire.capture_writer": "PcapngWriter PcapWriter",
    "vrrplib.wire.ah": "AHStyle AuthenticationHeader",
    "vrrplib.wire.authentication": "CiscoMD5 HMACTrailer SimpleText next_sequence sign verify",
    "vrrplib.wire.carp": "CARP CARPInspection CARPKey carp_down_time carp_interval"
    " decode_carp inspect_carp sign_carp verify_carp",
    "vrrplib.wire.checksum": "ChecksumForm",
    "vrrplib.wire.datagram": "Datagram",
    "vrrplib.wire.frames": "IPv4Header IPv6Header advertisement_frame announcement_frame",
    "vrrplib.wire.linktypes": "Captured",
    "vrrplib.wire.keys": "Key Replay Verified",
    "vrrplib.wire.packets": "Inspection VRRPv2 VRRPv3 decode inspect is_carp",
    "vrrplib.wire.parsing": "VlanTag parse vlan_tags",
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = ["__version__", *sorted(_HOMES)]  # noqa: PLE0604  # built from the table above


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    if home == "vrrplib.election":  # events and actions are modules
        value: Any = importlib.import_module(f"{home}.{name}")
    else:
        value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
