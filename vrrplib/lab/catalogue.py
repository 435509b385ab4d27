"""The catalogue: packets with names, right and wrong, the clause that each breaks, and who does what with it.

:data:`CATALOGUE` is in the order of the checks of RFC 9568 7.1, after what is right. A new entry may come at any
time; a name stays.
"""

from __future__ import annotations

from vrrplib.errors import Problem
from vrrplib.lab.entries import (
    PEERS,
    Answer,
    Entry,
    another_last,
    carp,
    cisco_md5,
    entry,
    global_first,
    hmac_trailer,
    many_addresses,
    one_more,
    other_version,
    summed_for_another_source,
    twice,
    unicast,
    with_addresses,
    with_bytes,
    with_checksum_changed,
    with_fields,
    with_form,
    with_mended_bytes,
    with_source,
    with_ttl,
    wrapped,
    zero_sum,
)
from vrrplib.wire.addresses import Family, to_address
from vrrplib.wire.checksum import ChecksumForm

_V2, _V3 = (2,), (3,)
_IPV4, _IPV6 = (Family.IPV4,), (Family.IPV6,)
_ALL_ACCEPT = "keepalived=A frr=A uvrrpd=A vrrpd=A govrrp=A os-ken=A scapy=S tshark=S"
_EXACT_LENGTH = "keepalived=R frr=R holo=R"
_LIST_IGNORED = "keepalived=N frr=N vrrpd=A holo=A govrrp=A os-ken=A scapy=S tshark=S"
_TYPES = "keepalived=R frr=R vrrpd=A uvrrpd=A holo=A govrrp=A os-ken=R scapy=S"
_TTLS = "keepalived=R frr=R vrrpd=R uvrrpd=R holo=A govrrp=R os-ken=R scapy=S"
_CHECKSUMS = "keepalived=R frr=R holo=R scapy=S tshark=F"
_AUTH_TYPES = "keepalived=R frr=R holo=A os-ken=R scapy=S tshark=S"

_VALID = (
    entry("plain", "the advert that the virtual router expects", with_fields(), peers=_ALL_ACCEPT),
    entry(
        "priority-1", "the lowest priority that is none of a release", with_fields(priority=1), peers=_ALL_ACCEPT
    ),
    entry("priority-254", "the highest priority but the owner's", with_fields(priority=254), peers=_ALL_ACCEPT),
    entry("priority-255", "the priority of the address owner", with_fields(priority=255), peers=_ALL_ACCEPT),
    entry(
        "priority-0",
        "a release; govrrp ignores one while it is Active",
        with_fields(priority=0),
        peers=_ALL_ACCEPT,
    ),
    entry(
        "checksum-message-only",
        "the checksum without a pseudo-header, as RFC 9568 5.2.8 has it and most of today's defaults refuse it",
        with_form(ChecksumForm.MESSAGE_ONLY),
        peers="keepalived=R frr=R uvrrpd=R holo=A govrrp=R os-ken=R scapy=S tshark=F",
        versions=_V3,
        families=_IPV4,
    ),
    entry(
        "checksum-pseudo-header",
        "the checksum with an IPv4 pseudo-header, as RFC 5798 5.2.8 was read",
        with_form(ChecksumForm.PSEUDO_HEADER),
        peers="keepalived=A frr=A uvrrpd=A holo=R govrrp=A os-ken=A scapy=S tshark=S",
        versions=_V3,
        families=_IPV4,
    ),
    entry(
        "checksum-zero-and-right",
        "a checksum that is 0x0000 because the sum says so",
        zero_sum(0),
        versions=_V3,
    ),
    entry(
        "checksum-zero-and-right-v2",
        "a checksum that is 0x0000 because the sum says so, with the help of unused authentication data",
        zero_sum(0),
        notes=(Problem.AUTH_DATA,),
        versions=_V2,
    ),
    entry(
        "checksum-ffff-for-zero",
        "0xffff where the sum gives 0x0000: both verify (RFC 1071), one is computed",
        zero_sum(0xFFFF),
        Problem.CHECKSUM,
        notes=(Problem.CHECKSUM,),
        versions=_V3,
    ),
    entry(
        "checksum-ffff-for-zero-v2",
        "0xffff where the sum gives 0x0000: both verify (RFC 1071), one is computed",
        zero_sum(0xFFFF),
        Problem.CHECKSUM,
        notes=(Problem.CHECKSUM, Problem.AUTH_DATA),
        versions=_V2,
    ),
    entry("unicast", "to the receiver's own address", unicast(None), peers="frr=R scapy=S tshark=S"),
    entry("padding-18", "18 zero bytes of Ethernet padding, outside the IP length", wrapped(padding=18)),
    entry("tos-0", "traffic class 0, as Vrrpd and uvrrpd send it", wrapped(tos=0), peers=_ALL_ACCEPT),
    entry(
        "ip-options",
        "an IPv4 header of 24 bytes, with no-operation options",
        wrapped(options=b"\x01\x01\x01\x00"),
        peers="holo=M scapy=S tshark=S",
        families=_IPV4,
    ),
    entry("hop-by-hop", "an IPv6 hop-by-hop header before the message", wrapped(hop_by_hop=True), families=_IPV6),
    entry(
        "source-unspecified",
        "from 0.0.0.0, as Huawei's last advert can be",
        with_source(lambda scene: type(scene.source)(0)),
    ),
    entry(
        "source-is-virtual",
        "from the virtual address, as an owner sends",
        with_source(lambda scene: scene.addresses[0]),
    ),
    entry(
        "source-multicast",
        "from the group's own address: no rule on receipt, and no host sends it",
        with_source(lambda scene: scene.group),
        clause="RFC 1122 3.2.1.3",
    ),
    entry(
        "addresses-reversed",
        "the addresses and one more, in reverse order: the same order is only recommended",
        with_addresses(lambda scene: one_more(scene)[::-1]),
        Problem.ADDRESS,
        problems=(),
        peers=_LIST_IGNORED,
        versions=_V3,
        families=_IPV4,
        clause="RFC 9568 7.1",
    ),
)

