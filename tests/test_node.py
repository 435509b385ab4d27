"""Node: its life, and what it does when the host fails; test_node_frames.py has what comes and goes by wire."""

from __future__ import annotations

import itertools

import pytest

from tests.election.play import ACTIVE, BACKUP, INITIALIZE, V6, config
from tests.node_parts import (
    AloneBackend,
    BatchBackend,
    FakeBackend,
    FakeWatch,
    Rig,
    active,
    rival_frame,
    states,
)
from vrrplib.backends.base import HostChangeKind
from vrrplib.election.actions import HostChanged, HostFailed, LeftAlone
from vrrplib.election.events import ConfigChanged, Shutdown, Startup
from vrrplib.election.router import Router
from vrrplib.election.states import Reason
from vrrplib.errors import BackendError, ConfigError
from vrrplib.member import FIRST_RETRY, LAST_RETRY, MOST_REPAIRS, QUIET, REPORT_SPACING
from vrrplib.node import MOST_CHANGES_PER_STEP

OWNER = config(priority=255)
DOWN = 3 + 156 / 256  # Active_Down_Interval of config()
PROMOTION = ["activate 1", "advert 1 100", "announce", "announce"]


def failures(notices) -> list[str]:
    return [notice.report.doing for notice in notices if isinstance(notice.report, HostFailed)]


# -- who may be added, and removed --


def test_a_second_router_of_the_same_family_and_vrid_is_refused():
    rig = Rig(config(vrid=1))
    rig.add(config(vrid=1, **V6))  # the same VRID in the other family is another virtual router
    with pytest.raises(ConfigError, match="vrid must differ on mem0, but 1 is there twice for IPv4"):
        rig.add(config(vrid=1))


@pytest.mark.parametrize("kinds", [(AloneBackend, FakeBackend), (FakeBackend, AloneBackend)])
def test_an_exclusive_backend_stands_no_company(kinds):
    rig = Rig(config(vrid=1), backend=kinds[0])
    with pytest.raises(ConfigError, match="AloneBackend must be alone on mem0"):
        rig.add(config(vrid=2), kinds[1])
    assert len(rig.node.routers) == 1


def test_routers_are_added_before_the_start():
    rig = Rig()
    rig.node.start(0.0)
    with pytest.raises(ConfigError, match="before the Node is started"):
        rig.add(config(vrid=2))


def test_a_router_of_another_node_is_refused():
    with pytest.raises(ConfigError, match="must have been added"):
        Rig().node.handle(Router(config()), Startup(), 0.0)


def test_remove_resigns_and_gives_the_host_back():
    rig = active(config(vrid=1), config(vrid=2))
    notices = rig.node.remove(rig.router, 11.0)
    assert rig.take_log() == ["advert 1 0", "deactivate 1", "close 1"]
    assert states(notices) == [(ACTIVE, INITIALIZE, Reason.SHUTDOWN)]
    assert rig.node.routers == (rig.routers[1],)
    with pytest.raises(ConfigError):
        rig.node.remove(rig.router, 11.0)


# -- start and stop --


def test_start_prepares_everything_before_it_starts_anything():
    rig = Rig(config(vrid=1, priority=255), config(vrid=2, priority=255))
    rig.node.start(0.0)
    assert rig.take_log() == [
        "prepare 1",
        "prepare 2",
        *("activate 1", "advert 1 255", "announce", "announce"),
        *("activate 2", "advert 2 255", "announce", "announce"),
    ]


def test_start_gives_back_what_it_prepared_and_raises_the_first_error():
    rig = Rig(config(vrid=1), config(vrid=2), config(vrid=3))
    rig.backends[1].failing = {"prepare", "close"}  # the error of close() must not hide that of prepare()
    with pytest.raises(BackendError, match="prepare refused"):
        rig.node.start(0.0)
    assert rig.take_log() == ["prepare 1", "prepare 2", "close 1", "close 2"]
    assert {router.state for router in rig.routers} == {INITIALIZE}
    assert rig.node.deadline is None


def test_start_gives_back_the_backends_of_another_kind_too():
    rig = Rig(config(vrid=1))
    rig.add(config(vrid=2), type("OtherBackend", (FakeBackend,), {}))
    rig.backends[1].failing = {"prepare"}
    with pytest.raises(BackendError):
        rig.node.start(0.0)
    assert rig.take_log() == ["prepare 1", "prepare 2", "close 2", "close 1"]


