"""Neighbours as data: what keepalived, FRR, holo and os-ken make of VRRP where they leave the RFCs.

    config = KEEPALIVED_2_2.config(vrid=51, addresses=["192.0.2.254/24"], primary_address="192.0.2.1")

A profile is values alone: a Router with its configuration elects, answers and discards as that neighbour does, and
a simulated LAN of them (:mod:`vrrplib.lab.simulator`) predicts a real one. Each value is one of the neighbour's own
defaults. Behind each that is not the RFC's stands where it was seen: [live] with the daemon in a network namespace,
or for os-ken in its own code (docs/catalogue.md, docs/schedules.md, docs/others.md), [source] read in its source.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vrrplib.election.announcing import KEEPALIVED, ONCE, AnnouncementPolicy
from vrrplib.election.config import RouterConfig
from vrrplib.errors import ConfigError
from vrrplib.rules import RFC3768, RFC5798, RFC9568, Rules, Verdict
from vrrplib.values import dataclass
from vrrplib.wire.checksum import ChecksumForm

__all__ = ["FRR_8_4", "HOLO", "KEEPALIVED_2_2", "KEEPALIVED_2_4", "OS_KEN", "PROFILES", "STRICT", "Profile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One neighbour. Its fields mean what they mean in :class:`vrrplib.RouterConfig`."""

    name: str
    version_2: Rules
    """Its rules when it speaks version 2."""
    version_3: Rules
    """Its rules when it speaks version 3."""
    send_checksum: ChecksumForm = ChecksumForm.PSEUDO_HEADER
    accept_checksum: ChecksumForm = ChecksumForm.PSEUDO_HEADER
    accept_mode: bool = True
    announcements: AnnouncementPolicy = ONCE
    least_peer_ttl: int = 255
    most_priority: int = 255
    """The highest priority that it can be given: 254 where it knows no address owner."""
    limits: tuple[str, ...] = ()
    """What it does otherwise than a Router with these values, and why no value says so."""

    def rules(self, version: int = 3) -> Rules:
        """Its rules for a version; ConfigError for one that is neither 2 nor 3."""
        if version not in (2, 3):
            raise ConfigError(f"version must be 2 or 3, not {version!r}")
        return self.version_3 if version == 3 else self.version_2

    def config(self, *, version: int = 3, **fields: Any) -> RouterConfig:
        """A configuration as this neighbour would have it; ``fields`` are RouterConfig's, and win.

        ConfigError for what RouterConfig refuses, and for a priority that this neighbour cannot be given.
        """
        priority = fields.get("priority")
        if isinstance(priority, int) and self.most_priority < priority <= 255:
            raise ConfigError(f"priority must be 1-{self.most_priority} in {self.name}, not {priority}")
        values: dict[str, Any] = {
            "rules": self.rules(version),
            "send_checksum": self.send_checksum,
            "accept_checksum": self.accept_checksum,
            "accept_mode": self.accept_mode,
            "announcements": self.announcements,
            "least_peer_ttl": self.least_peer_ttl,
        }
        return RouterConfig(**values | fields)


_D, _I, _W = Verdict.DISCARD, Verdict.IGNORE, Verdict.WARN
_AT_ONCE = 1e-6  # seconds: an interval of 0 is no number for a timer

