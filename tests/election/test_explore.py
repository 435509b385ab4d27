"""The exploration, small: two Routers until nothing new comes, under each rule set; and that it forgets nothing."""

from __future__ import annotations

import random

import pytest

from tests.election.explore.__main__ import RULES, Scope, main
from tests.election.explore.machine import DOWN, NOW, PRIORITIES, TICKS, Machine, Numbers, values_of
from tests.election.explore.system import DELAY
from vrrplib.election.actions import SendAdvertisement
from vrrplib.election.config import RouterConfig
from vrrplib.election.events import Event, PriorityChanged, Shutdown, Startup, TimerExpired
from vrrplib.election.router import Router
from vrrplib.wire.datagram import Datagram

# Skews that are multiples of 1/4 s: few phases, and so few states.
SMALL = Scope("small", 2, priorities=((128, 192),))
OWNERS = Scope("owners", 2, limit=3_000)
LONGEST = 3 * TICKS + 128  # ticks: the down interval of priority 128


@pytest.mark.parametrize("name", RULES)
def test_all_states_of_two_routers(name: str) -> None:
    found = SMALL.explore(RULES[name])
    assert found.search.complete
    assert len(found.search.states) > 10_000
    assert found.flaws == {}
    assert [machine.flaws for machine in found.search.system.machines] == [{}, {}]
    assert found.endless == {}
    assert found.none is not None
    assert found.many is not None
    assert found.unsettled is not None
    assert found.none.ticks == LONGEST + DELAY
    assert found.many.ticks == TICKS + DELAY  # the next advertisement
    assert found.unsettled.ticks == LONGEST + 3 * DELAY


@pytest.mark.parametrize("name", RULES)
def test_two_owners_never_agree_where_an_owner_does_not_listen(name: str) -> None:
    """RFC 3768 7.1, RFC 5798 7.1, RFC 9568 7.1 as published; not RFC 2338, and not with erratum 8298."""
    found = OWNERS.explore(RULES[name])
    assert found.flaws == {}
    assert [machine.flaws for machine in found.search.system.machines] == [{}, {}]
    deaf = name in ("RFC3768", "RFC5798", "RFC9568_PUBLISHED")
    assert set(found.endless) == ({"255 and 255"} if deaf else set())


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("seed", range(2))
def test_what_is_forgotten_of_a_router_does_not_matter(name: str, seed: int) -> None:
    """A Router that lives on, and the local states that stand for it: the same frames, and again the same state."""
    rng = random.Random(seed)
    config = RouterConfig(
        vrid=1, addresses=["192.0.2.254/24"], primary_address="192.0.2.2", priority=100, rules=RULES[name]
    )
    frames = Numbers()
    machine = Machine(config, frames)
    for rival in ("192.0.2.1", "192.0.2.3"):
        for priority in PRIORITIES:
            other = Machine(
                RouterConfig(
                    vrid=1,
                    addresses=["192.0.2.254/24"],
                    primary_address=rival,
                    priority=priority,
                    rules=RULES[name],
                ),
                frames,
            )
            backup = other.disturbed(DOWN)[0][1][0]
            active = other.fired(other.later(backup, max(other.deadline[backup], 0)))[0]
            other.disturbed(active)
    heard = list(frames.values)
    assert {datagram.payload[2] for datagram in heard} == {0, *PRIORITIES}

    router, now, local = Router(config), 10.0, machine.fresh
    for _ in range(600):
        due = machine.deadline[local]
        ticks = min(rng.choice((0, 0, 1, 5, DELAY, due, due)), due) if due >= 0 else rng.randrange(40)
        now, local = now + ticks / TICKS, machine.later(local, ticks)
        event: Event | Datagram
        if machine.deadline[local] == 0 and rng.random() < 0.7:
            event, outcome = TimerExpired(), machine.fired(local)
        elif rng.random() < 0.7:
            event = rng.choice(heard)
            outcome = machine.heard(local, frames.of(event))
        else:
            step, outcome = rng.choice([item for item in machine.disturbed(local) if item[1][0] != DOWN])
            priority = step & 1023
            event = PriorityChanged(priority) if priority else Shutdown() if machine.running[local] else Startup()
        actions = router.receive(event, now) if isinstance(event, Datagram) else router.handle(event, now)
        sent = [action.datagram() for action in actions if isinstance(action, SendAdvertisement)]
        assert sent == [frames.values[number] for number in outcome[1]]
        local = outcome[0]
        shifted = machine._shifted(values_of(router), now - NOW)
        assert machine.key(shifted) == machine.key(machine.values[local])


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scope", "three", "--rules", "RFC9568", "--states", "3000"]) == 0
    said = capsys.readouterr().out
    assert "== RFC9568, three\n" in said
    assert "WRONG" not in said
    assert "no Active for at most" in said