def test_backends_of_one_kind_are_prepared_and_closed_together():
    BatchBackend.batches.clear()
    rig = Rig(config(vrid=1), config(vrid=2), backend=BatchBackend)
    rig.node.start(0.0)
    rig.node.stop(1.0)
    assert BatchBackend.batches == ["prepare 2", "close 2"]


def test_a_stopped_node_can_be_started_again():
    rig = active()
    rig.node.stop(11.0)
    rig.take_log()
    assert states(rig.node.start(20.0)) == [(INITIALIZE, BACKUP, Reason.STARTUP)]
    assert rig.take_log() == ["prepare 1"]
    assert rig.node.deadline == pytest.approx(20 + DOWN)


def test_stop_resigns_everywhere_before_the_first_close():
    rig = active(config(vrid=1), config(vrid=2))
    rig.node.stop(11.0)
    assert rig.take_log() == [
        *("advert 1 0", "deactivate 1", "advert 2 0", "deactivate 2"),
        *("close 1", "close 2"),
    ]
    assert rig.node.deadline is None
    rig.transport.send(rival_frame())  # the transport stays open


def test_stop_goes_on_when_a_backend_does_not_close():
    rig = active(config(vrid=1), config(vrid=2))
    rig.backend.failing = {"close", "deactivate"}
    notices = rig.node.stop(11.0)
    assert failures(notices) == ["deactivate", "close"]
    assert [notice.vrid for notice in notices if isinstance(notice.report, HostFailed)] == [1, 1]
    assert "close 2" in rig.take_log()


# -- the host refuses --


def test_a_takeover_that_the_host_refuses_is_not_advertised():
    rig = Rig()
    rig.node.start(0.0)
    rig.backend.failing = {"activate"}
    rig.take_log()
    notices = rig.node.step(DOWN)
    assert rig.take_log() == ["activate 1", "deactivate 1"]  # half an activate is undone; nothing was sent
    assert failures(notices) == ["activate"]
    assert states(notices)[-1][1:] == (INITIALIZE, Reason.HOST)
    assert rig.node.deadline == DOWN + FIRST_RETRY


def test_the_retry_prepares_anew_and_starts_as_backup():
    rig = Rig()
    rig.node.start(0.0)
    rig.backend.failing = {"activate"}
    rig.node.step(DOWN)
    rig.take_log()
    rig.backend.failing = set()
    notices = rig.node.step(DOWN + FIRST_RETRY)
    assert rig.take_log() == ["close 1", "prepare 1"]
    assert states(notices) == [(INITIALIZE, BACKUP, Reason.STARTUP)]
    rig.node.step(2 * DOWN + FIRST_RETRY)
    assert rig.take_log() == PROMOTION


def test_retries_back_off_to_a_minute_and_begin_anew_after_success():
    rig = Rig(OWNER)  # an owner becomes Active at once, and so fails at once
    rig.backend.failing = {"activate"}
    rig.node.start(0.0)
    now, waits = 0.0, []
    for _ in range(8):
        assert rig.node.deadline is not None
        waits.append(rig.node.deadline - now)
        now = rig.node.deadline
        rig.node.step(now)
    assert waits == [1, 2, 4, 8, 16, 32, LAST_RETRY, LAST_RETRY]
    rig.backend.failing = set()
    now = rig.node.deadline
    rig.node.step(now)
    assert rig.router.state is ACTIVE
    rig.backend.failing = {"reconfigure"}
    rig.node.handle(rig.router, ConfigChanged(OWNER), now)
    assert rig.node.deadline == now + FIRST_RETRY


def test_a_retry_that_cannot_prepare_is_reported_and_tried_again():
    rig = Rig(OWNER)
    rig.backend.failing = {"activate"}
    rig.node.start(0.0)
    rig.backend.failing = {"prepare"}
    assert failures(rig.node.step(1.0)) == ["prepare"]
    assert rig.node.deadline == 3.0


def test_a_failing_deactivate_is_reported_and_the_list_goes_on():
    rig = active()
    rig.backend.failing = {"deactivate"}
    rig.transport.deliver(rival_frame(200))
    notices = rig.node.step(10.1)
    assert failures(notices) == ["deactivate"]
    assert states(notices) == [(ACTIVE, BACKUP, Reason.HIGHER_PRIORITY)]