_KEEPALIVED_BOTH: dict[str, Any] = {
    "trailing_bytes": _D,  # [live] "vrrp packet too long"; Ethernet padding passes
    "spares_owner": False,  # [live] addresses-other-owner
    "heard_by_owner": _I,  # [source] unless owner_ignore_adverts; [live] both-owners
    "owner_gives_way_to": 254,  # [source] "reducing local priority"; [live] both-owners
    "answers_losing_advertisement": True,  # [source] unless lower_prio_no_advert; [live] one-way
}
_KEEPALIVED_2 = replace(
    RFC3768,
    name="keepalived 2.2",
    no_addresses=_I,  # [live] no-addresses-v2: it compares the list, and looks at nothing else
    address_mismatch=_D,  # [live] addresses-other-v2, as RFC 3768 allows
    **_KEEPALIVED_BOTH,
)
_KEEPALIVED_3 = replace(
    RFC5798,
    name="keepalived 2.2",
    no_addresses=_I,  # [live] no-addresses: it compares the list, and looks at nothing else
    address_mismatch=_D,  # [live] addresses-other: in version 3 too
    zero_interval=_I,  # [live] interval-0
    zero_interval_as=_AT_ONCE,  # [live] interval-0: it learns 0 ms, and is Active again at once
    interval_mismatch=_W,  # [source] "advertisement interval updated"
    **_KEEPALIVED_BOTH,
)
KEEPALIVED_2_2 = Profile(
    name="keepalived 2.2",
    version_2=_KEEPALIVED_2,
    version_3=_KEEPALIVED_3,
    send_checksum=ChecksumForm.PSEUDO_HEADER,  # [live] unless v3_checksum_as_v2
    accept_checksum=ChecksumForm.PSEUDO_HEADER,  # [live] checksum-message-only
    accept_mode=True,  # [live] unless no_accept
    announcements=KEEPALIVED,  # [live] five, and five more after 5 s
    least_peer_ttl=0,  # [source] the TTL of unicast is not looked at
    limits=(
        "the length is checked before the version, so another version can be called too long",
        "an interval of 0 makes its timers 0; here they are a microsecond",
        "an owner is Active from its start only with `state MASTER`; one that hears another owner in its first "
        "milliseconds waits behind it and says nothing",
    ),
)
"""keepalived 2.2, seen in 2.2.7."""

KEEPALIVED_2_4 = replace(
    KEEPALIVED_2_2,
    name="keepalived 2.4",
    # [source] another list is counted and logged, in version 2 too, and the message is processed
    version_2=replace(_KEEPALIVED_2, name="keepalived 2.4", address_mismatch=_W),
    version_3=replace(_KEEPALIVED_3, name="keepalived 2.4", address_mismatch=_W),
    # [source] old_unicast_checksum is found out by itself
    accept_checksum=ChecksumForm.PSEUDO_HEADER | ChecksumForm.MULTICAST_PSEUDO_HEADER,
    limits=(*KEEPALIVED_2_2.limits, "it was read and not run: what it has in common with 2.2 was seen there"),
)
"""keepalived 2.4, from its source of 2026."""

_FRR_BOTH: dict[str, Any] = {
    "trailing_bytes": _D,  # [live] "incorrect # addresses"
    "ones_checksum": _D,  # [live] checksum-ffff-for-zero: it compares with its own sum
    "address_mismatch": _I,  # [live] addresses-other: a line for who debugs
    "timer_step": 0.01,  # [live] "Skew Time 600 ms" with priority 100, in version 2 too
    "timer_wraps_at": 655.36,  # [live] 16 bits of centiseconds: reserved-15 makes it 251.88 s
    "answers_losing_advertisement": False,  # [source], [live] one-way
}
FRR_8_4 = Profile(
    name="FRR 8.4",
    version_2=replace(
        RFC3768,
        name="FRR 8.4",
        auth_types=(0,),  # [live] "Bad authentication type"
        no_addresses=_I,  # [live] no-addresses-v2: its least length is met by the authentication data
        **_FRR_BOTH,
    ),
    version_3=replace(
        RFC5798,
        name="FRR 8.4",
        no_addresses=_D,  # [live] no-addresses: "undersized"
        zero_interval=_I,  # [live] interval-0
        zero_interval_as=_AT_ONCE,  # [live] interval-0: "Master Down Interval 0 ms", and it is Active
        reserved_in_interval=True,  # [live] reserved-15: "Master Advertisement Interval 614500 ms"
        **_FRR_BOTH,
    ),
    send_checksum=ChecksumForm.PSEUDO_HEADER,  # [live] 8.4.4 has no other
    accept_checksum=ChecksumForm.PSEUDO_HEADER,  # [live] checksum-message-only
    accept_mode=True,  # [source] its default; it filters nothing
    announcements=ONCE,  # [live]
    most_priority=254,  # [live] the command line takes 1-254, and no other way makes it an owner
    limits=(
        "over IPv6 its first advertisement and announcement after a takeover do not reach the wire",
        "over IPv6 it yields to an empty message",
    ),
)
"""FRR 8.4, seen in 8.4.4."""