_HEADERS = (
    *(
        entry(f"ttl-{ttl}", f"TTL or hop limit {ttl} instead of 255", with_ttl(ttl), Problem.TTL, peers=_TTLS)
        for ttl in (0, 1, 64, 254)
    ),
    entry(
        "fragment",
        "a first fragment, with more to follow",
        wrapped(flags=0x2000),
        Problem.LENGTH,
        unheard=True,
        families=_IPV4,
    ),
    entry(
        "ip-length-long",
        "an IP length of 8 bytes more than there are",
        wrapped(extra_length=8),
        Problem.LENGTH,
        unheard=True,
    ),
    entry(
        "ip-length-short",
        "an IP length of 4 bytes less than there are: half of the authentication data is lost",
        wrapped(extra_length=-4, padding=4),
        Problem.LENGTH,
        problems=(Problem.LENGTH,),
        versions=_V2,
    ),
    entry(
        "ip-header-checksum",
        "a wrong checksum of the IPv4 header; a kernel drops it, and a packet socket does not",
        wrapped(header_checksum=0x1234),
        clause="RFC 1122 3.2.1.2",
        families=_IPV4,
    ),
)

_HEAD = (
    *(
        entry(
            f"version-{version}{suffix}",
            f"version {version}",
            with_fields(version=version),
            Problem.VERSION,
            problems=(Problem.VERSION,),
            notes=notes,
            peers="keepalived=R frr=R scapy=S",
            versions=versions,
        )
        for suffix, versions, notes in (("", _V3, ()), ("-v2", _V2, (Problem.TRAILING,)))
        for version in (0, 1, 4, 15)
    ),
    entry(
        "version-swapped",
        "a right advert of the other version",
        other_version,
        Problem.VERSION,
        peers="keepalived=R frr=R",
        families=_IPV4,
    ),
    entry(
        "version-2-over-ipv6",
        "version 2, which has no IPv6 addresses, in an IPv6 packet",
        other_version,
        Problem.VERSION,
        problems=(Problem.VERSION, Problem.COUNT),
        peers="keepalived=R frr=R",
        families=_IPV6,
    ),
    *(
        entry(
            f"type-{kind}", f"type {kind}, which no RFC defines", with_fields(type=kind), Problem.TYPE, peers=_TYPES
        )
        for kind in (0, 2, 15)
    ),
    entry("vrid-0", "VRID 0", with_fields(vrid=0), Problem.VRID),
    entry(
        "vrid-foreign",
        "the VRID of another virtual router",
        lambda scene: with_fields(vrid=scene.vrid % 255 + 1)(scene),
        Problem.VRID,
        router=Problem.VRID,
        peers=_TYPES.replace("A", "R"),
    ),
)

