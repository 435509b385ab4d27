"""A Router and the plain model of the RFC text, side by side, through anything that may happen."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.election import model
from tests.election.model import Advert, Model
from vrrplib.election.actions import (
    Action,
    Activate,
    Announce,
    Deactivate,
    Discarded,
    SendAdvertisement,
    Stalled,
    StateChanged,
    Warned,
)
from vrrplib.election.config import RouterConfig
from vrrplib.election.events import PriorityChanged, Shutdown, Startup, TimerExpired
from vrrplib.election.router import Router
from vrrplib.errors import Problem
from vrrplib.rules import RFC2338, RFC3768, RFC5798, RFC9568, RFC9568_PUBLISHED
from vrrplib.wire.checksum import ChecksumForm
from vrrplib.wire.datagram import Datagram
from vrrplib.wire.packets import VRRPv2, VRRPv3

RULES = {rules.name: rules for rules in (RFC2338, RFC3768, RFC5798, RFC9568_PUBLISHED, RFC9568)}
MICROSECOND = Fraction(1, 10**6)
PRIORITIES = (1, 50, 99, 100, 101, 254, 255)
PROBLEMS = {
    "ttl": Problem.TTL,
    "version": Problem.VERSION,
    "vrid": Problem.VRID,
    "owner": Problem.OWNER,
    "auth": Problem.AUTH_TYPE,
    "count": Problem.COUNT,
    "interval": Problem.INTERVAL,
    "list": Problem.ADDRESS,
    "looped": Problem.LOOPED,
}
FAMILIES: dict[int, dict[str, Any]] = {
    4: {
        "group": "224.0.0.18",
        "ours": ["192.0.2.254", "10.0.0.254"],
        "primary": "192.0.2.100",
        # As text, as signed or as little-endian numbers some of these compare the other way.
        "sources": ["192.0.2.99", "192.0.2.100", "192.0.2.101", "10.0.0.200", "9.255.255.255", "193.0.0.1"],
        "lists": [
            ["192.0.2.254", "10.0.0.254"],
            ["10.0.0.254", "192.0.2.254"],
            ["192.0.2.254"],
            ["192.0.2.254", "192.0.2.254"],
            ["192.0.2.254", "10.0.0.254", "10.0.0.253"],
            [],
        ],
        "link_local": [],
    },
    6: {
        "group": "ff02::12",
        "ours": ["fe80::fe", "2001:db8::fe"],
        "primary": "fe80::64",
        "sources": ["fe80::63", "fe80::64", "fe80::65", "fe80::ff", "fe80::a", "fe80::1:0:0:0"],
        "lists": [
            ["fe80::fe", "2001:db8::fe"],
            ["2001:db8::fe", "fe80::fe"],
            ["fe80::fe"],
            ["fe80::fd", "2001:db8::fe"],
            ["fe80::fe", "fe80::fe"],
            [],
        ],
        "link_local": ["fe80::fe", "fe80::fd"],
    },
}
INTERVALS = {
    2: [Fraction(1), Fraction(3)],
    3: [Fraction(1), Fraction(1, 100), Fraction(30, 100), Fraction(4095, 100)],
}

DELAYS = [Fraction(0), Fraction(0), Fraction(0), Fraction(5, 2), Fraction(60)]  # off more often than not


def number(address: object) -> int:
    return int(ip_address(str(address)))


class Pair:
    """A Router and its model, given the same."""

    def __init__(self, name: str, family: int = 4, off: frozenset[str] = frozenset(), **given: Any) -> None:
        self.rules, self.facts = RULES[name], FAMILIES[family]
        given = {"priority": 100, "interval": Fraction(1), "preempt": True} | given
        delays = {name: float(given.get(name, 0)) for name in ("preempt_delay", "startup_delay")}
        self.now = Fraction(1000)
        self.config = RouterConfig(
            vrid=51,
            addresses=self.facts["ours"],
            primary_address=self.facts["primary"],
            priority=given["priority"],
            advertisement_interval=float(given["interval"]),
            preempt=given["preempt"],
            rules=self.rules,
            **delays,
        )
        self.router = Router(self.config)
        self.model = Model(
            book=name,
            vrid=51,
            addresses=tuple(number(address) for address in self.facts["ours"]),
            primary=number(self.facts["primary"]),
            link_local=tuple(number(address) for address in self.facts["link_local"]),
            ipv6=family == 6,
            off=off,
            **given,
        )

    # -- events --

    def startup(self) -> None:
        self._agree(self.router.handle(Startup(), float(self.now)), self.model.startup(self.now))

    def shutdown(self, resign: bool = True) -> None:
        self._agree(self.router.handle(Shutdown(resign=resign), float(self.now)), self.model.shutdown(resign))

    def timer(self) -> None:
        self._agree(self.router.handle(TimerExpired(), float(self.now)), self.model.timer(self.now))

    def priority(self, priority: int) -> None:
        actions = self.router.handle(PriorityChanged(priority), float(self.now))
        self._agree(actions, self.model.priority_changed(priority, self.now))

    def hears(self, priority: int, **given: Any) -> None:
        """A datagram; what is not given is as our own would be, from another router."""
        usual = {
            "version": self.rules.version,
            "vrid": 51,
            "interval": self.model.interval,
            "addresses": self.facts["ours"],
            "auth_type": 0,
            "source": self.facts["sources"][2],
            "ttl": 255,
        }
        said = usual | given | {"priority": priority}
        datagram = self._datagram(**said)
        said["addresses"] = tuple(number(address) for address in said["addresses"])
        said["source"] = number(said["source"])
        self._agree(self.router.receive(datagram, float(self.now)), self.model.advert(Advert(**said), self.now))

    def _datagram(self, *, version: int, interval: Fraction, auth_type: int, **said: Any) -> Datagram:
        source, ttl = said.pop("source"), said.pop("ttl")
        packet: VRRPv2 | VRRPv3
        if version == 2:
            packet = VRRPv2(**said, advertisement_interval=int(interval), auth_type=auth_type)
        else:
            packet = VRRPv3(**said, max_advertise_interval=int(interval * 100))
        payload = packet.encode(source, self.facts["group"], form=ChecksumForm.PSEUDO_HEADER)
        return Datagram(payload, source, self.facts["group"], ttl)

    # -- the comparison --

    def _agree(self, actions: tuple[Action, ...], expected: list[Any]) -> None:
        assert [self._plain(action) for action in actions] == [
            (kind, PROBLEMS[rest[0]]) if kind in ("discard", "warn") else (kind, *rest) for kind, *rest in expected
        ]
        self.compare()

    def compare(self) -> None:
        router, plain = self.router, self.model
        assert router.state == plain.state
        assert router.priority == plain.priority
        assert abs(Fraction(router.active_adver_interval) - plain.learned) < MICROSECOND
        assert (router.deadline is None) == (plain.deadline is None)
        if router.deadline is not None and plain.deadline is not None:
            assert abs(Fraction(router.deadline) - plain.deadline) < MICROSECOND

    def _plain(self, action: Action) -> Any:
        match action:
            case Activate():
                return ("activate",)
            case Deactivate():
                return ("deactivate",)
            case Announce():
                return ("announce", number(action.address))
            case StateChanged():
                return ("state", action.old, action.new, action.reason)
            case Discarded():
                return ("discard", action.reason)
            case Warned():
                return ("warn", action.reason)
            case Stalled():
                return ("stalled",)
            case SendAdvertisement():
                datagram = action.datagram()
                assert datagram == self._datagram(
                    version=self.rules.version,
                    vrid=51,
                    priority=action.packet.priority,
                    interval=self.model.interval,  # our own, never the one that was learned
                    addresses=self.facts["ours"],
                    auth_type=0,
                    source=self.facts["primary"],
                    ttl=255,
                )
                return ("send", action.packet.priority)
        raise AssertionError(f"neither the text nor a switch knows of {action!r}")


class Playing(RuleBasedStateMachine):
    """Anything that may happen, in any order, at any time."""

    @initialize(data=st.data(), name=st.sampled_from(sorted(RULES)))
    def begin(self, data: st.DataObject, name: str) -> None:
        version = RULES[name].version
        self.pair = Pair(
            name,
            data.draw(st.sampled_from((4, 6) if version == 3 else (4,)), "family"),
            priority=data.draw(st.sampled_from(PRIORITIES), "priority"),
            interval=data.draw(st.sampled_from(INTERVALS[version]), "interval"),
            preempt=data.draw(st.booleans(), "preempt"),
            preempt_delay=data.draw(st.sampled_from(DELAYS), "preempt_delay"),
            startup_delay=data.draw(st.sampled_from(DELAYS), "startup_delay"),
        )
        self.intervals = [*INTERVALS[version], Fraction(0), Fraction(2)]
        if data.draw(st.integers(0, 3), "started"):
            self.pair.startup()

    @rule()
    def startup(self) -> None:
        self.pair.startup()

    @rule(resign=st.booleans())
    def shutdown(self, resign: bool) -> None:
        self.pair.shutdown(resign)

    @rule(microseconds=st.integers(0, 5_000_000))
    def time_passes(self, microseconds: int) -> None:
        """Without a look at the timers, as while a process stands still; an odd number, so no two instants meet."""
        self.pair.now += (2 * microseconds + 1) * MICROSECOND

    @rule()
    def timer_whenever(self) -> None:
        self.pair.timer()

    def _to_deadline(self, offset: Fraction = Fraction(0)) -> None:
        deadline = self.pair.router.deadline  # as the caller of a Router knows it: a float
        assert deadline is not None
        self.pair.now = max(self.pair.now, Fraction(deadline) + offset)

    @precondition(lambda self: self.pair.model.deadline is not None)
    @rule()
    def timer_just_before(self) -> None:
        self._to_deadline(-MICROSECOND)
        self.pair.timer()

    @precondition(lambda self: self.pair.model.deadline is not None)
    @rule()
    def timer_on_time(self) -> None:
        """At the deadline, or at the instant to which things have been let slip."""
        self._to_deadline()
        self.pair.timer()

    @precondition(lambda self: self.pair.model.deadline is not None)
    @rule(late=st.integers(1, 12_000_000))
    def timer_late(self, late: int) -> None:
        self._to_deadline((2 * late + 1) * MICROSECOND)
        self.pair.timer()

    @rule(priority=st.sampled_from((0, *PRIORITIES)), source=st.integers(0, 5))
    def hears(self, priority: int, source: int) -> None:
        self.pair.hears(priority, source=self.pair.facts["sources"][source])

    @precondition(lambda self: self.pair.model.deadline is not None)
    @rule(priority=st.sampled_from((0, *PRIORITIES)), late=st.booleans())
    def hears_when_a_timer_is_due(self, priority: int, late: bool) -> None:
        self._to_deadline(MICROSECOND if late else Fraction(0))
        self.pair.hears(priority)

    @rule(data=st.data(), priority=st.sampled_from((0, *PRIORITIES)))
    def hears_something_odd(self, data: st.DataObject, priority: int) -> None:
        """Up to three things at once that are not as usual, so that the order of the checks shows."""
        facts, version = self.pair.facts, self.pair.rules.version
        odd: dict[str, st.SearchStrategy[Any]] = {
            "interval": st.sampled_from([i for i in self.intervals if version == 3 or i.denominator == 1]),
            "addresses": st.sampled_from(facts["lists"]),
            "vrid": st.sampled_from((0, 1, 52)),
            "ttl": st.sampled_from((254, 0)),
            "source": st.sampled_from(facts["sources"]),
        }
        if version == 2:
            odd["auth_type"] = st.sampled_from((1, 2, 3))
        names = data.draw(st.lists(st.sampled_from(sorted(odd)), min_size=1, max_size=3, unique=True), "odd")
        self.pair.hears(priority, **{name: data.draw(odd[name], name) for name in names})

    @precondition(lambda self: self.pair.config.family == 4)
    @rule(priority=st.sampled_from(PRIORITIES))
    def hears_the_other_version(self, priority: int) -> None:
        self.pair.hears(priority, version=5 - self.pair.rules.version, interval=Fraction(1))

    @rule(priority=st.sampled_from(PRIORITIES))
    def gets_another_priority(self, priority: int) -> None:
        self.pair.priority(priority)

    @invariant()
    def same(self) -> None:
        if hasattr(self, "pair"):
            self.pair.compare()


TestPlaying = Playing.TestCase
TestPlaying.settings = settings(
    max_examples=80, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


# -- every switch and every departure makes a difference: here is the shortest --


def play(name: str, off: str = "", **given: Any) -> Pair:
    """A pair that has started."""
    pair = Pair(name, off=frozenset({off}) if off else frozenset(), **given)
    pair.startup()
    return pair


def promoted(pair: Pair) -> Pair:
    assert pair.router.deadline is not None
    pair.now = Fraction(pair.router.deadline)
    pair.timer()
    assert pair.model.state == "active"
    return pair


def two_losing_advertisements(off: str) -> None:
    pair = promoted(play("RFC9568", off))
    pair.hears(50)
    pair.now += MICROSECOND
    pair.hears(50)


def its_own_address(off: str) -> None:
    pair = promoted(play("RFC9568", off))
    pair.hears(100, source=FAMILIES[4]["primary"], addresses=["192.0.2.254"])


def its_own_message(off: str) -> None:
    promoted(play("RFC9568", off)).hears(100, source=FAMILIES[4]["primary"])


def interval_0(off: str) -> None:
    play("RFC5798", off).hears(200, interval=Fraction(0))


def owner_that_does_not_preempt(off: str) -> None:
    pair = play("RFC9568", off, preempt=False)
    pair.now += 1
    pair.priority(255)
    pair.hears(100)


def late_timer(off: str) -> None:
    pair = promoted(play("RFC9568", off))
    pair.now += Fraction(3, 2)
    pair.timer()


def priority_changed(off: str) -> None:
    play("RFC9568", off).priority(200)


def stalled(off: str) -> None:
    pair = promoted(play("RFC9568", off))
    pair.now += 3
    pair.timer()


def owner_no_more(off: str) -> None:
    play("RFC9568", off, startup_delay=Fraction(60), priority=255).priority(100)


def two_things_wrong(off: str) -> None:
    play("RFC9568", off).hears(200, vrid=52, addresses=[])


WITNESSES = {
    "answers are bounded": two_losing_advertisements,
    "its own address is not answered": its_own_address,
    "what it sent itself is dropped": its_own_message,
    "interval 0 is refused": interval_0,
    "an owner preempts": owner_that_does_not_preempt,
    "the cadence is kept": late_timer,
    "a change of priority moves the timer": priority_changed,
    "a stall is reported": stalled,
    "bytes first": two_things_wrong,
}


def test_every_switch_has_a_witness() -> None:
    assert set(WITNESSES) == set(model.SWITCHES)


@pytest.mark.parametrize("name", model.SWITCHES)
def test_where_vrrplib_leaves_the_text_it_does_so_as_documented(name: str) -> None:
    WITNESSES[name]("")
    with pytest.raises(AssertionError):
        WITNESSES[name](name)


def test_who_ceases_to_be_the_owner_while_its_start_up_delay_runs_waits_as_whoever_starts() -> None:
    owner_no_more("")


def test_the_order_of_the_checks_is_that_of_each_document() -> None:
    play("RFC9568").hears(200, interval=Fraction(2), addresses=["192.0.2.254"])
    play("RFC2338").hears(200, vrid=52, auth_type=1)
    play("RFC3768").hears(200, vrid=52, auth_type=1)


def test_a_change_of_priority_leaves_the_startup_delay_as_it_is() -> None:
    play("RFC9568", startup_delay=Fraction(60)).priority(101)


def test_a_resignation_is_not_forgotten_because_of_a_losing_advertisement() -> None:
    pair = play("RFC9568")
    pair.hears(0)
    pair.hears(50)
    pair.priority(101)  # the skew is another one, and not the down interval


def test_what_is_not_answered_does_not_use_up_an_answer() -> None:
    pair = promoted(play("RFC5798"))
    pair.hears(50)
    pair.hears(0)


def test_the_model_shares_no_code_with_vrrplib() -> None:
    assert "vrrplib" not in {name.split(".")[0] for name in vars(model)}
    assert not any(getattr(value, "__module__", "").startswith("vrrplib") for value in vars(model).values())
