"""What four RFCs ask of a VRRP router, as data: docs/requirements.md is made of it.

``python -m tests.requirements > docs/requirements.md``. The rules are in our own words; a clause names where the
RFC's are. tests/test_requirements.py holds the table, the document, the code and the tests to each other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

RFCS = (2338, 3768, 5798, 9568)
LEVELS = (
    "MUST",
    "MUST NOT",
    "must",
    "SHOULD",
    "SHOULD NOT",
    "should",
    "should not",
    "RECOMMENDED",
    "NOT RECOMMENDED",
    "defines",
)
"""As the RFC writes the word; ``defines`` is what a rule elsewhere relies on, and asks for nothing by itself."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One place in one RFC, and how strongly it speaks there."""

    rfc: int
    section: str
    level: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """One rule, of one RFC or of several.

    ``where`` names what implements it, ``module:name`` below ``vrrplib``; empty: nothing does, and ``but`` says
    why. With both, ``but`` says what is left out or different. ``obeys`` and ``violates`` are pytest node ids below
    ``tests/``: the rule kept, and somebody who breaks it or would have us break it. ``untested`` says why there is
    none of one kind, or of both.
    """

    rule: str
    clauses: tuple[Clause, ...]
    where: tuple[str, ...] = ()
    but: str = ""
    obeys: tuple[str, ...] = ()
    violates: tuple[str, ...] = ()
    untested: str = ""


def clauses(level: str, text: str) -> tuple[Clause, ...]:
    """``"2338/3768 5.2.3; 9568 erratum 8300; 5798 8.1.2=should"``: RFCs, sections, the level where it differs."""
    found = []
    for part in text.split("; "):
        places, _, other = part.partition("=")
        rfcs, *sections = re.split("(?<!erratum) ", places)
        found += [Clause(int(rfc), section, other or level) for rfc in rfcs.split("/") for section in sections]
    return tuple(found)


def asks(
    level: str,
    places: str,
    rule: str,
    *,
    where: str = "",
    but: str = "",
    obeys: Iterable[str] = (),
    violates: Iterable[str] = (),
    untested: str = "",
) -> Requirement:
    """A row; ``where`` has its names separated by spaces."""
    return Requirement(
        rule, clauses(level, places), tuple(where.split()), but, tuple(obeys), tuple(violates), untested
    )


CASE = "election/test_cases.py::test_the_router_does_what_the_case_says"
TIMING = "election/test_cases.py::test_the_timers_of_the_case_are_exact"
MATRIX = "election/test_router.py::test_the_router_does_what_the_matrix_says"
VECTOR = "wire/test_packets.py::test_a_vector_passes_or_is_discarded_as_the_oracle_says"
SHORT = {CASE: "", TIMING: "", VECTOR: "", MATRIX: "matrix"}
"""Tests of many parameters, and what the document calls them beside the parameter."""


def case(*names: str) -> tuple[str, ...]:
    return tuple(f"{CASE}[{name}]" for name in names)


def timing(*names: str) -> tuple[str, ...]:
    return tuple(f"{TIMING}[{name}]" for name in names)


def cell(state: str, *events: str) -> tuple[str, ...]:
    return tuple(f"{MATRIX}[{state}-{event}]" for event in events)


def vector(*names: str) -> tuple[str, ...]:
    return tuple(f"{VECTOR}[{name}]" for name in names)


