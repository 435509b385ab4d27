"""Death before any change, and dry runs, on other kinds of interface than tests/linux has them on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.linux.lab import Lab
from tests.linux.mortal import Mortal
from tests.vm.kinds import KINDS, Machine, settle
from tests.vm.speaker import TECHNIQUES, VIRTUALS, fork
from vrrplib.backends.dryrun import DryRunBackend
from vrrplib.backends.netlink import NetlinkHost, cleanup

FAMILIES = ("v3-ipv4", "v3-ipv6")
CRASHES = {("vrf", "private", "v3-ipv6"), ("bond", "macswap", "v3-ipv4")}
DRY_RUNS = {
    ("vlan", "private", "v3-ipv4"), ("vrf", "private", "v3-ipv4"), ("vrf", "private", "v3-ipv6"),
    ("bond", "macswap", "v3-ipv6"), ("bridge", "announce", "v3-ipv4"), ("macvlan", "private", "v3-ipv6"),
}  # fmt: skip


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    with Lab() as lab:
        machine = Machine(lab, "a", 1, request.param)
        assert machine.link_local
        settle(machine.host)
        yield machine


def cells(main: set[tuple[str, str, str]]) -> list:
    """All of them; those that are not main ones are for make matrix-vm."""
    return [
        pytest.param(
            kind, technique, family, marks=() if (kind, technique, family) in main else pytest.mark.every_cell
        )
        for kind in KINDS
        for technique in TECHNIQUES
        for family in FAMILIES
        if (kind, technique) != ("macvlan", "macswap")  # refused: test_takeover
    ]


def live(machine: Machine, technique: str, family: str, changes: int) -> bool:
    """In a process of its own: prepare, activate, deactivate, activate, close. Whether it died before the end."""
    config = VIRTUALS[family].config(machine, 100)

    def work() -> None:
        backend = TECHNIQUES[technique].make(machine.interface, config, NetlinkHost(state_dir=machine.state_dir))
        Mortal(changes).watch()
        for act in (backend.prepare, backend.activate, backend.deactivate, backend.activate, backend.close):
            act()

    log = machine.lab.directory / "mortal.log"
    code = os.waitstatus_to_exitcode(os.waitpid(fork(machine, log, work), 0)[1])
    assert code in (0, -signal.SIGKILL), log.read_text()
    return code != 0


@pytest.mark.parametrize(("machine", "technique", "family"), cells(CRASHES), indirect=["machine"])
def test_death_before_any_change(
    machine: Machine, technique: str, family: str, record: Callable[..., None]
) -> None:
    before = machine.dump()
    points = 0
    while live(machine, technique, family, points):
        points += 1
        cleanup(netns=machine.host.namespace, state_dir=machine.state_dir)
        differences = before.diff(machine.dump())
        assert not differences, "\n".join([f"killed before change {points}", *differences])
        assert list(machine.state_dir.rglob("*")) == []
    assert points > 3
    assert before.diff(machine.dump()) == []
    record(test="crash", kind=machine.kind, technique=technique, family=family, points=points)


@pytest.mark.parametrize(("machine", "technique", "family"), cells(DRY_RUNS), indirect=["machine"])
def test_a_dry_run_is_true(machine: Machine, technique: str, family: str, record: Callable[..., None]) -> None:
    """Its lines, in a shell, do to the host what the backend does, and its last ones take it back."""
    config = VIRTUALS[family].config(machine, 100)
    kernel = NetlinkHost(machine.host.namespace, state_dir=machine.state_dir)

    def make():
        return TECHNIQUES[technique].make(machine.interface, config, kernel)

    before = machine.dump()
    dry = DryRunBackend(make())
    dry.prepare()
    dry.activate()
    done, undo = len(dry.commands), dry.undo_commands
    dry.deactivate()
    dry.close()
    assert before.diff(machine.dump()) == []
    machine.host.run("sh", "-e", text="\n".join(dry.commands[:done]) + "\n")
    settle(machine.host)  # the kernel takes up to a second to say that a new link is up
    by_shell = machine.dump()
    machine.host.run("sh", "-e", text="\n".join(dry.commands[done:]) + "\n")
    assert before.diff(machine.dump()) == []
    machine.host.run("sh", "-e", text="\n".join((*dry.commands[:done], *undo)) + "\n")
    settle(machine.host)
    assert before.diff(machine.dump()) == []
    with make() as backend:
        backend.prepare()
        backend.activate()
        settle(machine.host)
        by_backend = machine.dump()
    assert before.diff(machine.dump()) == []
    assert before.diff(by_backend), "nothing was done: the test cannot fail"
    assert by_shell.diff(by_backend) == []
    record(test="dry run", kind=machine.kind, technique=technique, family=family, lines=done)
