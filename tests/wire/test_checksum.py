from __future__ import annotations

from typing import Any

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import VECTORS, params
from vrrplib.errors import ConfigError
from vrrplib.wire.addresses import Family, to_address
from vrrplib.wire.checksum import (
    CHECKSUM_OFFSET,
    ChecksumForm,
    bits_that_fit,
    checksum_of_sum,
    forms_that_fit,
    have_addresses,
    internet_checksum,
    names_of,
    ones_sum,
    pseudo_header_for,
    pseudo_header_sum,
    verifies,
    with_checksum,
)


def plain_checksum(data: bytes) -> int:
    """RFC 1071 by the letter: 16-bit words, end-around carry, complement."""
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo_header(source: str, destination: str, length: int) -> bytes:
    """The bytes that ``pseudo_header_sum`` sums without making them."""
    packed = to_address(source).packed + to_address(destination).packed
    if len(packed) == 8:
        return packed + bytes([0, 112]) + length.to_bytes(2, "big")
    return packed + length.to_bytes(4, "big") + bytes([0, 0, 0, 112])  # RFC 8200 8.1


def test_the_example_of_rfc_1071() -> None:
    data = bytes.fromhex("0001f203f4f5f6f7")
    assert ones_sum(data) == 0xDDF2
    assert internet_checksum(data) == 0x220D


@given(st.binary(max_size=300))
def test_it_equals_rfc_1071_by_the_letter(data: bytes) -> None:
    assert internet_checksum(data) == plain_checksum(data)


@given(st.binary(min_size=1, max_size=300))
def test_it_equals_what_dpkt_computes(data: bytes) -> None:
    assert internet_checksum(data) == dpkt.in_cksum(data)


@given(st.binary(max_size=100).filter(lambda data: len(data) % 2 == 0), st.binary(max_size=100))
def test_the_sum_of_an_even_part_may_be_given_beforehand(head: bytes, tail: bytes) -> None:
    assert internet_checksum(tail, ones_sum(head)) == plain_checksum(head + tail)


@given(st.binary(min_size=2, max_size=100))
def test_data_with_its_checksum_verifies(data: bytes) -> None:
    body = b"\0\0" + data
    whole = internet_checksum(body).to_bytes(2, "big") + data
    assert verifies(ones_sum(whole))
    assert internet_checksum(whole) == 0


def test_nothing_but_zeros_does_not_verify() -> None:
    # In one's complement 0 and 0xFFFF are one number, but a sum of 0 is no sum of 0xFFFF.
    assert not verifies(ones_sum(bytes(8)))
    assert checksum_of_sum(0) == 0xFFFF
    assert internet_checksum(bytes(8)) == 0xFFFF
    assert verifies(ones_sum(b"\xff\xff" + bytes(6)))


def test_a_checksum_that_comes_out_as_zero_stays_zero() -> None:
    # No rule like UDP's: RFC 9568 5.2.8 sends what was computed.
    assert internet_checksum(b"\xff\xff") == 0
    assert checksum_of_sum(65535) == checksum_of_sum(131070) == 0


@pytest.mark.parametrize(
    ("source", "destination"),
    [("192.0.2.251", "224.0.0.18"), ("0.0.0.0", "0.0.0.0"), ("fe80::c8", "ff02::12"), ("ffff::", "ff02::12")],
)
@pytest.mark.parametrize("length", [8, 12, 1028])
def test_the_pseudo_headers_sum_is_that_of_its_bytes(source: str, destination: str, length: int) -> None:
    total = pseudo_header_sum(to_address(source), to_address(destination), length)
    assert checksum_of_sum(total) == plain_checksum(pseudo_header(source, destination, length))


@pytest.mark.parametrize("vector", params([entry for entry in VECTORS["packets"] if entry["cksum"] not in "-ffff"]))
def test_the_vectors_checksums_are_computed(vector: dict[str, str]) -> None:
    data = bytes.fromhex(vector["hex"])
    blank = data[:CHECKSUM_OFFSET] + b"\0\0" + data[CHECKSUM_OFFSET + 2 :]
    pseudo = pseudo_header_sum(to_address(vector["src"]), to_address(vector["dst"]), len(data))
    found = {internet_checksum(blank): "msg-only", internet_checksum(blank, pseudo): "pseudo"}
    names = [name[:6] for name in vector["verifies_as"]]
    wanted = int(vector["cksum"], 16)
    assert [found[wanted][:6]] == names if names else wanted not in found


def test_either_is_the_two_forms_that_the_rfcs_name() -> None:
    assert list(ChecksumForm.EITHER) == [ChecksumForm.PSEUDO_HEADER, ChecksumForm.MESSAGE_ONLY]
    assert ChecksumForm.MULTICAST_PSEUDO_HEADER not in ChecksumForm.EITHER


SOURCE, PEER, GROUP = map(to_address, ("192.0.2.251", "192.0.2.252", "224.0.0.18"))
SOURCE_6, GROUP_6 = map(to_address, ("fe80::c8", "ff02::12"))