_LENGTHS = (
    *(
        entry(
            f"bytes-{size}",
            f"a message of {size} bytes, where eight are the least",
            with_bytes(lambda data, size=size: data[:size]),  # type: ignore[misc]
            Problem.TRUNCATED,
            peers="keepalived=R frr=R vrrpd=R uvrrpd=R holo=R govrrp=R os-ken=X scapy=S",
        )
        for size in (0, 1, 7)
    ),
    entry(
        "head-only",
        "the eight bytes of the head, and a count that calls for more",
        with_mended_bytes(lambda data: data[:8]),
        Problem.LENGTH,
        peers="keepalived=R frr=R vrrpd=A holo=R govrrp=R os-ken=X",
    ),
    entry(
        "no-authentication-data",
        "version 2 without its last eight bytes, as some senders do",
        with_mended_bytes(lambda data: data[:-8]),
        Problem.LENGTH,
        peers="keepalived=R frr=R holo=R os-ken=X",
        versions=_V2,
    ),
    entry(
        "byte-short-v2",
        "the last byte is missing",
        with_mended_bytes(lambda data: data[:-1]),
        Problem.LENGTH,
        peers="keepalived=R frr=R holo=R os-ken=X",
        versions=_V2,
    ),
    entry(
        "byte-short",
        "the last byte is missing",
        with_mended_bytes(lambda data: data[:-1]),
        Problem.LENGTH,
        notes=(Problem.TRAILING,),
        problems=(Problem.LENGTH,),
        peers="keepalived=R frr=R holo=R govrrp=R",
        versions=_V3,
    ),
    entry(
        "count-one-more",
        "a count of one more than there are addresses",
        lambda scene: with_fields(count=len(scene.addresses) + 1, trailing=b"")(scene),
        Problem.LENGTH,
        peers="keepalived=R frr=R vrrpd=A holo=R govrrp=R os-ken=X",
        versions=_V3,
    ),
    entry(
        "count-one-more-v2",
        "a count of one more than there are addresses: the authentication data is one, in part",
        lambda scene: with_fields(count=len(scene.addresses) + 1)(scene),
        Problem.LENGTH,
        notes=(Problem.ADDRESS,),  # 0.0.0.0
        peers="keepalived=R frr=R vrrpd=A holo=R os-ken=X",
        versions=_V2,
    ),
    entry(
        "count-255",
        "count 255, and as many addresses as ever",
        with_fields(count=255),
        Problem.LENGTH,
        peers="keepalived=R frr=R vrrpd=A holo=R govrrp=R os-ken=X",
        versions=_V3,
    ),
    entry(
        "count-0-with-addresses",
        "count 0 before addresses that are there",
        with_fields(count=0),
        Problem.COUNT,
        notes=(Problem.TRAILING,),
        problems=(Problem.COUNT,),
        peers="keepalived=R frr=R holo=R os-ken=X",
        versions=_V3,
    ),
    entry(
        "count-0-with-addresses-v2",
        "count 0 before addresses that are there: they pass for authentication data",
        with_fields(count=0),
        Problem.COUNT,
        notes=(Problem.TRAILING, Problem.AUTH_DATA),
        problems=(),
        router=Problem.ADDRESS,
        peers="keepalived=R frr=R holo=R",
        versions=_V2,
    ),
)
_TRAILS = (
    *(
        entry(
            f"trailing-{size}",
            f"{size} zero bytes after the message, inside the IP length and the checksum",
            with_fields(trailing=bytes(size)),
            Problem.TRAILING,
            notes=(Problem.TRAILING,),
            peers=_EXACT_LENGTH,
        )
        for size in (1, 4, 26)
    ),
    entry(
        "trailing-uncovered",
        "four bytes after the message, inside the IP length and outside the checksum",
        with_bytes(lambda data: data + b"\xde\xad\xbe\xef"),
        Problem.TRAILING,
        notes=(Problem.TRAILING,),
        peers=_EXACT_LENGTH,
    ),
    entry(
        "spare-bytes",
        "eight zero bytes after a version 3 message, as uvrrpd sends it",
        with_fields(trailing=bytes(8)),
        Problem.TRAILING,
        notes=(Problem.TRAILING,),
        peers=_EXACT_LENGTH + " uvrrpd=A",
        versions=_V3,
    ),
    entry(
        "hmac-trailer",
        "an authentication trailer of draft-cassen-vrrp-auth-hmac that nobody signed",
        hmac_trailer,
        Problem.TRAILING,
        notes=(Problem.TRAILING,),
        peers="keepalived=R frr=R",
        versions=_V3,
    ),
    entry(
        "message-twice",
        "the whole message twice",
        twice,
        Problem.TRAILING,
        notes=(Problem.TRAILING,),
        peers=_EXACT_LENGTH,
    ),
)

