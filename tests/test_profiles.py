"""Profiles say where each value was seen, predict what the live daemons did, and are printed as they are."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from tests.documents import ROOT
from tests.profiles_page import page
from vrrplib import profiles
from vrrplib.election.announcing import KEEPALIVED, ONCE
from vrrplib.election.config import RouterConfig
from vrrplib.election.events import Startup, TimerExpired
from vrrplib.election.router import Router
from vrrplib.election.states import State
from vrrplib.errors import ConfigError
from vrrplib.lab.catalogue import BY_NAME, CATALOGUE
from vrrplib.lab.entries import Entry
from vrrplib.lab.scenes import Scene
from vrrplib.profiles import FRR_8_4, HOLO, KEEPALIVED_2_2, KEEPALIVED_2_4, OS_KEN, PROFILES, STRICT, Profile
from vrrplib.rules import RFC3768, RFC5798, RFC9568, Rules, Verdict
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.frames import parse

FIELDS = {"vrid": 51, "addresses": ["10.77.0.100/24"], "primary_address": "10.77.0.2"}
D, W, I = Verdict.DISCARD, Verdict.WARN, Verdict.IGNORE  # noqa: E741

# -- the values --

# In the order of PROFILES. What is not here is RFC 5798's in version 3, RFC 3768's in version 2, and strict's own.
VERSION_3 = {
    "trailing_bytes": (D, D, D, D, D, W),
    "wrong_ttl": (D, D, D, I, D, D),
    "wrong_type": (D, D, D, I, D, D),
    "ones_checksum": (W, W, D, W, W, W),
    "most_addresses": (255, 255, 255, 20, 255, 255),
    "longest_frame": (65535, 65535, 65535, 65535, 128, 65535),
    "no_addresses": (I, I, D, I, D, D),
    "zero_interval": (I, I, I, W, I, D),
    "zero_interval_as": (1e-6, 1e-6, 1e-6, 0.0, 1e-6, 0.0),
    "global_first_address": (I, I, I, I, I, D),
    "heard_by_owner": (I, I, D, I, I, W),
    "owner_gives_way_to": (254, 254, 255, 255, 255, 255),
    "interval_mismatch": (W, W, I, D, I, W),
    "interval_before_addresses": (False, False, False, False, False, True),
    "address_mismatch": (D, W, I, I, I, W),
    "spares_owner": (False, False, True, True, True, True),
    "learns_interval": (True, True, True, False, True, True),
    "skew_per_interval": (True, True, True, False, True, True),
    "timer_step": (0.0, 0.0, 0.01, 0.0, 0.0, 0.0),
    "timer_wraps_at": (0.0, 0.0, 655.36, 0.0, 0.0, 0.0),
    "skew_in_down_interval": (True, True, True, False, True, True),
    "interval_scale": (1.0, 1.0, 1.0, 100.0, 1.0, 1.0),
    "reserved_in_interval": (False, False, True, False, False, False),
    "answers_losing_advertisement": (True, True, False, False, False, True),
}
VERSION_2 = {
    "trailing_bytes": (D, D, D, D, I, W),
    "wrong_ttl": (D, D, D, I, D, D),
    "wrong_type": (D, D, D, I, D, D),
    "ones_checksum": (W, W, D, W, W, W),
    "auth_types": ((0, 1, 2), (0, 1, 2), (0,), tuple(range(256)), (0,), (0, 1, 2)),
    "wrong_auth_type": (D, D, D, I, D, D),
    "most_addresses": (255, 255, 255, 20, 255, 255),
    "longest_frame": (65535, 65535, 65535, 65535, 128, 65535),
    "no_addresses": (I, I, I, I, D, I),
    "zero_interval_as": (0.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    "heard_by_owner": (I, I, D, I, I, D),
    "owner_gives_way_to": (254, 254, 255, 255, 255, 255),
    "interval_mismatch": (D, D, D, D, I, D),
    "address_mismatch": (D, W, I, I, I, D),
    "spares_owner": (False, False, True, True, True, True),
    "timer_step": (0.0, 0.0, 0.01, 0.0, 0.0, 0.0),
    "timer_wraps_at": (0.0, 0.0, 655.36, 0.0, 0.0, 0.0),
    "skew_in_down_interval": (True, True, True, False, True, True),
    "answers_losing_advertisement": (True, True, False, False, False, False),
}
NAMES = {"name", "clauses", "errata", "rfc"}


@pytest.mark.parametrize(("version", "values", "base"), [(3, VERSION_3, RFC5798), (2, VERSION_2, RFC3768)])
def test_the_rules_are_those_of_the_table(version: int, values: dict[str, tuple[object, ...]], base: Rules) -> None:
    for field in dataclasses.fields(Rules):
        if field.name in NAMES:
            continue
        seen = tuple(getattr(profile.rules(version), field.name) for profile in PROFILES)
        usual = (getattr(base, field.name),) * 5 + (getattr(STRICT.rules(version), field.name),)
        assert seen == values.get(field.name, usual), field.name


def test_the_configurations_are_those_of_the_table() -> None:
    pseudo, message = ChecksumForm.PSEUDO_HEADER, ChecksumForm.MESSAGE_ONLY
    assert [profile.name for profile in PROFILES] == [
        *("keepalived 2.2", "keepalived 2.4", "FRR 8.4", "holo", "os-ken", "strict"),
    ]
    assert [profile.send_checksum for profile in PROFILES] == [pseudo, pseudo, pseudo, message, pseudo, message]
    both = pseudo | ChecksumForm.MULTICAST_PSEUDO_HEADER
    assert [profile.accept_checksum for profile in PROFILES] == [pseudo, both, pseudo, message, pseudo, message]
    assert [profile.accept_mode for profile in PROFILES] == [True] * 5 + [False]
    assert [profile.announcements for profile in PROFILES] == [KEEPALIVED, KEEPALIVED, ONCE, ONCE, ONCE, ONCE]
    assert [profile.least_peer_ttl for profile in PROFILES] == [0, 0, 255, 255, 255, 255]
    assert [profile.most_priority for profile in PROFILES] == [255, 255, 254, 255, 255, 255]


def test_strict_is_what_a_strict_configuration_is() -> None:
    assert STRICT.config(**FIELDS) == RouterConfig.strict(**FIELDS)
    assert STRICT.rules(3) is RFC9568


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
@pytest.mark.parametrize("version", [2, 3])
def test_a_profile_makes_a_configuration_of_which_each_field_can_be_another(profile: Profile, version: int) -> None:
    config = profile.config(version=version, **FIELDS)
    assert (config.version, config.rules) == (version, profile.rules(version))
    assert config.send_checksum is profile.send_checksum
    assert profile.config(send_checksum=None, **FIELDS).send_checksum is None
    assert config.rules.clause is not None


def test_what_no_profile_can_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"priority must be 1-254 in FRR 8\.4, not 255"):
        FRR_8_4.config(priority=255, **FIELDS)
    with pytest.raises(ConfigError, match="priority must be 1-255, not 256"):
        FRR_8_4.config(priority=256, **FIELDS)
    with pytest.raises(ConfigError, match="version must be 2 or 3, not 4"):
        KEEPALIVED_2_2.config(version=4, **FIELDS)
    assert KEEPALIVED_2_2.config(priority=255, **FIELDS).priority == 255


@pytest.mark.parametrize(
    ("profile", "version", "interval", "skew", "down"),
    [
        (KEEPALIVED_2_2, 3, 1.0, 0.609375, 3.609375),
        (KEEPALIVED_2_4, 2, 1.0, 0.609375, 3.609375),
        (FRR_8_4, 3, 1.0, 0.60, 3.60),
        (FRR_8_4, 3, 0.2, 0.12, 0.72),  # show vrrp
        (FRR_8_4, 2, 2.0, 0.60, 6.60),  # show vrrp
        (FRR_8_4, 3, 0.01, 0.0, 0.03),
        (FRR_8_4, 2, 255.0, 0.60, 110.24),  # 765.6 s do not fit
        (HOLO, 2, 1.0, 0.609375, 3.0),
        (HOLO, 3, 1.0, 0.609375, 300.0),
        (OS_KEN, 3, 1.0, 0.609375, 3.609375),
        (STRICT, 3, 1.0, 0.609375, 3.609375),
    ],
)
def test_timers(profile: Profile, version: int, interval: float, skew: float, down: float) -> None:
    router = Router(profile.config(version=version, advertisement_interval=interval, **FIELDS))
    assert router.skew_time == pytest.approx(skew, abs=1e-9)
    assert router.active_down_interval == pytest.approx(down, abs=1e-9)


def test_frr_learns_the_reserved_bits_as_show_vrrp_says_that_it_did() -> None:
    scene = SCENES["Version 3 over IPv4"]
    fields: dict[str, Any] = {"addresses": scene.addresses, "primary_address": scene.target}
    for profile, learned, skew, down in (
        (FRR_8_4, 614.5, 374.46, 251.88),
        (KEEPALIVED_2_2, 0.1, 0.0609375, 0.3609375),
    ):
        router = Router(profile.config(vrid=scene.vrid, advertisement_interval=scene.interval, **fields))
        router.handle(Startup(), 0.0)
        specimen = BY_NAME["reserved-15"].build(scene)
        assert specimen is not None
        router.receive(specimen.datagram, 0.1)
        assert router.active_adver_interval == pytest.approx(learned)
        assert (router.skew_time, router.active_down_interval) == pytest.approx((skew, down))
        assert router.deadline == pytest.approx(0.1 + down)


def test_each_value_says_where_it_was_seen() -> None:
    source = Path(profiles.__file__).read_text()
    lines = source.splitlines()
    seen = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Dict) and node.keys and isinstance(node.keys[0], ast.Constant):
            values = [value.lineno for value in node.values if isinstance(value, ast.Constant | ast.Name)]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("replace", "Profile"):
            plain = (ast.Constant, ast.Name, ast.Attribute)
            values = [word.value.lineno for word in node.keywords if word.arg and isinstance(word.value, plain)]
        else:
            continue
        for line in {lines[number - 1] for number in values}:
            if not re.search(r"^ +(name|version_[23])=|\[(live|source)\]|RFC \d+ \d|profile\.|\"rules\"", line):
                pytest.fail(f"who has seen it? {line}")
            seen += 1
    assert seen > 40


def test_the_page_is_what_the_profiles_are() -> None:
    assert (ROOT / "docs/profiles.md").read_text() == page(), "python -m tests.profiles_page > docs/profiles.md"


# -- what the daemons did (docs/catalogue.md) --

DAEMONS = {"keepalived": (KEEPALIVED_2_2, 4), "frr": (FRR_8_4, 5)}
"""Each with its column."""
SCENES = {
    "Version 3 over IPv4": Scene(
        vrid=51, addresses=["10.77.0.100"], source="10.77.0.1", target="10.77.0.2", interval=0.1
    ),
    "Version 2": Scene(vrid=51, addresses=["10.77.0.100"], source="10.77.0.1", target="10.77.0.2", version=2),
    "Version 3 over IPv6": Scene(
        vrid=51, addresses=["fe80::5e:51", "fd77::100"], source="fe80::ff:fe00:2", target="fe80::ff:fe00:1",
        interval=0.1,
    ),
}  # fmt: skip
_SOCKET = "the sockets of both hear the group alone; a Router takes what its transport hears"
_KERNEL = "the kernel that receives it drops it before any daemon sees it"
BEFORE_THE_DAEMON = {
    ("Version 3 over IPv4", "unicast"): _SOCKET,
    ("Version 2", "unicast"): _SOCKET,
    ("Version 3 over IPv6", "unicast"): _SOCKET,
    ("Version 3 over IPv4", "source-is-virtual"): f"it has that address itself: {_KERNEL}",
    ("Version 2", "source-is-virtual"): f"it has that address itself: {_KERNEL}",
    ("Version 3 over IPv4", "source-multicast"): _KERNEL,
    ("Version 2", "source-multicast"): _KERNEL,
    ("Version 3 over IPv6", "source-multicast"): _KERNEL,
    ("Version 3 over IPv4", "ip-header-checksum"): _KERNEL,
    ("Version 2", "ip-header-checksum"): _KERNEL,
}
UNSAID = {
    "keepalived": BEFORE_THE_DAEMON,
    "frr": BEFORE_THE_DAEMON
    | {("Version 3 over IPv6", "bytes-0"): "it yields to what it read before: a Router needs a message to read"},
}
"""Where a profile predicts something else than the daemon did, and why no value can say it."""


def recorded() -> list[tuple[str, str, Entry, bool]]:
    """(daemon, configuration, entry, whether it yielded) for each row of docs/catalogue.md."""
    rows = []
    title = ""
    for line in (ROOT / "docs/catalogue.md").read_text().splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if title in SCENES and cells[0] in BY_NAME:
            for daemon, (_, column) in DAEMONS.items():
                rows.append((daemon, title, BY_NAME[cells[0]], cells[column] == "accepts"))
    return rows


def yields(profile: Profile, scene: Scene, entry: Entry) -> bool:
    """Whether a Router of this profile, Active with priority 100, gives way to the entry from priority 200."""
    specimen = entry.build(scene)
    assert specimen is not None
    datagram = parse(specimen.frame(destination_mac="02:00:00:00:00:01"))
    if datagram is None:
        return False
    config = profile.config(
        version=scene.version,
        vrid=scene.vrid,
        addresses=scene.addresses,
        primary_address=scene.target,
        advertisement_interval=scene.interval,
    )
    router = Router(config)
    router.handle(Startup(), 0.0)
    assert router.deadline is not None
    router.handle(TimerExpired(), router.deadline)
    assert router.state is State.ACTIVE
    router.receive(datagram, 10.0)
    return router.state is State.BACKUP


def test_every_entry_was_recorded() -> None:
    assert {entry.name for _, _, entry, _ in recorded()} == {entry.name for entry in CATALOGUE}
    assert len(recorded()) > 350


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_profile_predicts_what_the_daemon_took(daemon: str) -> None:
    wrong = set()
    for name, title, entry, yielded in recorded():
        if name == daemon and yields(DAEMONS[daemon][0], SCENES[title], entry) is not yielded:
            wrong.add((title, entry.name))
    assert wrong == set(UNSAID[daemon])