def test_a_failing_send_is_reported_and_stops_nothing():
    rig = Rig()
    rig.node.start(0.0)
    rig.transport.failing = True
    notices = rig.node.step(DOWN)
    assert failures(notices) == ["sendadvertisement", "announce"]
    assert states(notices) == [(BACKUP, ACTIVE, Reason.NO_RESPONSE)]
    rig.transport.failing = False
    rig.take_log()
    rig.node.step(DOWN + 1)
    assert rig.take_log() == ["advert 1 100"]


def test_sends_that_fail_again_and_again_are_told_now_and_then():
    rig = active(config(advertisement_interval=0.01))
    rig.transport.failing = True
    told = []
    for tick in range(1, 1101):
        told += rig.node.step(10 + tick / 100)
    assert [notice.report.doing for notice in told] == ["sendadvertisement"] * 2
    assert told[1].time >= told[0].time + REPORT_SPACING
    assert told[1].suppressed >= 990


def test_a_reconfigure_that_fails_takes_the_router_down_without_a_word():
    rig = active()
    rig.backend.failing = {"reconfigure"}
    notices = rig.node.handle(rig.router, ConfigChanged(config(priority=120)), 10.5)
    assert failures(notices) == ["reconfigure"]
    assert rig.take_log() == ["reconfigure 1", "deactivate 1"]
    assert rig.router.state is INITIALIZE


def test_a_new_configuration_while_waiting_for_the_host_does_not_cancel_the_retry():
    rig = active()
    rig.backend.failing = {"reconfigure"}
    rig.node.handle(rig.router, ConfigChanged(config(priority=120)), 10.5)
    rig.backend.failing = set()
    rig.node.handle(rig.router, ConfigChanged(config(priority=130)), 10.6)
    assert rig.node.deadline == 10.5 + FIRST_RETRY
    rig.node.step(10.5 + FIRST_RETRY)
    assert rig.router.state is BACKUP
    assert rig.router.priority == 130


def test_a_shutdown_by_the_caller_ends_the_retries():
    rig = active()
    rig.backend.failing = {"reconfigure"}
    rig.node.handle(rig.router, ConfigChanged(config()), 10.5)
    rig.node.handle(rig.router, Shutdown(), 10.6)
    assert rig.node.deadline is None


# -- the host changes by itself --


@pytest.fixture
def watch():
    watch = FakeWatch()
    yield watch
    watch.close()


ABSENT = [HostChangeKind.PARENT_DOWN, HostChangeKind.CARRIER_LOST, HostChangeKind.PARENT_GONE]
TAKEN = [
    HostChangeKind.LINK_LOST, HostChangeKind.LINK_DOWN, HostChangeKind.MAC_CHANGED, HostChangeKind.ADDRESS_LOST,
    HostChangeKind.FILTER_LOST,
]  # fmt: skip
UP = HostChangeKind.PARENT_UP


def answers(notices) -> list[tuple[str, str]]:
    return [(item.report.change, item.report.answer) for item in notices if isinstance(item.report, HostChanged)]


@pytest.mark.parametrize("kind", ABSENT)
def test_an_interface_lost_while_active_is_left_without_resigning(watch, kind):
    rig = active(watch=watch)
    watch.add(kind, "eth0 went away")
    notices = rig.node.step(10.5)
    assert rig.take_log() == ["deactivate 1"]  # nobody would hear a priority 0
    assert states(notices) == [(ACTIVE, INITIALIZE, Reason.HOST)]
    assert notices[0].report == HostChanged(kind, "eth0 went away", "waits")


@pytest.mark.parametrize("kind", ABSENT)
def test_a_backup_does_not_become_active_without_its_interface(watch, kind):
    rig = Rig(watch=watch)
    rig.node.start(0.0)
    watch.add(kind)
    notices = rig.node.step(1.0)
    assert states(notices) == [(BACKUP, INITIALIZE, Reason.HOST)]
    assert rig.node.deadline is None
    rig.node.step(1000.0)
    assert rig.router.state is INITIALIZE


@pytest.mark.parametrize("kind", [HostChangeKind.PARENT_DOWN, HostChangeKind.CARRIER_LOST])
def test_when_the_interface_is_up_again_the_router_starts_with_what_was_prepared(watch, kind):
    rig = active(watch=watch)
    watch.add(kind)
    rig.node.step(10.5)
    rig.take_log()
    watch.add(UP, "eth0 is up")
    notices = rig.node.step(1001.0)
    assert answers(notices) == [("parent-up", "restarts")]
    assert states(notices) == [(INITIALIZE, BACKUP, Reason.STARTUP)]
    assert rig.take_log() == []
    assert rig.node.deadline == pytest.approx(1001 + DOWN)