_SUMS = (
    entry(
        "checksum-0",
        "checksum 0, as if it were optional",
        with_fields(checksum=0),
        Problem.CHECKSUM,
        peers=_CHECKSUMS,
    ),
    entry("checksum-ffff", "checksum 0xffff", with_fields(checksum=0xFFFF), Problem.CHECKSUM, peers=_CHECKSUMS),
    entry(
        "checksum-plus-1",
        "one more than the right checksum",
        with_checksum_changed(lambda value: value + 1),
        Problem.CHECKSUM,
        peers=_CHECKSUMS,
    ),
    entry(
        "checksum-swapped",
        "the right checksum with its bytes in the wrong order",
        with_checksum_changed(lambda value: value << 8 | value >> 8),
        Problem.CHECKSUM,
        peers=_CHECKSUMS,
    ),
    entry(
        "checksum-of-another-source",
        "a checksum made for another source address",
        summed_for_another_source,
        Problem.CHECKSUM,
        peers="keepalived=R frr=R",
        versions=_V3,
    ),
    entry(
        "checksum-message-only-ipv6",
        "no pseudo-header over IPv6, where it was never optional",
        with_mended_bytes(lambda data: data, pseudo_header=False),
        Problem.CHECKSUM,
        peers="keepalived=R frr=R holo=R tshark=F",
        versions=_V3,
        families=_IPV6,
    ),
    entry(
        "checksum-old-unicast",
        "unicast, its pseudo-header to 224.0.0.18, as keepalived sent it up to 1.3.6",
        unicast(ChecksumForm.MULTICAST_PSEUDO_HEADER),
        Problem.CHECKSUM,
        versions=_V3,
        families=_IPV4,
    ),
    entry(
        "checksum-pseudo-header-v2",
        "a pseudo-header in version 2, which never has one",
        with_mended_bytes(lambda data: data, pseudo_header=True),
        Problem.CHECKSUM,
        peers=_CHECKSUMS,
        versions=_V2,
    ),
)

_ADDRESSES = (
    entry(
        "no-addresses",
        "count 0, and none",
        with_addresses(lambda scene: []),
        Problem.COUNT,
        peers="keepalived=N frr=R uvrrpd=R holo=A govrrp=A os-ken=X scapy=S",
        versions=_V3,
    ),
    entry(
        "no-addresses-v2",
        "count 0, and none: version 2 has no minimum",
        with_addresses(lambda scene: []),
        Problem.COUNT,
        problems=(),
        router=Problem.ADDRESS,
        peers="keepalived=N frr=R uvrrpd=R holo=A scapy=S",
        versions=_V2,
    ),
    *(
        entry(
            f"{name}{suffix}",
            description,
            with_addresses(choose),
            Problem.ADDRESS,
            problems=(),
            router=router,
            peers=peers,
            versions=versions,
            clause="RFC 3768 7.1" if router else "RFC 9568 7.1",
        )
        for name, description, choose in (
            ("addresses-one-more", "one address more than the receiver has", one_more),
            ("addresses-other", "another last address than the receiver has", another_last),
            ("addresses-repeated", "each address twice", lambda scene: [*scene.addresses, *scene.addresses]),
            ("addresses-many", "255 addresses, over IPv6 90", many_addresses),
        )
        for suffix, versions, router, peers in (
            ("", _V3, None, _LIST_IGNORED if name != "addresses-many" else "keepalived=N frr=N holo=R scapy=S"),
            ("-v2", _V2, Problem.ADDRESS, ("uvrrpd=R " + _LIST_IGNORED) if name != "addresses-many" else "holo=R"),
        )
    ),
    entry(
        "addresses-other-owner",
        "another last address, from the owner: version 2 lets that pass",
        lambda scene: with_fields(addresses=another_last(scene), priority=255)(scene),
        Problem.ADDRESS,
        problems=(),
        peers="keepalived=N frr=N uvrrpd=A",
        versions=_V2,
        clause="RFC 3768 7.1",
    ),
    entry(
        "address-global-first",
        "the first IPv6 address is not link-local",
        with_addresses(global_first),
        Problem.ADDRESS,
        problems=(Problem.ADDRESS,),
        versions=_V3,
        families=_IPV6,
    ),
    entry(
        "address-of-16-bytes",
        "an IPv6 address in an IPv4 packet: 12 bytes too many",
        with_mended_bytes(lambda data: data[:8] + to_address("2001:db8:c000:201:c000:202:c000:203").packed),
        Problem.LENGTH,
        peers=_EXACT_LENGTH,
        versions=_V3,
        families=_IPV4,
        notes=(Problem.TRAILING,),
        problems=(),
    ),
)