def tests(path: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{path}.py::test_{name}" for name in names)


def router(*names: str) -> tuple[str, ...]:
    return tests("election/test_router", *names)


def packets(*names: str) -> tuple[str, ...]:
    return tests("wire/test_packets", *names)


def macvlan(*names: str) -> tuple[str, ...]:
    return tests("backends/test_macvlan", *names)


SENDER = "a sender's rule, and nothing that a Router or RouterConfig can be told breaks it"
OPERATOR = "it is the operator's: no router sees it"
THE_KERNEL = "the kernel does it, and nothing of ours has a part in it"
A_WALK = tests("linux/test_observer", "the_whole_way_through_a_failover")
SILENT = tests("linux/test_silence", "a_backup_neither_answers_nor_forwards")
BAD = router("a_bad_message_is_discarded_counted_and_changes_nothing")
NO_ACCEPT = tests("linux/test_no_accept", "a_router_that_accepts_nothing_forwards_and_answers_discovery")
NOTHING_ACCEPTED = "backends.accepting:input_drop backends.operations:AddInputDrop"
PLAN = "backends.macvlan:MacvlanBackend.plan"
CHECKS = "wire.packets:_checks"
SCREEN = "election.hearing:Hearing.screen"
SENT = "election.sending:Sender.advertisements"

IP_HEADER = (
    asks(
        "MUST",
        "2338/3768 5.2.3; 5798/9568 5.1.1.3 5.1.2.3",
        "Advertisements leave with a TTL or hop limit of 255.",
        where="election.actions:SendAdvertisement.datagram wire.frames:advertisement_frame",
        obeys=router("what_is_sent_is_a_datagram_with_ttl_255_that_another_router_hears")
        + tests("election/test_actions", "an_advertisement_becomes_a_datagram_with_ttl_255"),
        untested=f"violates: {SENDER}; a fuzzer sends others by `wire.frames`",
    ),
    asks(
        "MUST",
        "2338/3768 5.2.3 7.1; 5798/9568 5.1.1.3 5.1.2.3 7.1",
        "What arrives with any other TTL or hop limit is discarded.",
        where="election.hearing:Hearing._check_way",
        but="between unicast peers, which no RFC knows, `least_peer_ttl` may be less; its default is 255",
        obeys=router("a_ttl_or_hop_limit_below_255_is_discarded_in_every_version"),
        violates=case("T53") + router("only_peers_are_heard_and_from_not_too_far"),
    ),
    asks(
        "MUST NOT",
        "2338/3768 5.2.2; 5798/9568 5.1.1.2 5.1.2.2",
        "Nothing that is sent to the VRRP group is forwarded.",
        but="it is the kernel's, which forwards no group whose scope is the link; we forward nothing",
        untested=THE_KERNEL,
    ),
)

FIELDS = (
    asks(
        "MUST",
        "2338/3768 5.3.1 7.1; 5798/9568 5.2.1 7.1",
        "A message of another version than that of the virtual router is discarded.",
        where=f"{CHECKS} {SCREEN}",
        obeys=vector("P12a", "P01"),
        violates=vector("N03") + case("T61") + router("without_also_version_2_is_discarded"),
    ),
    asks(
        "MUST",
        "2338/3768 5.3.2; 5798/9568 5.2.2; 9568 7.1",
        "A message of another type than 1 is discarded.",
        where=CHECKS,
        obeys=vector("P12a"),
        violates=vector("N02") + BAD,
    ),
    asks(
        "MUST",
        "2338/3768 5.3.3 7.1; 5798/9568 5.2.3 7.1; 9568 erratum 8298",
        "A message whose VRID is not configured on the interface is discarded.",
        where=f"{SCREEN} {CHECKS} node:Node",
        obeys=cell("backup", "higher"),
        violates=cell("backup", "other vrid")
        + vector("N07")
        + tests("test_node_frames", "what_belongs_to_nobody_is_counted")
        + tests(
            "election/test_scenarios",
            "h_s8_a_second_virtual_router_begins_in_initialize_and_leaves_the_first_alone",
        ),
    ),
    asks(
        "MUST",
        "2338/3768 5.3.4; 5798/9568 5.2.4",
        "Who owns the addresses has priority 255.",
        where="election.router:Router._startup election.tracking:Tracker.priority",
        but="in part: only the operator knows whose the addresses are; that RouterConfig takes another "
        "priority even where the primary address is a virtual one is a known failure",
        obeys=case("T18") + tests("election/test_config", "an_owner_may_send_from_a_virtual_address"),
        violates=router("who_sends_from_a_virtual_address_owns_it_and_cannot_have_another_priority")
        + macvlan("an_address_of_the_parent_is_refused"),
    ),
    asks(
        "MUST",
        "2338/3768 5.3.4; 5798/9568 5.2.4",
        "Who backs them up has a priority from 1 to 254; 0 is kept for leaving.",
        where="election.config:RouterConfig.__post_init__ election.router:Router._change_priority",
        but="255 is taken at the operator's word",
        obeys=case("T22"),
        violates=router("a_priority_outside_1_to_255_changes_nothing")
        + tests("election/test_config", "what_is_not_allowed_is_refused_with_the_field_the_value_and_the_range"),
    ),
    asks(
        "MUST",
        "9568 5.2.5 erratum 8299; 2338/3768 5.3.5=defines; 5798 5.2.5=defines",
        "A message without addresses is discarded. (RFC 5798 names 1 as the least, version 2 no least number.)",
        where=f"{CHECKS} rules:Rules",
        obeys=packets("from_one_address_to_255_all_are_read") + vector("P10"),
        violates=case("T58") + vector("N05"),
    ),
    asks(
        "MUST",
        "5798/9568 5.2.6",
        "The four reserved bits are sent as 0, and not looked at when they arrive.",
        where=f"wire.messages:VRRPv3 wire.packets:_read {SENT}",
        obeys=router("no_reserved_bit_is_ever_sent_and_none_that_is_heard_matters"),
        violates=packets("reserved_bits_are_noted_and_kept")
        + vector("P17a", "P17b")
        + router("reserved_bits_leak_into_the_interval_only_where_the_rules_say_so"),
    ),
    asks(
        "MUST",
        "9568 erratum 8301",
        "An interval of 0 is discarded.",
        where=SCREEN,
        but="under every rule set, also those of RFCs that do not say so: learned, it would promote without end",
        obeys=tests("election/test_config", "an_interval_has_whole_units_on_the_wire"),
        violates=case("T59") + vector("N06"),
    ),
    asks(
        "MUST",
        "2338/3768 5.3.8 7.1 7.2; 9568 5.2.8 7.1 7.2",
        "The checksum is computed when sending, and discards when it is wrong: over IPv4 it covers the "
        "message alone.",
        where="wire.checksum:internet_checksum wire.packets:_Checksum.judge",
        but="VRRPv3 over IPv4 is sent with a pseudo-header, and heard with or without one, by default: "
        "keepalived and FRR discard anything else. `RouterConfig.strict` has the RFC's form "
        "([rfc-notes](rfc-notes.md))",
        obeys=vector("P01", "P11a", "P21")
        + router("the_checksum_has_the_configured_form")
        + packets("version_2_is_judged_over_the_message_whatever_is_accepted"),
        violates=vector("N01") + router("a_form_that_is_not_accepted_is_discarded"),
    ),
    asks(
        "MUST",
        "5798 5.2.8 7.1 7.2; 9568 5.2.8",
        "Over IPv6 the checksum covers a pseudo-header too (RFC 5798: in either family).",
        where="wire.checksum:pseudo_header_sum wire.packets:_Checksum.judge",
        but="what that pseudo-header is over IPv4, RFC 5798 leaves open: ours is IPv4's own, as all others have it",
        obeys=vector("P11b", "P25"),
        violates=packets(
            "ipv6_is_judged_with_its_pseudo_header_whatever_is_accepted", "one_flipped_bit_is_always_found"
        ),
    ),
    asks(
        "MUST",
        "9568 5.2.9; 5798 5.2.9=must",
        "Over IPv6 the first address is the virtual router's link-local one.",
        where="election.config:RouterConfig._check_addresses",
        obeys=case("T19"),
        violates=tests(
            "election/test_config", "what_is_not_allowed_is_refused_with_the_field_the_value_and_the_range"
        ),
    ),
    asks(
        "MUST",
        "9568 erratum 8300",
        "A message over IPv6 whose first address is not link-local is discarded.",
        where="wire.packets:_address_checks",
        obeys=vector("P25", "P26"),
        violates=case("T60") + vector("P33"),
    ),
    asks(
        "MUST",
        "9568 5.2.9; 5798 5.2.9=MUST NOT; 2338/3768 5.3.9=defines",
        "All addresses are of one family, that of the packet that carries them.",
        where="wire.messages:_to_addresses election.config:RouterConfig._check_address",
        but="of what arrives it cannot be told: the family of the packet decides how the bytes are read",
        obeys=vector("P18a", "P32"),
        violates=tests(
            "election/test_config", "what_is_not_allowed_is_refused_with_the_field_the_value_and_the_range"
        )
        + tests("wire/test_messages", "encode_refuses_addresses_of_another_family"),
    ),
    asks(
        "RECOMMENDED",
        "9568 5.2.9",
        "All routers list the addresses in the same order.",
        where="election.hearing:_same",
        but="the order is the operator's; another one than ours is no other list",
        obeys=router("the_order_of_the_address_list_does_not_matter"),
        violates=router("an_address_that_is_listed_twice_is_another_list"),
    ),
)

AUTHENTICATION = (
    asks(
        "MUST",
        "2338/3768 5.3.6 7.1",
        "An authentication type that is unknown, or not the configured one, is discarded.",
        where=f"{SCREEN} wire.packets:_authentication_checks",
        obeys=tests("election/test_hearing", "what_is_signed_with_the_key_is_heard"),
        violates=router("version_2_authentication_is_not_configured_and_so_discarded")
        + packets("version_2_knows_three_kinds_of_authentication")
        + tests("election/test_hearing", "what_is_not_is_discarded_and_changes_nothing"),
    ),
    asks(
        "MUST",
        "2338/3768 7.1",
        "What does not pass the configured authentication is discarded.",
        where="election.hearing:Hearing._authenticate wire.authentication:verify",
        obeys=tests("election/test_hearing", "what_is_signed_with_the_key_is_heard"),
        violates=tests(
            "election/test_hearing", "what_is_not_is_discarded_and_changes_nothing", "a_replay_is_discarded"
        ),
    ),
    asks(
        "MUST",
        "2338 5.3.10",
        "A password is left-aligned in its eight bytes, and the rest is zero; all eight are compared.",
        where="wire.authentication:SimpleText wire.authentication:verify",
        obeys=tests("wire/test_authentication", "simple_text_of_the_oracle_verifies") + vector("P05"),
        violates=tests(
            "wire/test_authentication",
            "simple_text_is_padded_with_zeros_and_all_eight_bytes_count",
            "simple_text_that_is_cut_short_is_not_the_key",
        ),
    ),
    asks(
        "MUST",
        "2338 5.3.6",
        "With type 2, a message without an Authentication Header, or with a wrong one, is discarded.",
        where="wire.ah:verify_ah",
        obeys=tests("wire/test_ah", "every_frame_of_keepalived_verifies_in_turn_and_is_built_again_to_the_byte"),
        violates=tests(
            "wire/test_ah",
            "without_a_header_that_is_this_packets_own_it_is_no_ah",
            "another_key_is_found",
            "every_flipped_bit_is_found_but_in_what_is_mutable",
        ),
    ),
    asks(
        "SHOULD",
        "3768 5.3.10; 2338 5.3.10=should",
        "Without authentication the eight bytes are sent as zero, and not looked at when they arrive.",
        where=f"{SENT} wire.messages:VRRPv2",
        obeys=router("version_2_without_authentication_sends_zeros_and_ignores_what_it_hears"),
        violates=packets("what_no_rule_discards_and_is_odd_is_a_note"),
    ),
)

PARAMETERS = (
    asks(
        "defines",
        "2338 6.1.2; 3768 6.1",
        "Version 2: Skew_Time is (256 - priority) / 256 of a second, whatever the interval; the down interval "
        "is three intervals and the skew.",
        where="election.timers:skew_time election.timers:active_down_interval rules:Rules.skew_time",
        obeys=timing("T01", "T02", "T03", "T04", "T05", "T06"),
        violates=case("T27")
        + tests("election/test_timers", "the_skew_of_version_2_is_below_a_second_whatever_the_interval"),
    ),
    asks(
        "defines",
        "5798/9568 6.1",
        "Version 3: Skew_Time is (256 - priority) / 256 of the learned interval; the down interval is three "
        "of these and the skew.",
        where="election.timers:skew_time election.timers:active_down_interval rules:Rules.skew_time",
        obeys=timing("T07", "T08", "T09", "T10", "T11", "T12", "T13", "T14", "T15", "T16", "T17"),
        violates=router("timers_are_cut_to_steps_only_where_the_rules_say_so")
        + tests("election/test_timers", "what_is_not_allowed_is_refused_by_name"),
    ),
    asks(
        "defines",
        "2338/3768 5.3.7; 2338 6.1.2; 3768 6.1; 5798/9568 5.2.7 6.1; 9568 erratum 8301",
        "The interval is 1 to 255 s in version 2, 1 to 4095 cs in version 3, by default one second; what is "
        "advertised is always one's own.",
        where="election.config:RouterConfig._check_interval election.sending:_packet",
        obeys=tests("election/test_config", "an_interval_has_whole_units_on_the_wire")
        + router("an_advertisement_carries_our_own_interval_never_the_learned_one"),
        violates=tests(
            "election/test_config",
            "an_interval_that_version_3_cannot_send_is_refused",
            "an_interval_that_version_2_cannot_send_is_refused",
        ),
    ),
    asks(
        "defines",
        "2338 6.1.2; 3768 6.1; 5798/9568 6.1",
        "Preempt_Mode is on by default, and an owner preempts whatever it says.",
        where="election.router:Router._heard_in_backup",
        but="`preempt_delay`, RFC 8347's hold-time, is no parameter of these RFCs; it is 0 by default",
        obeys=tests("election/test_config", "the_defaults_are_those_of_linux_daemons") + case("T29"),
        violates=router("an_owner_that_is_backup_preempts_whatever_preempt_mode_says") + case("T30"),
    ),
    asks(
        "defines",
        "5798/9568 6.1",
        "Accept_Mode is off by default.",
        but="ours is on, as in every Linux daemon; `RouterConfig.strict` has it off ([rfc-notes](rfc-notes.md))",
        obeys=tests("election/test_config", "strict_has_the_defaults_of_rfc_9568_and_takes_others"),
        violates=tests("election/test_config", "the_defaults_are_those_of_linux_daemons"),
    ),
    asks(
        "MUST NOT",
        "5798/9568 6.1 6.4.3",
        "Accept_Mode off must not keep neighbour solicitations and advertisements out.",
        where=NOTHING_ACCEPTED,
        obeys=NO_ACCEPT,
        violates=tests("backends/test_netlink_filters", "discovery_is_let_in_before_anything_is_dropped"),
    ),
)

INITIALIZE = (
    asks(
        "MUST",
        "2338/3768 6.4.1; 5798/9568 6.4.1",
        "Startup with priority 255: advertise, announce each address, Adver_Timer at one interval, Active.",
        where="election.router:Router._startup election.router:Router._promote",
        but="`startup_delay`, ours and off by default, makes an owner wait",
        obeys=case("T18", "T19"),
        violates=case("T20", "T21"),
    ),
    asks(
        "MUST",
        "2338/3768 6.4.1; 5798/9568 6.4.1",
        "Startup with any other priority: nothing is sent, the learned interval is one's own, the down timer "
        "is set, Backup.",
        where="election.router:Router._startup",
        obeys=case("T20", "T21") + cell("initialize", "startup"),
        violates=case("T62") + cell("initialize", "higher", "timer due", "shutdown"),
    ),
    asks(
        "MUST",
        "9568 erratum 7947 erratum 7949; 2338/3768 6.4.1 6.4.2; 5798/9568 6.4.1 6.4.2",
        "A gratuitous ARP is about the virtual address and names the virtual MAC.",
        where="wire.frames:announcement_frame",
        obeys=tests(
            "wire/test_frames", "a_gratuitous_arp_is_the_oracles_in_each_style", "the_rfcs_style_is_the_default"
        ),
        violates=tests("wire/test_announcements", "arp_of_another_kind_claims_nothing"),
    ),
    asks(
        "MUST",
        "5798/9568 6.4.1 6.4.2",
        "An unsolicited neighbour advertisement has R and O set and S clear, the address as its target and "
        "the virtual MAC in its option.",
        where="wire.frames:announcement_frame",
        obeys=case("T19") + tests("wire/test_frames", "an_unsolicited_na_is_the_oracles_in_every_other_style"),
        violates=tests("wire/test_announcements", "a_na_that_a_host_discards_claims_nothing"),
    ),
)

BACKUP = (
    asks(
        "MUST NOT",
        "2338/3768 6.4.2; 5798/9568 6.4.2",
        "A Backup does not answer ARP requests, nor in version 3 neighbour solicitations, for the virtual "
        "addresses.",
        where=PLAN,
        but="with any backend: the host has the addresses only while Active",
        obeys=tests("linux/test_silence", "no_frame_from_the_virtual_mac_but_while_active")
        + macvlan("the_link_is_born_inert_and_silenced_before_it_is_up"),
        violates=SILENT + tests("linux/test_silence", "nothing_from_the_virtual_mac_after_a_crash_is_cleaned_up"),
    ),
    asks(
        "MUST NOT",
        "5798/9568 6.4.2",
        "A Backup sends no Router Advertisements for the virtual router.",
        where="wire.frames:announcement_frame",
        but="there is nothing that could: we send none in any state",
        obeys=tests("linux/test_silence", "no_frame_from_the_virtual_mac_but_while_active"),
        violates=macvlan("ipv6_is_off_until_active"),
    ),
    asks(
        "MUST",
        "2338/3768 6.4.2; 5798/9568 6.4.2",
        "A Backup discards frames to the virtual MAC.",
        where=PLAN,
        but="not with `AnnounceBackend`, which has no virtual MAC",
        obeys=macvlan("the_link_is_born_inert_and_silenced_before_it_is_up"),
        violates=SILENT,
    ),
    asks(
        "MUST NOT",
        "2338/3768 6.4.2; 5798/9568 6.4.2",
        "A Backup does not accept packets to the virtual addresses.",
        where=PLAN,
        obeys=tests("backends/test_base", "a_life_leaves_the_host_as_it_was"),
        violates=SILENT,
    ),
    asks(
        "MUST",
        "2338/3768 6.4.2; 5798/9568 6.4.2",
        "Shutdown: the down timer is cancelled, nothing is sent, Initialize.",
        where="election.router:Router._shutdown",
        obeys=case("T33"),
        violates=cell("backup, resigned", "shutdown", "host lost"),
    ),
    asks(
        "MUST",
        "2338/3768 6.4.2; 5798/9568 6.4.2",
        "The down timer fires: advertise, announce each address (over IPv6 after joining its solicited-node "
        "group), Adver_Timer at one's own interval, Active.",
        where="election.router:Router._promote",
        but="the host is changed first, so that a takeover which it refuses is not advertised; in a sync "
        "group, which no RFC knows, a held router waits",
        obeys=case("T22", "T23", "T24") + cell("backup", "timer due"),
        violates=cell("backup", "timer early")
        + tests("test_node", "a_takeover_that_the_host_refuses_is_not_advertised"),
    ),
    asks(
        "MUST",
        "2338/3768 6.4.2; 5798/9568 6.4.2",
        "Priority 0 is heard: the down timer becomes Skew_Time, before Preempt_Mode is asked; the interval in "
        "it is not learned.",
        where="election.router:Router._heard_in_backup",
        obeys=case("T25", "T27", "T31"),
        violates=case("T26"),
    ),
    asks(
        "MUST",
        "2338/3768 6.4.2; 5798/9568 6.4.2",
        "At least our priority is heard, or anything while Preempt_Mode is off: version 3 learns the interval "
        "and computes skew and down interval anew; the down timer is set to that.",
        where="election.router:Router._heard_in_backup election.router:Router._follow",
        but="RFC 5798 does not list the skew; a stale one makes no sense, and RFC 9568 lists it",
        obeys=case("T24", "T28", "T30", "T32", "T34"),
        violates=case("T54"),
    ),
    asks(
        "MUST",
        "2338/3768 6.4.2; 5798/9568 6.4.2",
        "A lower priority than ours is heard while Preempt_Mode is on: it is discarded, and the timer runs on.",
        where="election.router:Router._heard_in_backup",
        but="with `preempt_delay` it is followed until the delay is over",
        obeys=case("T29", "T65"),
        violates=case("T30", "T66")
        + router("a_lower_active_is_let_be_for_the_preempt_delay_and_then_replaced_at_once"),
    ),
)

ACTIVE = (
    asks(
        "MUST",
        "2338/3768 6.4.3 8.2; 5798/9568 6.4.3 8.1.2",
        "An Active router answers ARP requests for the virtual addresses, with the virtual MAC.",
        where=PLAN,
        but="the kernel answers, for the addresses are on a link with that MAC; not with `AnnounceBackend`, "
        "which has no virtual MAC",
        obeys=A_WALK + macvlan("ipv4_adds_the_addresses_then_goes_live"),
        violates=tests("linux/test_observer", "sysctls_of_the_operator_do_not_spoil_it"),
    ),
    asks(
        "MUST",
        "5798/9568 6.4.3",
        "It is a member of the solicited-node groups of its addresses.",
        where=PLAN,
        but="the kernel joins when the address is added, and leaves when it goes",
        obeys=A_WALK + macvlan("ipv6_is_off_until_active"),
        untested="violates: the kernel cannot hold an address without its group",
    ),
    asks(
        "MUST",
        "5798/9568 6.4.3 8.2.2",
        "It answers neighbour solicitations for them, with the virtual MAC (RFC 9568: and the router flag).",
        where=PLAN,
        but="the kernel answers, and sets the flag where the host forwards IPv6: the link forwards as its "
        "parent does",
        obeys=A_WALK + macvlan("the_link_forwards_as_its_parent_does"),
        violates=tests("linux/test_observer", "sysctls_of_the_operator_do_not_spoil_it"),
    ),
    asks(
        "MUST",
        "5798/9568 6.4.3",
        "It sends Router Advertisements for the virtual router.",
        but="on a Linux router that is radvd's work, which follows the state that `vrrplib run --json` prints "
        "([rfc-notes](rfc-notes.md))",
        untested="nothing of ours sends any",
    ),
    asks(
        "MUST",
        "2338/3768 6.4.3; 5798/9568 6.4.3",
        "It forwards packets whose Ethernet destination is the virtual MAC.",
        where="backends.macvlan:_forwarding",
        but="the kernel forwards, if the operator has it forward on the parent",
        obeys=SILENT + macvlan("the_link_forwards_as_its_parent_does"),
        violates=tests("linux/test_observer", "sysctls_of_the_operator_do_not_spoil_it"),
    ),
    asks(
        "MUST",
        "2338/3768 6.4.3; 5798/9568 6.4.3",
        "It accepts packets to the virtual addresses if it owns them, or in version 3 if Accept_Mode is on.",
        where=f"{PLAN} {NOTHING_ACCEPTED}",
        obeys=tests("linux/test_no_accept", "a_router_that_accepts", "an_owner_accepts"),
        violates=tests("backends/test_accepting", "an_owner_accepts_whatever_the_mode"),
    ),
    asks(
        "MUST NOT",
        "2338/3768 6.4.3; 5798/9568 6.4.3",
        "Otherwise it does not accept them.",
        where=NOTHING_ACCEPTED,
        but="on is the default. In version 2, which has no such mode, they are accepted too, as by every Linux "
        "daemon, unless `accept_mode` is off",
        obeys=NO_ACCEPT,
        violates=tests("linux/test_no_accept", "after_a_crash_nothing_is_accepted_until_it_is_cleaned_up")
        + tests("election/test_config", "the_defaults_are_those_of_linux_daemons"),
    ),
    asks(
        "MUST",
        "2338/3768 6.4.3; 5798/9568 6.4.3",
        "Shutdown: Adver_Timer is cancelled, one advertisement of priority 0, Initialize.",
        where="election.router:Router._shutdown",
        but="a host that is lost says nothing, for it keeps nothing: `Shutdown(resign=False)`",
        obeys=case("T48", "T63"),
        violates=cell("active", "host lost")
        + tests("test_node", "an_interface_lost_while_active_is_left_without_resigning"),
    ),
    asks(
        "MUST",
        "2338/3768 6.4.3; 5798/9568 6.4.3",
        "Adver_Timer fires: advertise, and again after one's own interval.",
        where="election.router:Router._active_timers",
        but="the cadence is kept: a late one does not move the next, and those that were missed are not made "
        "up for",
        obeys=case("T35") + router("the_cadence_does_not_drift_when_each_call_is_a_little_late"),
        violates=router("after_a_pause_one_advertisement_is_sent_and_the_cadence_kept")
        + cell("active", "timer early"),
    ),
    asks(
        "MUST",
        "2338/3768 6.4.3; 5798/9568 6.4.3",
        "Priority 0 is heard: advertise at once, and Adver_Timer anew.",
        where="election.router:Router._heard_in_active",
        but="at most once each tenth of the interval ([rfc-notes](rfc-notes.md))",
        obeys=case("T36"),
        violates=router("a_flood_of_priority_0_gives_ten_answers_in_an_interval_and_does_not_silence_us"),
    ),
    asks(
        "MUST",
        "2338/3768 6.4.3; 5798/9568 6.4.3",
        "A higher priority is heard, or ours from a higher address: Adver_Timer is cancelled, version 3 "
        "learns the interval, the down timer is set, Backup. Preempt_Mode is not asked.",
        where="election.router:Router._heard_in_active election.router:Router._step_down",
        obeys=case("T37", "T38", "T39", "T47"),
        violates=case("T40", "T42"),
    ),
    asks(
        "MUST",
        "9568 6.4.3; 2338/3768 6.4.3=defines; 5798 6.4.3=defines",
        "Addresses are compared as unsigned numbers in network byte order.",
        where="election.router:Router._heard_in_active",
        obeys=case("T39"),
        violates=case("T43", "T44", "T45"),
    ),
    asks(
        "MUST",
        "2338/3768 6.4.3; 5798/9568 6.4.3",
        "Anything else that is heard is discarded, and Active it remains.",
        where="election.router:Router._heard_in_active",
        obeys=case("T40", "T42"),
        violates=cell("active", "lower", "equal, lower address", "equal, same address"),
    ),
    asks(
        "MUST",
        "9568 6.4.3",
        "It is also answered with an advertisement, at once; Adver_Timer is not set anew.",
        where="election.router:Router._heard_in_active election.sending:Sender.may_answer",
        but="at most once each tenth of the interval, and never a rival of our own address "
        "([rfc-notes](rfc-notes.md))",
        obeys=case("T41", "T42"),
        violates=router("losing_advertisements_are_answered_at_most_once_in_a_part_of_the_interval") + case("T46"),
    ),
)

RECEIVING = (
    asks(
        "MUST",
        "3768 7.1; 5798/9568 7.1",
        "A message that is not whole is discarded: head, all addresses, and in version 2 the authentication data.",
        where="wire.packets:_missing",
        obeys=vector("P01", "P12a", "P25"),
        violates=vector("N04", "N08", "N09"),
    ),
    asks(
        "MUST",
        "2338 7.1",
        "A message shorter than the head is discarded.",
        where="wire.packets:_inspect_in_full",
        obeys=vector("P01"),
        violates=vector("N09") + packets("fewer_than_eight_bytes_are_truncated"),
    ),
    asks(
        "MUST",
        "3768 7.1; 5798/9568 7.1",
        "An address owner discards all that it hears. (Not in RFC 2338, and with erratum 8298 no longer.)",
        where=SCREEN,
        obeys=cell("backup", "higher"),
        violates=case("T49", "T51", "T52"),
    ),
    asks(
        "SHOULD",
        "9568 erratum 8298",
        "An address owner logs that it hears another router of its VRID, and goes on with the message.",
        where=SCREEN,
        obeys=case("T50", "T51"),
        violates=case("T49"),
    ),
    asks(
        "MUST",
        "2338/3768 7.1",
        "Another interval than ours is discarded.",
        where=SCREEN,
        obeys=case("T38"),
        violates=case("T54") + tests("election/test_scenarios", "h_s6_another_interval_is_an_error_in_version_2"),
    ),
    asks(
        "SHOULD",
        "9568 7.1",
        "Another interval than ours is logged; the message is processed.",
        where=SCREEN,
        obeys=cell("backup", "higher"),
        violates=case("T24", "T29", "T55"),
    ),
    asks(
        "MUST",
        "2338/3768 7.1",
        "If address lists are compared, which they may be, another list is discarded unless its priority is 255.",
        where=SCREEN,
        obeys=router("the_order_of_the_address_list_does_not_matter"),
        violates=case("T56"),
    ),
    asks(
        "SHOULD",
        "2338/3768 7.1; 5798/9568 7.1",
        "If they are compared, another list is logged.",
        where=SCREEN,
        obeys=router("the_order_of_the_address_list_does_not_matter"),
        violates=case("T56", "T57"),
    ),
    asks(
        "MUST",
        "2338/3768 7.1; 5798/9568 7.1",
        "What fails a check is discarded: nothing in the router changes.",
        where="election.router:Router._discard",
        obeys=cell("backup", "higher"),
        violates=BAD + tests("test_node_frames", "garbage_never_raises_and_never_changes_the_state"),
    ),
    asks(
        "SHOULD",
        "2338/3768 7.1; 5798/9568 7.1",
        "What fails a check is logged (RFC 9568: and not without bound).",
        where="election.actions:Discarded election.actions:Warned node:Node",
        but="a Router reports every one; a Node passes on one each ten seconds for each reason, with how many "
        "there were",
        obeys=router("an_advertisement_that_merely_loses_is_no_report"),
        violates=BAD + tests("test_node_frames", "discards_are_told_at_most_every_ten_seconds_for_each_reason"),
    ),
)

SENDING = (
    asks(
        "MUST",
        "2338/3768 7.2; 5798/9568 7.2",
        "An advertisement says what is configured.",
        where="election.sending:_packet",
        obeys=router("what_is_sent_carries_the_configuration_and_a_checksum_that_is_right"),
        violates=router(
            "an_unchanged_advertisement_is_the_same_object",
            "an_advertisement_carries_our_own_interval_never_the_learned_one",
        ),
    ),
    asks(
        "MUST",
        "2338/3768 7.2; 5798/9568 7.2",
        "Its Ethernet source is the virtual MAC.",
        where="member:Member.encode backends.base:NetBackend.advertisement_mac",
        but="not with `AnnounceBackend`, which has no virtual MAC",
        obeys=tests("test_node_frames", "the_frame_follows_the_backends_mac") + A_WALK,
        violates=tests("linux/test_silence", "no_frame_from_the_virtual_mac_but_while_active"),
    ),
    asks(
        "MUST",
        "2338/3768 5.2.1 7.2; 5798/9568 5.1.1.1 5.1.2.1 7.2",
        "Its IP source is the interface's primary IPv4 address, or its link-local IPv6 address.",
        where="election.config:RouterConfig._check_addresses cli.options:choose_source",
        obeys=router("what_is_sent_carries_the_configuration_and_a_checksum_that_is_right")
        + tests("backends/test_netlink", "primary_address"),
        violates=tests(
            "election/test_config", "what_is_not_allowed_is_refused_with_the_field_the_value_and_the_range"
        )
        + tests("cli/test_run", "an_interface_without_an_address_to_send_from"),
    ),
    asks(
        "MUST",
        "2338/3768 7.2; 5798/9568 7.2",
        "It goes to the VRRP group of its family, as IP protocol 112.",
        where=f"{SENT} wire.frames:advertisement_frame wire.addresses:group_address",
        but="`peers`, which no RFC knows, are sent to instead",
        obeys=router("what_is_sent_carries_the_configuration_and_a_checksum_that_is_right")
        + tests("wire/test_addresses", "each_family_has_its_group_and_the_groups_mac")
        + tests("wire/test_frames", "an_ipv4_advertisement_is_what_dpkt_reads"),
        violates=router("each_peer_gets_an_advertisement_of_its_own_checksum")
        + tests("wire/test_parsing", "other_protocols_are_not_ours"),
    ),
    asks(
        "defines",
        "2338/3768 7.3; 5798/9568 7.3",
        "The virtual MAC is 00-00-5E-00-01 over IPv4, 00-00-5E-00-02 over IPv6, and the VRID.",
        where="wire.addresses:virtual_mac",
        obeys=tests("wire/test_addresses", "a_virtual_mac_is_the_prefix_of_its_family_and_the_vrid"),
        violates=tests("wire/test_addresses", "a_vrid_outside_1_to_255_has_no_virtual_mac"),
    ),
    asks(
        "MUST NOT",
        "5798/9568 7.4",
        "No interface identifier is made of the virtual MAC.",
        where=PLAN,
        but="in part: `MacSwapBackend` leaves `addr_gen_mode` alone, and of a prefix that a Router Advertisement "
        "first names while it is Active the kernel makes an address with the virtual MAC in it",
        obeys=macvlan("sysctls_of_the_link") + A_WALK,
        violates=tests("linux/test_silence", "no_frame_from_the_virtual_mac_but_while_active"),
    ),
    asks(
        "MUST",
        "5798 7.4",
        "Interface identifiers are made as they are without VRRP.",
        but=f"{THE_KERNEL}: the parent keeps its MAC and its addresses",
        obeys=tests("linux/test_given_back", "every_way_to_end"),
        untested="violates: nothing of ours makes identifiers",
    ),
)

IPV4 = (
    asks(
        "should",
        "2338/3768 8.1; 5798/9568 8.1.1; 5798 8.2.1; 9568 8.2.1=SHOULD",
        "A redirect comes from the address that the host used as its next hop.",
        but="the kernel sends redirects, from the address that it chooses; RFC 9568 has the virtual router "
        "found by the MAC that the packet was sent to. Turn `send_redirects` off where hosts look at it",
        untested=THE_KERNEL,
    ),
    asks(
        "must",
        "2338/3768 8.1; 5798/9568 8.1.1; 5798 8.2.1; 9568 8.2.1=defines",
        "For that, the virtual router that a packet was sent to is found.",
        but="it is the kernel's, as above",
        untested=THE_KERNEL,
    ),
    asks(
        "MUST NOT",
        "2338/3768 8.2; 5798/9568 8.1.2",
        "No ARP reply for a virtual address names the physical MAC.",
        where=PLAN,
        but="not with `AnnounceBackend`, which has no other; the macvlan backend refuses addresses that the "
        "parent holds, and with them a true owner, who takes the MAC-swap backend",
        obeys=A_WALK + macvlan("sysctls_of_the_parent_are_raised_before_there_is_a_link"),
        violates=tests("linux/test_observer", "sysctls_of_the_operator_do_not_spoil_it")
        + macvlan("an_address_of_the_parent_is_refused"),
    ),
    asks(
        "MUST",
        "9568 8.1.2; 5798 8.1.2=should; 2338/3768 8.2=should",
        "Gratuitous ARP waits until the address and the virtual MAC are both there.",
        where="election.router:Router._promote",
        obeys=case("T22") + tests("test_node_frames", "what_a_promotion_sends_is_made_before_it"),
        violates=tests("test_node", "a_takeover_that_the_host_refuses_is_not_advertised"),
    ),
    asks(
        "SHOULD NOT",
        "2338/3768 8.2; 5798/9568 8.1.2",
        "After a restart, an owner sends no ARP with its physical MAC for the addresses that it owns.",
        but="an owner's addresses are the interface's own, and the kernel speaks for them before anything of "
        "ours runs; owners had better leave them to the virtual router",
        untested=THE_KERNEL,
    ),
    asks(
        "SHOULD",
        "9568 8.1.2; 5798 8.1.2=should; 2338/3768 8.2=should",
        "An address that is configured while Active is announced.",
        where="election.router:Router._change_config",
        obeys=tests("election/test_scenarios", "h_s10_an_address_added_while_active_is_installed")
        + cell("active", "config changed"),
        violates=tests("election/test_scenarios", "h_s12_and_s13_addresses_changed_while_backup_send_nothing")
        + router("an_address_that_goes_is_not_announced_and_the_rest_not_again"),
    ),
    asks(
        "SHOULD",
        "9568 8.1.2; 5798 8.1.2=must",
        "Who manages a router uses an address that is its own.",
        but=OPERATOR,
        untested=OPERATOR,
    ),
    asks(
        "MUST",
        "9568 8.1.3; 2338/3768 8.3=must; 5798 8.1.3=must",
        "A proxy ARP reply names the virtual MAC.",
        where=PLAN,
        but="in part: the virtual router's link answers for its addresses alone, and never by proxy; what the "
        "operator has the parent answer by proxy has the parent's MAC",
        obeys=macvlan("sysctls_of_the_link"),
        violates=tests("linux/test_observer", "sysctls_of_the_operator_do_not_spoil_it"),
    ),
)

IPV6 = (
    asks(
        "MUST NOT",
        "5798/9568 8.2.2",
        "No answer to a neighbour solicitation for a virtual address names the physical MAC.",
        where=PLAN,
        but="not with `AnnounceBackend`, which has no other",
        obeys=A_WALK,
        violates=tests("linux/test_observer", "sysctls_of_the_operator_do_not_spoil_it")
        + macvlan("an_address_of_the_parent_is_refused"),
    ),
    asks(
        "MUST",
        "5798/9568 8.2.2",
        "A neighbour solicitation of an Active router, if it names a link-layer address, names the virtual "
        "MAC and not the physical one.",
        where=PLAN,
        but="in part: the kernel's solicitations from a virtual address name the virtual MAC, those from the "
        "parent's own addresses the parent's, and neither ever the other's",
        obeys=A_WALK,
        violates=tests("linux/test_observer", "the_claims_of_a_frame"),
    ),
    asks(
        "MUST",
        "9568 8.2.2; 5798 8.2.2=must",
        "Neighbour discovery waits until the address and the virtual MAC are both there.",
        where=PLAN,
        obeys=macvlan("ipv6_is_off_until_active") + case("T23"),
        violates=tests("linux/test_silence", "no_frame_from_the_virtual_mac_but_while_active")
        + tests("test_node", "a_takeover_that_the_host_refuses_is_not_advertised"),
    ),
    asks(
        "SHOULD NOT",
        "5798/9568 8.2.2",
        "After a restart, an owner sends no neighbour discovery with its physical MAC for the addresses that "
        "it owns.",
        but="as with ARP: the kernel speaks for the interface's own addresses before anything of ours runs",
        untested=THE_KERNEL,
    ),
    asks(
        "SHOULD",
        "9568 8.2.2; 5798 8.2.2=should",
        "An address that is configured while Active is announced.",
        where="election.router:Router._change_config",
        obeys=cell("active", "config changed"),
        violates=router("an_address_that_goes_is_not_announced_and_the_rest_not_again"),
    ),
    asks(
        "MUST",
        "9568 8.2.3; 5798 8.2.3=must",
        "Backups are configured for the same Router Advertisement options as the owner.",
        but="it is radvd's configuration: we send no Router Advertisements",
        untested=OPERATOR,
    ),
    asks(
        "SHOULD NOT",
        "9568 8.2.3; 5798 8.2.3=should not",
        "An owner does not advertise special services that its Backups could not take over.",
        but="it is radvd's configuration: we send no Router Advertisements",
        untested=OPERATOR,
    ),
    asks(
        "SHOULD",
        "9568 8.2.4",
        "Unsolicited neighbour advertisements are accepted into the neighbour cache.",
        but="it is the kernel's, which updates the neighbours that it has, and with `accept_untracked_na` makes "
        "new ones; no sysctl of the parent is written that taking over an address does not need",
        untested=THE_KERNEL,
    ),
)

DEPLOYMENT = (
    asks(
        "SHOULD NOT",
        "2338/3768 8.4; 5798/9568 8.3.1",
        "An Active router that does not own the addresses does not forward packets that are addressed to them.",
        where=PLAN,
        but="the addresses are the host's own while Active: the kernel takes such packets and forwards none",
        obeys=SILENT,
        untested="violates: the kernel cannot forward what is addressed to itself",
    ),
    asks(
        "SHOULD",
        "9568 8.3.2; 5798 8.3.2=should",
        "One router alone has priority 255, and the others priorities far enough apart.",
        but=OPERATOR,
        obeys=tests("election/test_timers", "a_higher_priority_is_always_earlier"),
        violates=tests(
            "election/test_scenarios", "w_1_the_faster_backup_wins_and_of_two_equals_the_higher_address"
        ),
    ),
    asks(
        "SHOULD",
        "9568 8.3.2",
        "That several routers advertise priority 255 is logged.",
        where=SCREEN,
        but="in part: each of them reports the other; a Backup that hears both does not",
        obeys=case("T18"),
        violates=case("T49", "T50"),
    ),
    asks(
        "SHOULD",
        "9568 2.5",
        "That Backups become Active for a moment, because advertisements wait in a queue, is logged.",
        where="election.actions:StateChanged election.actions:Stalled",
        but="in part: every change of state is reported with its reason, and every late timer; that it comes "
        "again and again is for whoever reads them",
        obeys=router("a_backup_that_stood_still_says_so_and_acts"),
        violates=tests("test_node_frames", "a_flood_does_not_silence_an_active_router"),
    ),
    asks(
        "RECOMMENDED",
        "9568 9",
        "The link is secured as RFC 9099 has it.",
        but=OPERATOR,
        untested=OPERATOR,
    ),
    asks(
        "MUST",
        "2338/3768 9.2; 5798 A.2",
        "On Token Ring, functional addresses are used.",
        but="Ethernet alone is spoken",
        untested="there is no other network to test on",
    ),
    asks(
        "SHOULD",
        "2338/3768 9.1; 5798 A.1",
        "On FDDI, the virtual MAC is a filter of the card and not its address.",
        but="Ethernet alone is spoken",
        untested="there is no other network to test on",
    ),
)

BOTH_VERSIONS = (
    asks(
        "MUST",
        "5798/9568 8.4.2",
        "An Active router of both versions sends both, at the configured rate.",
        where="election.sending:Sender._make",
        but="in version 2 an interval below a second is sent as one second: it cannot say less",
        obeys=router("both_versions_are_sent_at_the_configured_rate"),
        violates=router("without_also_version_2_is_discarded")
        + tests("election/test_sending", "one_for_each_peer_and_version_in_order"),
    ),
    asks(
        "MUST",
        "9568 8.4.2; 5798 8.4.2=should",
        "A Backup of both versions times the Active router by the interval that this advertises, whatever the "
        "version.",
        where="election.router:Router._follow",
        obeys=case("T67"),
        violates=router("version_2_of_a_sender_that_says_version_3_too_is_ignored_while_it_does"),
    ),
    asks(
        "MUST",
        "9568 8.4.2; 5798 8.4.2=must",
        "The seconds of version 2 are turned into centiseconds for that.",
        where="election.hearing:heard_interval",
        obeys=case("T67") + tests("election/test_hearing", "the_interval_that_is_learned_is_in_seconds"),
        untested="violates: each of the 255 values that version 2 can say has its number of centiseconds",
    ),
    asks(
        "SHOULD",
        "9568 8.4.2; 5798 8.4.2=should",
        "Version 2 from an Active router that is heard in version 3 too is ignored.",
        where="election.hearing:Hearing.is_double",
        obeys=case("T67"),
        violates=router("version_2_of_a_sender_that_says_version_3_too_is_ignored_while_it_does"),
    ),
    asks(
        "SHOULD NOT",
        "9568 8.4.2.1.1; 5798 8.4.3.1=should not",
        "A router of version 2 has no higher priority than one of both that advertises more often than each "
        "second.",
        but=OPERATOR,
        untested=OPERATOR,
    ),
    asks(
        "NOT RECOMMENDED",
        "5798/9568 8.4.2",
        "Both versions are no permanent arrangement.",
        but=OPERATOR,
        untested=OPERATOR,
    ),
)

GROUPS: tuple[tuple[str, tuple[Requirement, ...]], ...] = (
    ("IP header: 5.2 in version 2, 5.1 in version 3", IP_HEADER),
    ("Fields: 5.3 in version 2, 5.2 in version 3", FIELDS),
    ("Authentication: 5.3.6, 5.3.10 and 7.1 in version 2", AUTHENTICATION),
    ("Parameters and timers: 6.1", PARAMETERS),
    ("Initialize: 6.4.1", INITIALIZE),
    ("Backup: 6.4.2", BACKUP),
    ("Active: 6.4.3", ACTIVE),
    ("Receiving: 7.1", RECEIVING),
    ("Sending: 7.2 to 7.4", SENDING),
    ("Beside IPv4: 8.1 to 8.3 in version 2, 8.1 in version 3, and redirects of both families", IPV4),
    ("Beside IPv6: 8.2", IPV6),
    ("Deployment: 8.4 in version 2, 8.3 in version 3, and the rest", DEPLOYMENT),
    ("Version 2 beside version 3: 8.4", BOTH_VERSIONS),
)
REQUIREMENTS = tuple(row for _, rows in GROUPS for row in rows)

NO_RULE = {
    "9568 6.4": "the three states as a whole",
}
"""Clauses that the election cites and that ask for nothing."""
OTHER_DOCUMENTS = {
    2402: "the Authentication Header",
    8347: "the YANG module: names of counters and reasons, and hold-time",
}
"""Other RFCs that the election cites: none of them asks anything of VRRP."""

INTRODUCTION = """\
# What the RFCs ask, where it is done, and how it is tested

Every MUST, SHOULD and RECOMMENDED of RFC 2338, 3768, 5798 and 9568, with the verified errata of the last, that
binds a router, in our own words. It was made from our own digest of the RFCs. RFC 2338 was read whole as it was
published, and so were the errata 8298 to 8301; of RFC 3768, 5798 and 9568 a text next to the published one was read
whole, a last draft or the source of the successor, and checked against others' lists of their rules. Where it
matters, read the clause.

* **Clause**: the RFCs that say it, and where. Rules that several share are one row.
* **Level**: the word of the RFC, in small letters where the RFC has them so; *defines* asks for nothing by itself,
  but a rule elsewhere relies on it. What a state machine lists as its actions counts as MUST.
* **Where**: what implements it, below `vrrplib`, and what is different there; or "not, because".
* **Obeys**, **violates**: tests below `tests/`, as pytest names them. The first shows the rule kept; in the second
  somebody breaks it, or would have us break it. Tests in `linux/` use namespaces and real frames.
* **Short names**: `T53` is a case of the oracle, in `election/test_cases.py`. `P12a` and `N02` are packets of the
  oracle, in `wire/test_packets.py::test_a_vector_passes_or_is_discarded_as_the_oracle_says`.
  `matrix[state-event]` is a cell of `election/test_router.py::test_the_router_does_what_the_matrix_says`.

Where the RFCs differ, a field of [`Rules`](../vrrplib/rules.py) holds what each says. Where our defaults leave RFC
9568, [rfc-notes.md](rfc-notes.md) says why; what no RFC knows is in [election.md](election.md).

The page is made by `python -m tests.requirements`; `tests/test_requirements.py` holds it to the code and the tests.
"""


def document() -> str:
    """The text of docs/requirements.md."""
    parts = [INTRODUCTION, "## How many\n", _counts()]
    for title, rows in GROUPS:
        parts += [f"## {title}\n", _table(rows)]
    return "\n".join(parts)


def _counts() -> str:
    seen = Counter((clause.rfc, clause.level) for row in REQUIREMENTS for clause in _once(row))
    lines = ["| level | " + " | ".join(f"RFC {rfc}" for rfc in RFCS) + " |", "|---|" + "---|" * len(RFCS)]
    lines += [f"| {level} | " + " | ".join(str(seen[rfc, level]) for rfc in RFCS) + " |" for level in LEVELS]
    total = {rfc: sum(seen[rfc, level] for level in LEVELS) for rfc in RFCS}
    lines.append("| all | " + " | ".join(str(total[rfc]) for rfc in RFCS) + " |")
    done = sum(bool(row.where) and not row.but for row in REQUIREMENTS)
    partly = sum(bool(row.where) and bool(row.but) for row in REQUIREMENTS)
    left = len(REQUIREMENTS) - done - partly
    return "\n".join(
        [
            *lines,
            "",
            f"{len(REQUIREMENTS)} rules: {done} as they are written, {partly} with something to say about it, "
            f"{left} not by us.\n",
        ]
    )


def _once(row: Requirement) -> list[Clause]:
    """One clause for each RFC and level: a rule that an RFC has in two places counts once."""
    return list({(clause.rfc, clause.level): clause for clause in row.clauses}.values())


def _table(rows: tuple[Requirement, ...]) -> str:
    lines = ["| Clause | Level | Rule | Where | Obeys | Violates |", "|---|---|---|---|---|---|"]
    for row in rows:
        cells = (_places(row.clauses), _level(row.clauses), row.rule, _where(row), *_tests(row))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _places(held: tuple[Clause, ...]) -> str:
    sections: dict[int, list[str]] = {}
    for clause in held:
        sections.setdefault(clause.rfc, []).append(clause.section)
    rfcs: dict[str, list[str]] = {}  # that have it in the same sections
    for rfc in sorted(sections):
        rfcs.setdefault(", ".join(sections[rfc]), []).append(str(rfc))
    return "<br>".join(f"{', '.join(names)}: {places}" for places, names in rfcs.items())


def _level(held: tuple[Clause, ...]) -> str:
    levels: dict[str, list[int]] = {}
    for clause in held:
        if clause.rfc not in levels.setdefault(clause.level, []):
            levels[clause.level].append(clause.rfc)
    if len(levels) == 1:
        return next(iter(levels))
    return "<br>".join(f"{level} ({', '.join(map(str, sorted(rfcs)))})" for level, rfcs in levels.items())


def _where(row: Requirement) -> str:
    names = [f"`{name.replace(':', '.')}`" for name in row.where]
    if not names:
        return f"not, because {row.but}"
    return "<br>".join([*names, row.but] if row.but else names)


def _tests(row: Requirement) -> tuple[str, str]:
    why = row.untested.removeprefix("obeys: ").removeprefix("violates: ")
    if not row.obeys and not row.violates:
        return f"none: {why}", "none"
    return _names(row.obeys) or f"none: {why}", _names(row.violates) or f"none: {why}"


def _names(held: tuple[str, ...]) -> str:
    """Tests, the short ones in one line."""
    short, whole = [], []
    for name in held:
        test, _, parameters = name.partition("[")
        if test not in SHORT:
            whole.append(f"`{name}`")
        elif SHORT[test]:
            short.append(f"`{SHORT[test]}[{parameters}`")
        else:
            short.append(f"`{parameters.removesuffix(']')}`")
    return "<br>".join([", ".join(short), *whole] if short else whole)


if __name__ == "__main__":
    print(document(), end="")