_HOLO_BOTH: dict[str, Any] = {
    "trailing_bytes": _D,  # [source] the length is exact
    "wrong_ttl": _I,  # [source] it never looks
    "wrong_type": _I,  # [source] the type is read and not used
    "most_addresses": 20,  # [source]
    "no_addresses": _I,  # [source]
    "interval_mismatch": _D,  # [source] in version 3 too
    "address_mismatch": _I,  # [source]
    "heard_by_owner": _I,  # [source] it looks at the destination alone
    "skew_per_interval": False,  # [source] the formula of version 3 has no interval either
    "skew_in_down_interval": False,  # [source] cut to whole seconds there, and so 0
    "answers_losing_advertisement": False,  # [source]
}
HOLO = Profile(
    name="holo",
    version_2=replace(
        RFC3768,
        name="holo",
        auth_types=tuple(range(256)),  # [source] read and ignored
        wrong_auth_type=_I,  # [source] read and ignored
        **_HOLO_BOTH,
    ),
    version_3=replace(
        RFC5798,
        name="holo",
        learns_interval=False,  # [source] what differs is discarded
        interval_scale=100.0,  # [source] centiseconds are run as seconds
        **_HOLO_BOTH,
    ),
    send_checksum=ChecksumForm.MESSAGE_ONLY,  # [source]
    accept_checksum=ChecksumForm.MESSAGE_ONLY,  # [source]
    limits=("options in an IPv4 header make it misread the message",),
)
"""holo, from its source of June 2026."""

_OS_KEN_BOTH: dict[str, Any] = {
    "longest_frame": 128,  # [source] recv(128): 21 IPv4 addresses in version 3, 19 in version 2, four of IPv6
    "no_addresses": _D,  # [live] no-addresses: it divides by their number
    "interval_mismatch": _I,  # [source] not looked at
    "address_mismatch": _I,  # [source] not looked at
    "heard_by_owner": _I,  # [source] not looked at
    "answers_losing_advertisement": False,  # [source]
}
OS_KEN = Profile(
    name="os-ken",
    version_2=replace(
        RFC3768,
        name="os-ken",
        trailing_bytes=_I,  # [live] trailing-4
        zero_interval_as=1.0,  # [source] not looked at, and not learned
        auth_types=(0,),  # [live] auth-simple-text
        **_OS_KEN_BOTH,
    ),
    version_3=replace(
        RFC5798,
        name="os-ken",
        trailing_bytes=_D,  # [live] trailing-4: it divides what is there by the number of addresses
        zero_interval=_I,  # [source] not looked at
        zero_interval_as=_AT_ONCE,  # [source] learned as 0.0
        **_OS_KEN_BOTH,
    ),
    limits=(
        "no addresses raise an exception instead of a discard",
        "a preempt delay is not cancelled by a higher priority in version 3",
    ),
)
"""os-ken's services.protocols.vrrp, from its source of June 2026."""

STRICT = Profile(
    name="strict",
    version_2=RFC3768,
    version_3=RFC9568,
    send_checksum=ChecksumForm.MESSAGE_ONLY,  # RFC 9568 5.2.8
    accept_checksum=ChecksumForm.MESSAGE_ONLY,  # RFC 9568 5.2.8
    accept_mode=False,  # RFC 9568 6.1
)
"""The RFCs' own defaults, as :meth:`vrrplib.RouterConfig.strict` has them."""

PROFILES: tuple[Profile, ...] = (KEEPALIVED_2_2, KEEPALIVED_2_4, FRR_8_4, HOLO, OS_KEN, STRICT)
"""All of them."""