def test_an_interface_that_was_removed_and_is_there_again_is_prepared_anew(watch):
    rig = active(watch=watch)
    watch.add(HostChangeKind.PARENT_GONE)
    watch.add(HostChangeKind.PARENT_DOWN)  # a new one is down at first
    rig.node.step(10.5)
    rig.take_log()
    watch.add(UP)
    assert states(rig.node.step(11.0)) == [(INITIALIZE, BACKUP, Reason.STARTUP)]
    assert rig.take_log() == ["reopen", "close 1", "prepare 1"]


def several_gone(watch, count=8) -> Rig:
    rig = active(*(config(vrid=vrid) for vrid in range(1, count + 1)), backend=BatchBackend, watch=watch)
    watch.add(HostChangeKind.PARENT_GONE)
    rig.node.step(10.5)
    watch.add(UP)
    rig.take_log()
    BatchBackend.batches.clear()
    return rig


def test_many_on_an_interface_that_is_there_again_are_prepared_together(watch):
    rig = several_gone(watch)
    notices = rig.node.step(11.0)
    assert BatchBackend.batches == ["close 8", "prepare 8"]
    assert rig.take_log() == ["reopen"]
    assert states(notices) == [(INITIALIZE, BACKUP, Reason.STARTUP)] * 8
    rig.node.step(11.1)
    assert len(BatchBackend.batches) == 2


def test_one_that_cannot_be_prepared_anew_spoils_none_of_the_others(watch):
    rig = several_gone(watch)
    rig.backends[2].failing = {"prepare"}
    notices = rig.node.step(11.0)
    assert [(notice.vrid, notice.report.doing) for notice in notices if isinstance(notice.report, HostFailed)] == [
        (3, "prepare")
    ]
    assert [router.state for router in rig.routers] == [BACKUP] * 2 + [INITIALIZE] + [BACKUP] * 5
    # all, halves and quarters, and of that which it spoils each by itself
    assert [batch for batch in BatchBackend.batches if batch.startswith("prepare")] == [
        f"prepare {count}" for count in (8, 4, 2, 2, 4)
    ]
    assert rig.take_log() == ["reopen", "close 3", "prepare 3", "close 4", "prepare 4"]
    assert rig.node.deadline == 11.0 + FIRST_RETRY
    rig.backends[2].failing = set()
    rig.node.step(11.0 + FIRST_RETRY)
    assert rig.take_log() == ["close 3", "prepare 3"]
    assert {router.state for router in rig.routers} == {BACKUP}


def test_many_that_gave_up_at_the_same_time_are_tried_again_together_after_the_adverts(monkeypatch):
    rig = active(*(config(vrid=vrid) for vrid in range(1, 6)), backend=BatchBackend)
    for router, backend in zip(rig.routers[:4], rig.backends, strict=False):
        backend.failing = {"reconfigure"}
        rig.node.handle(router, ConfigChanged(router.config), 10.0)
    order = rig.transport.log = []
    monkeypatch.setattr(BatchBackend, "batches", order)
    rig.node.step(10.0 + FIRST_RETRY)
    assert order == ["advert 5 100", "close 4", "prepare 4"]
    assert [router.state for router in rig.routers] == [BACKUP] * 4 + [ACTIVE]


def test_a_transport_that_cannot_be_opened_again_is_told_of(watch):
    rig = active(watch=watch)
    watch.add(HostChangeKind.PARENT_GONE)
    rig.node.step(10.5)
    rig.transport.failing = True
    watch.add(UP)
    notices = rig.node.step(11.0)
    assert failures(notices) == ["reopen"]
    assert (notices[0].family, notices[0].vrid) == (None, None)
    assert rig.router.state is INITIALIZE
    assert rig.node.deadline is None


def test_a_router_without_a_carrier_is_not_started(watch):
    rig = Rig(OWNER, watch=watch)
    watch.add(HostChangeKind.CARRIER_LOST, "eth0 has no carrier")
    notices = rig.node.start(0.0)
    assert rig.take_log() == ["prepare 1"]
    assert answers(notices) == [("carrier-lost", "waits")]
    assert answers(rig.node.handle(rig.router, Startup(), 1.0)) == [("carrier-lost", "waits")]
    assert rig.router.state is INITIALIZE
    watch.add(UP)
    rig.node.step(5.0)
    assert rig.router.state is ACTIVE