@pytest.mark.parametrize(
    ("family", "source", "destination", "there"),
    [
        (Family.IPV4, SOURCE, GROUP, True),
        (Family.IPV6, SOURCE_6, GROUP_6, True),
        (Family.IPV4, SOURCE_6, GROUP_6, False),
        (Family.IPV4, SOURCE, GROUP_6, False),
        (Family.IPV4, SOURCE, None, False),
        (Family.IPV4, None, GROUP, False),
    ],
)
def test_a_pseudo_header_needs_both_addresses_of_its_family(
    family: Family, source: Any, destination: Any, there: bool
) -> None:
    assert have_addresses(family, source, destination) is there
    data = with_checksum(bytes.fromhex("3101640100640000c0000201"), 0xA897)
    assert ChecksumForm.MESSAGE_ONLY in forms_that_fit(data, family, source, destination)


@given(st.binary(min_size=8, max_size=40), st.ip_addresses(v=4), st.ip_addresses(v=4) | st.just(GROUP))
def test_the_forms_that_fit_are_those_whose_bytes_sum_to_nothing(
    data: bytes, source: Any, destination: Any
) -> None:
    for summed in (b"", *(pseudo_header(str(source), end, len(data)) for end in (str(destination), "224.0.0.18"))):
        blank = with_checksum(data, 0)
        whole = with_checksum(data, plain_checksum(summed + blank))
        fits = forms_that_fit(whole, Family.IPV4, source, destination)
        for form, before in (
            (ChecksumForm.MESSAGE_ONLY, b""),
            (ChecksumForm.PSEUDO_HEADER, pseudo_header(str(source), str(destination), len(data))),
            (ChecksumForm.MULTICAST_PSEUDO_HEADER, pseudo_header(str(source), "224.0.0.18", len(data))),
        ):
            good = plain_checksum(before + whole) == 0
            if form is ChecksumForm.MULTICAST_PSEUDO_HEADER and destination == GROUP:
                good = False  # it is the pseudo-header form then
            assert (form in fits) is good
        bits = bits_that_fit(ones_sum(whole), len(data), source, destination, int(GROUP))
        assert ChecksumForm(bits) == fits


@pytest.mark.parametrize(
    ("family", "source", "destination", "form", "same_as"),
    [
        (Family.IPV4, SOURCE, PEER, ChecksumForm.PSEUDO_HEADER, (SOURCE, PEER)),
        (Family.IPV4, "192.0.2.251", "192.0.2.252", ChecksumForm.PSEUDO_HEADER, (SOURCE, PEER)),
        (Family.IPV4, SOURCE, PEER, ChecksumForm.MULTICAST_PSEUDO_HEADER, (SOURCE, GROUP)),
        (Family.IPV4, SOURCE, None, ChecksumForm.MULTICAST_PSEUDO_HEADER, (SOURCE, GROUP)),
        (Family.IPV6, "fe80::c8%eth0", GROUP_6, ChecksumForm.PSEUDO_HEADER, (SOURCE_6, GROUP_6)),
        (Family.IPV6, SOURCE_6, GROUP_6, ChecksumForm.MESSAGE_ONLY, (SOURCE_6, GROUP_6)),
    ],
)
def test_the_pseudo_header_to_send_is_that_of_the_form(
    family: Family, source: Any, destination: Any, form: ChecksumForm, same_as: tuple[Any, Any]
) -> None:
    assert pseudo_header_for(family, source, destination, form, 20) == pseudo_header_sum(*same_as, 20)


@pytest.mark.parametrize(
    ("family", "source", "destination", "form", "message"),
    [
        (Family.IPV4, None, GROUP, ChecksumForm.PSEUDO_HEADER, "source must be given: the pseudo-header checksum"),
        (Family.IPV4, SOURCE, None, ChecksumForm.PSEUDO_HEADER, "destination must be given"),
        (Family.IPV4, SOURCE, GROUP_6, ChecksumForm.PSEUDO_HEADER, "destination must be an IPv4 address, not ff02"),
        (Family.IPV6, SOURCE, GROUP_6, ChecksumForm.PSEUDO_HEADER, "source must be an IPv6 address, not 192"),
        (
            Family.IPV4,
            SOURCE,
            GROUP,
            ChecksumForm.EITHER,
            "not 'pseudo-header or message-only'",
        ),
        (Family.IPV4, SOURCE, GROUP, ChecksumForm(0), "form must be one ChecksumForm, not <ChecksumForm: 0>"),
    ],
)
def test_what_is_missing_or_wrong_for_a_pseudo_header_is_named(
    family: Family, source: Any, destination: Any, form: ChecksumForm, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        pseudo_header_for(family, source, destination, form, 20)
    assert message in str(caught.value)


def test_a_sum_over_the_message_alone_has_no_pseudo_header_and_needs_no_address() -> None:
    assert pseudo_header_for(Family.IPV4, None, None, ChecksumForm.MESSAGE_ONLY, 20) == 0


def test_forms_have_names_in_words() -> None:
    assert names_of(ChecksumForm.EITHER) == "pseudo-header or message-only"
    assert names_of(ChecksumForm(0)) == ""
