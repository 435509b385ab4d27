"""Hypothesis strategies for operations."""

from __future__ import annotations

from hypothesis import strategies as st

from vrrplib.backends.operations import (
    AddAddress,
    AddEgressDrop,
    AddInputDrop,
    AddMacvlan,
    AddTable,
    DeleteLink,
    DeleteTable,
    Operation,
    RemoveAddress,
    RemoveEgressDrop,
    SetLinkDown,
    SetLinkUp,
    SetMac,
    SetMacvlanMode,
    SetSysctl,
    SetToken,
)

names = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/"), min_size=1, max_size=15)
macs = st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":"))
addresses = st.one_of(
    st.builds("{}/{}".format, st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds("{}/{}".format, st.ip_addresses(v=6), st.integers(0, 128)),
)
tokens = st.ip_addresses(v=6).map(str)
modes = st.sampled_from(["source", "private", "bridge", "vepa"])
paths = names.map("net/ipv4/conf/{}/arp_ignore".format)
values = st.text(st.characters(codec="utf-8"), max_size=20)
tables = st.integers(1, 2**31).map("vrrplib4-{}-51".format)
families = st.sampled_from(["netdev", "ip", "ip6"])
bare_addresses = st.one_of(
    *(st.lists(st.ip_addresses(v=version).map(str), min_size=1).map(tuple) for version in (4, 6))
)
maybe = st.none() | values

operations: st.SearchStrategy[Operation] = st.one_of(
    st.builds(AddMacvlan, names, names, macs, modes),
    st.builds(DeleteLink, names, macs),
    st.builds(SetMacvlanMode, names, modes, st.none() | modes),
    st.builds(SetLinkUp, names),
    st.builds(SetLinkDown, names),
    st.builds(SetMac, names, macs, st.none() | macs, st.booleans()),
    st.builds(SetToken, names, tokens, st.none() | tokens),
    st.builds(AddAddress, names, addresses, st.booleans(), st.booleans()),
    st.builds(RemoveAddress, names, addresses),
    st.builds(AddTable, families, tables),
    st.builds(DeleteTable, families, tables),
    st.builds(AddEgressDrop, tables, names),
    st.builds(RemoveEgressDrop, tables),
    st.builds(AddInputDrop, tables, bare_addresses, names),
    st.builds(SetSysctl, paths, values, maybe, st.booleans()),
)
