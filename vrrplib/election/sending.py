"""The advertisements of one Router: built, kept while nothing changes, and known again if they come back."""

from __future__ import annotations

import contextlib
import math

from vrrplib.election.actions import SendAdvertisement
from vrrplib.election.config import RouterConfig
from vrrplib.errors import ConfigError
from vrrplib.wire.addresses import group_address
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import Packet, VRRPv2, VRRPv3

TYPE_CHECKING = False  # typing is not loaded: see vrrplib/__init__.py
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from vrrplib.election.hearing import Hearing
    from vrrplib.wire.keys import Replay

Sent: TypeAlias = tuple[SendAdvertisement, ...]

_SINGLE_FORMS = tuple(ChecksumForm)
ANSWER_SPACING = 0.1
"""An Active router answers advertisements at most once in this part of its own interval; the first at once.

RFC 9568 6.4.3 answers each that loses, and every version each of priority 0: one bad host would make a storm.
"""
FORM_MEMORY = 10
"""Own intervals that a checksum form is remembered for: two forms on one LAN must not make ours flap."""


class Sender:
    """Makes what a Router sends: one advertisement for each destination and each version that it speaks."""

    def __init__(self, config: RouterConfig) -> None:
        self.config = config
        self._numbers = config.numbers_messages
        self._made_for: tuple[int, ChecksumForm] | None = None
        self._made: Sent = ()
        self._payloads: tuple[bytes, ...] = ()  # of what was made
        self._sent: tuple[bytes, ...] = ()
        self._sequence = 0
        self._heard_form: ChecksumForm | None = None
        self._heard_form_at = 0.0
        self._answered_at = -math.inf

    def change(self, config: RouterConfig) -> None:
        """Send by another configuration from now on."""
        self.config, self._numbers = config, config.numbers_messages
        self._made_for = None

    def advertisements(self, priority: int) -> Sent:
        """What would be sent now, but for the numbers of schemes that number messages."""
        form = self.config.send_checksum
        if form is None:
            form = self._heard_form or ChecksumForm.PSEUDO_HEADER
        if self._made_for != (priority, form):
            self._made, self._made_for = self._make(priority, form), (priority, form)
            self._payloads = () if self._numbers else _payloads(self._made)
        return self._made

    def send(self, priority: int, now: float, hearing: Hearing) -> Sent:
        """What is sent at ``now``; where messages are signed, it goes on from what was heard."""
        made = self.advertisements(priority)
        if self._numbers:
            unix_time, replay = hearing.unix_time(now), hearing.replay
            made = tuple([self._numbered(item, unix_time, replay) for item in made])
            self._sent = _payloads(made)
        else:
            self._sent = self._payloads
        return made

    def is_ours(self, datagram: Datagram) -> bool:
        """Whether this is what was sent last, come back."""
        return datagram.payload in self._sent and datagram.source == self.config.primary_address

    def heard(self, form: ChecksumForm | None, now: float) -> None:
        """Follow the form of a valid message, unless the one that is followed was heard not long ago."""
        if form not in _SINGLE_FORMS:
            return
        memory = FORM_MEMORY * self.config.advertisement_interval
        if form is self._heard_form or self._heard_form is None or now > self._heard_form_at + memory:
            self._heard_form, self._heard_form_at = form, now

    def may_answer(self, now: float) -> bool:
        """Whether an advertisement may be answered already; if so, it is taken to be."""
        if now < self._answered_at + ANSWER_SPACING * self.config.advertisement_interval:
            return False
        self._answered_at = now
        return True

    def _make(self, priority: int, form: ChecksumForm) -> Sent:
        config = self.config
        packets = [_packet(config, version, priority) for version in config.versions]
        return tuple(
            SendAdvertisement(packet, config.primary_address, destination, form, config.authentication)
            for destination in config.peers or (group_address(config.family),)
            for packet in packets
        )

    def _numbered(self, item: SendAdvertisement, unix_time: float, replay: Replay | None) -> SendAdvertisement:
        from vrrplib.wire.authentication import next_sequence  # noqa: PLC0415  # hashlib is slow to load
        from vrrplib.wire.keys import NOTHING_HEARD  # noqa: PLC0415

        assert item.scheme is not None
        # RFC 2402 3.3.2: an AH whose numbers are used up must not begin again; peers hear nothing more until the
        # key is changed
        with contextlib.suppress(ConfigError):
            self._sequence = next_sequence(item.scheme, self._sequence, replay or NOTHING_HEARD, time=unix_time)
        return SendAdvertisement(item.packet, item.source, item.destination, item.form, item.scheme, self._sequence)


def _packet(config: RouterConfig, version: int, priority: int) -> Packet:
    head: dict[str, Any] = {"vrid": config.vrid, "priority": priority, "addresses": config.ips}
    if version == 2:
        # beside version 3, at its rate: whole seconds, and not 0 (RFC 9568 8.4.2 leaves the value open)
        seconds = max(1, int(config.advertisement_interval + 1e-6))
        return VRRPv2(**head, advertisement_interval=seconds)
    # always our own interval, never the learned one: RFC 9568 5.2.7
    return VRRPv3(**head, max_advertise_interval=config.wire_interval)


def _payloads(made: Sent) -> tuple[bytes, ...]:
    return tuple([item.datagram().payload for item in made])