@pytest.mark.parametrize("kind", TAKEN)
def test_what_somebody_takes_away_is_put_back_at_once_and_announced(watch, kind):
    rig = active(watch=watch)
    watch.add(kind, "it was taken")
    notices = rig.node.step(10.5)
    assert [notice.report for notice in notices] == [HostChanged(kind, "it was taken", "repaired")]
    assert rig.take_log() == ["repair 1", "announce", "announce"]
    assert rig.router.state is ACTIVE


def test_a_backup_is_repaired_without_a_word(watch):
    rig = Rig(watch=watch)
    rig.node.start(0.0)
    rig.take_log()
    watch.add(HostChangeKind.LINK_LOST)
    assert answers(rig.node.step(1.0)) == [("link-lost", "repaired")]
    assert rig.take_log() == ["repair 1"]
    assert rig.router.state is BACKUP


def test_only_whom_it_concerns_is_repaired(watch):
    rig = active(config(vrid=1), config(vrid=2), watch=watch)
    watch.add(HostChangeKind.ADDRESS_LOST, backend=rig.backends[1])
    notices = rig.node.step(10.5)
    assert [(notice.vrid, notice.report.answer) for notice in notices] == [(2, "repaired")]
    assert rig.take_log()[0] == "repair 2"


def test_what_cannot_be_had_back_is_resigned_and_tried_again(watch):
    rig = active(watch=watch)
    rig.backend.failing = {"repair"}
    watch.add(HostChangeKind.ADDRESS_LOST)
    notices = rig.node.step(10.5)
    assert rig.take_log() == ["repair 1", "advert 1 0", "deactivate 1"]  # the peers hear it: the parent is up
    assert answers(notices) == [("address-lost", "gave-up")]
    assert failures(notices) == ["repair"]
    assert states(notices) == [(ACTIVE, INITIALIZE, Reason.HOST)]
    rig.node.step(10.5 + FIRST_RETRY)
    assert rig.take_log() == ["close 1", "prepare 1"]
    assert rig.router.state is BACKUP


def test_a_fight_over_an_address_ends_soon_and_begins_ever_later(watch):
    """NetworkManager, say, removes the address each time, and nobody else is on the LAN."""
    rig = active(watch=watch)
    now, gave_up, repaired = 10.5, [], 0
    while now < 600:
        if rig.router.state is ACTIVE:
            watch.add(HostChangeKind.ADDRESS_LOST)
        notices = answers(rig.node.step(now))
        repaired += notices.count(("address-lost", "repaired"))
        if ("address-lost", "gave-up") in notices:
            gave_up.append(now)
        now += 0.01 if rig.node.deadline is None else max(0.01, rig.node.deadline - now)
    assert repaired <= MOST_REPAIRS * 600 / QUIET
    assert 5 <= len(gave_up) <= 40
    assert max(b - a for a, b in itertools.pairwise(gave_up)) > LAST_RETRY / 2


def test_repairs_now_and_then_are_no_fight(watch):
    rig = active(watch=watch)
    for time in range(100):
        watch.add(HostChangeKind.ADDRESS_LOST)
        now = 10 + time * (QUIET / MOST_REPAIRS + 1)
        assert answers(rig.node.step(now)) == [("address-lost", "repaired")], now


def test_what_is_lost_while_waiting_is_made_anew_then(watch):
    rig = active(watch=watch)
    watch.add(HostChangeKind.CARRIER_LOST)
    watch.add(HostChangeKind.LINK_LOST)
    rig.node.step(10.5)
    rig.take_log()
    watch.add(UP)
    rig.node.step(11.0)
    assert rig.take_log() == ["close 1", "prepare 1"]


def test_hundreds_of_changes_keep_nobody_from_advertising(watch):
    """A firewall that is reloaded takes the tables of all virtual routers at once."""
    rig = active(*(config(vrid=vrid) for vrid in range(1, 101)), watch=watch)
    rig.node.step(10.5)
    due = rig.node.deadline
    rig.take_log()
    for backend in rig.backends:
        watch.add(HostChangeKind.FILTER_LOST, backend=backend)
    notices = rig.node.step(due - 0.01)
    assert len(answers(notices)) == MOST_CHANGES_PER_STEP
    assert rig.node.deadline < due
    watch.add(HostChangeKind.FILTER_LOST, backend=rig.backends[-1])  # what it would tell again, if it was asked
    rig.take_log()
    notices += rig.node.step(due)
    assert sum(line.startswith("advert") for line in rig.take_log()) == 100
    while rig.node.deadline < due:
        assert len(watch.changes) == 1
        notices += rig.node.step(due)
    assert [notice.vrid for notice in notices] == list(range(1, 101))