_INTERVALS = (
    entry(
        "reserved-15",
        "all four reserved bits, which FRR takes into the interval",
        with_fields(reserved=15),
        Problem.RESERVED,
        notes=(Problem.RESERVED,),
        peers="keepalived=A frr=M os-ken=A scapy=S",
        versions=_V3,
    ),
    entry(
        "interval-0",
        "interval 0, by which a Backup would promote itself at once",
        with_fields(max_advertise_interval=0),
        Problem.INTERVAL,
        peers="keepalived=A frr=A scapy=S",
        versions=_V3,
    ),
    entry(
        "interval-0-v2",
        "interval 0",
        with_fields(advertisement_interval=0),
        Problem.INTERVAL,
        problems=(),
        notes=(Problem.INTERVAL,),
        router=Problem.INTERVAL,
        peers="keepalived=R frr=R vrrpd=N uvrrpd=R holo=R os-ken=A scapy=S",
        versions=_V2,
    ),
    *(
        entry(
            f"interval-{units}",
            f"{units} centiseconds, which is not the receiver's interval: it is learned",
            with_fields(max_advertise_interval=units),
            Problem.INTERVAL,
            problems=(),
            peers="keepalived=N frr=A uvrrpd=R holo=R govrrp=A scapy=S tshark=S",
            versions=_V3,
            clause="RFC 9568 7.1",
        )
        for units in (1, 99, 4095)
    ),
    entry(
        "interval-255-v2",
        "255 seconds, which is not the receiver's interval",
        with_fields(advertisement_interval=255),
        Problem.INTERVAL,
        router=Problem.INTERVAL,
        peers="keepalived=R frr=R vrrpd=N uvrrpd=R holo=R os-ken=A scapy=S tshark=S",
        versions=_V2,
        clause="RFC 3768 7.1",
    ),
)

_AUTHENTICATION = (
    entry(
        "auth-simple-text",
        "simple text that the receiver does not expect",
        with_fields(auth_type=1, auth_data=b"password"),
        Problem.AUTH_TYPE,
        router=Problem.AUTH_TYPE,
        peers=_AUTH_TYPES,
        versions=_V2,
    ),
    entry(
        "auth-ah",
        "type 2, and no authentication header",
        with_fields(auth_type=2),
        Problem.AUTH_TYPE,
        router=Problem.AUTH_TYPE,
        peers=_AUTH_TYPES,
        versions=_V2,
    ),
    *(
        entry(
            f"auth-{kind}",
            f"authentication type {kind}",
            with_fields(auth_type=kind),
            Problem.AUTH_TYPE,
            peers=_AUTH_TYPES,
            versions=_V2,
        )
        for kind in (3, 250, 255)
    ),
    entry(
        "auth-md5",
        "Cisco's type 254, with a digest that nobody made",
        cisco_md5,
        Problem.AUTH_TYPE,
        notes=(Problem.TRAILING,),
        problems=(Problem.AUTH_TYPE,),
        peers="keepalived=R frr=R scapy=S",
        versions=_V2,
        families=_IPV4,
    ),
    entry(
        "auth-data-unasked",
        "type 0 with bytes where a password would be",
        with_fields(auth_data=b"password"),
        Problem.AUTH_DATA,
        problems=(),
        notes=(Problem.AUTH_DATA,),
        peers="keepalived=A frr=A",
        versions=_V2,
    ),
    entry(
        "carp",
        "CARP, which shares the protocol number and version 2's first byte",
        carp,
        Problem.CARP,
        peers="keepalived=R frr=R vrrpd=R uvrrpd=R holo=R govrrp=R tshark=M",
        clause="",
    ),
)

CATALOGUE: tuple[Entry, ...] = (
    *_VALID,
    *_HEADERS,
    *_HEAD,
    *_LENGTHS,
    *_TRAILS,
    *_SUMS,
    *_ADDRESSES,
    *_INTERVALS,
    *_AUTHENTICATION,
)
"""Every entry; names are unique."""

BY_NAME: dict[str, Entry] = {item.name: item for item in CATALOGUE}

__all__ = ["BY_NAME", "CATALOGUE", "PEERS", "Answer", "Entry"]
