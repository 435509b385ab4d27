"""A takeover on each kind of interface, by each technique, in each version and family."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.linux.lab import Lab
from tests.peers.daemons import Keepalived, Settings
from tests.vm.kinds import KINDS, Machine
from tests.vm.speaker import TECHNIQUES, VIRTUALS, Virtual
from tests.vm.story import KeepalivedStory, Lan, Story
from vrrplib.backends.netlink import NetlinkHost
from vrrplib.doctor.diagnosis import Severity
from vrrplib.doctor.gather import gather
from vrrplib.doctor.judge import diagnose
from vrrplib.errors import BackendError

WITH_KEEPALIVED = {("vlan", "v3-ipv4"), ("bond", "v3-ipv4")}


@pytest.fixture(scope="module", params=KINDS)
def lan(request: pytest.FixtureRequest) -> Iterator[Lan]:
    with Lab() as lab:
        yield Lan(lab, request.param)


def stories() -> Iterator[tuple[str, tuple[str, ...]]]:
    """A MAC swap stands no second virtual router on its interface; the others are all three there at once."""
    for name, technique in TECHNIQUES.items():
        if technique.exclusive:
            yield from ((name, (virtual,)) for virtual in VIRTUALS)
        else:
            yield name, tuple(VIRTUALS)


def words(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else "+".join(value)


@pytest.mark.parametrize(("technique", "names"), list(stories()), ids=words)
def test_takeover(lan: Lan, technique: str, names: tuple[str, ...], record: Callable[..., None]) -> None:
    if lan.kind == "macvlan" and technique == "macswap":
        with pytest.raises(BackendError, match="would not hear other routers"):
            TECHNIQUES[technique].make(
                lan.a.interface, VIRTUALS[names[0]].config(lan.a, 100), kernel(lan.a)
            ).prepare()
        assert lan.differences(lan.a) == []
        return
    seen = Story(lan, TECHNIQUES[technique], tuple(VIRTUALS[name] for name in names)).play()
    for name, values in seen.items():
        record(test="takeover", kind=lan.kind, technique=technique, family=name, other="vrrplib", **values)


def kernel(machine: Machine) -> NetlinkHost:
    return NetlinkHost(machine.host.namespace, state_dir=machine.state_dir)


def test_the_doctor_has_nothing_against_it(lan: Lan) -> None:
    found = diagnose(gather(lan.a.interface, netns=lan.a.host.namespace, state_dir=lan.a.state_dir, seconds=0))
    assert [each for each in found if each.topic == "interface-kind" and each.severity is Severity.PROBLEM] == []
    assert lan.differences(lan.a) == []


class Neighbour(Keepalived):
    """keepalived on an interface of some kind, as a Story's other router."""

    def __init__(self, machine: Machine, virtual: Virtual, *, use_vmac: bool) -> None:
        settings = Settings(
            version=virtual.version, family=virtual.family, vrid=virtual.vrid, interval=virtual.interval
        )
        super().__init__(machine.host, settings, use_vmac=use_vmac)
        self.interface = machine.interface
        self.virtual = virtual

    def config(self) -> str:
        text = super().config().replace("  interface eth0\n", f"  interface {self.interface}\n")
        for address in self.settings.addresses:
            text = text.replace(f"    {address}\n", "")
        ours = "".join(f"    {address}\n" for address in self.virtual.addresses)
        return text.replace("  virtual_ipaddress {\n", f"  virtual_ipaddress {{\n{ours}")

    def start(self) -> Neighbour:
        super().start()
        return self

    def wait(self, state: str) -> None:
        self.wait_state(state, 60)

    def crash(self) -> None:
        if self.processes:
            super().crash()

    @property
    def changes(self) -> list[str]:
        return [line for line in self.log.splitlines() if "Entering" in line]


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        pytest.param(kind, family, marks=() if (kind, family) in WITH_KEEPALIVED else pytest.mark.every_cell)
        for kind in KINDS
        for family in ("v3-ipv4", "v3-ipv6")
    ],
)
def test_keepalived_takes_over(kind: str, family: str, record: Callable[..., None]) -> None:
    """Ours is Active, and resigns to keepalived with use_vmac; the Backup's silence is keepalived's affair."""
    virtual = VIRTUALS[family]
    with Lab() as lab:
        lan = Lan(lab, kind)
        seen = KeepalivedStory(
            lan, TECHNIQUES["private"], (virtual,), Neighbour(lan.b, virtual, use_vmac=True)
        ).play()
    record(
        test="takeover", kind=kind, technique="private", family=family, other="keepalived use_vmac", **seen[family]
    )