def test_filters_are_put_back_while_waiting_too(watch):
    """A link with addresses must be silent when its carrier is back. But there is no fight for them."""
    rig = active(watch=watch)
    watch.add(HostChangeKind.CARRIER_LOST)
    rig.node.step(10.5)
    rig.take_log()
    for _ in range(MOST_REPAIRS):
        watch.add(HostChangeKind.FILTER_LOST)
        assert answers(rig.node.step(10.6)) == [("filter-lost", "repaired")]
    assert rig.take_log() == ["repair 1"] * MOST_REPAIRS
    watch.add(HostChangeKind.FILTER_LOST)
    assert answers(rig.node.step(10.7)) == [("filter-lost", "gave-up")]
    watch.add(HostChangeKind.FILTER_LOST)
    assert rig.node.step(10.8) == ()
    assert rig.node.deadline is None
    watch.add(UP)
    rig.node.step(11.0)
    assert rig.take_log() == ["close 1", "prepare 1"]


@pytest.mark.parametrize("fails", [False, True])
def test_filters_of_a_router_that_the_caller_shut_down_do_not_start_it(watch, fails):
    rig = active(watch=watch)
    rig.node.handle(rig.router, Shutdown(), 10.4)
    rig.backend.failing = {"repair"} if fails else set()
    watch.add(HostChangeKind.FILTER_LOST)
    assert answers(rig.node.step(10.5)) == [("filter-lost", "gave-up" if fails else "repaired")]
    rig.node.step(1000.0)
    assert rig.router.state is INITIALIZE


def test_a_parent_that_goes_down_stops_the_retries_that_were_due(watch):
    rig = active(watch=watch)
    rig.backend.failing = {"repair"}
    watch.add(HostChangeKind.LINK_LOST)
    rig.node.step(10.5)
    watch.add(HostChangeKind.PARENT_DOWN)
    rig.node.step(10.6)
    assert rig.node.deadline is None


def test_a_parent_that_comes_up_does_not_start_what_the_caller_shut_down(watch):
    rig = active(watch=watch)
    rig.node.handle(rig.router, Shutdown(), 10.5)
    watch.add(UP)
    rig.node.step(10.6)
    assert rig.router.state is INITIALIZE


def test_a_renamed_interface_goes_on_under_its_new_name(watch):
    rig = active(watch=watch)
    watch.add(HostChangeKind.PARENT_RENAMED, "mem0 was renamed to lan0", value="lan0")
    (notice,) = rig.node.step(10.5)
    assert notice.report == HostChanged("parent-renamed", "mem0 was renamed to lan0", "went-on")
    assert (notice.interface, notice.family, notice.vrid) == ("lan0", None, None)
    assert rig.take_log() == ["renamed lan0"]
    assert rig.node.step(11.0) == ()
    assert rig.take_log() == ["advert 1 100"]


def test_another_mac_of_the_parent_is_told_and_no_more(watch):
    rig = active(watch=watch)
    watch.add(HostChangeKind.PARENT_MAC, "mem0 has another MAC", value="02:00:00:00:00:99")
    assert answers(rig.node.step(10.5)) == [("parent-mac", "went-on")]
    assert rig.take_log() == []


def test_the_watch_follows_who_is_there(watch):
    rig = active(config(vrid=1), config(vrid=2), watch=watch)
    assert watch.followed == rig.backends
    rig.node.remove(rig.router, 11.0)
    assert watch.followed == rig.backends[1:]


@pytest.mark.parametrize("end", ["stop", "remove"])
def test_what_was_left_alone_is_told_at_the_end(end):
    rig = active()
    rig.backend.left = ["eth0's MAC is now another"]
    notices = rig.node.stop(11.0) if end == "stop" else rig.node.remove(rig.router, 11.0)
    assert notices[-1].report == LeftAlone("eth0's MAC is now another")


def test_the_watch_is_waited_for_too(watch, monkeypatch):
    rig = Rig(watch=watch)
    monkeypatch.setattr(rig.transport, "fileno", lambda: 77)
    assert rig.node.filenos == (77, watch.fileno())
