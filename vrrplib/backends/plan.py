"""What a backend does to a host: plans of operations, and the host and journal that these need.

A :class:`PlannedBackend` reads the host, plans, and hands operations to a :class:`Host`; each operation is recorded
in a :class:`Journal` with the one that undoes it before it is done, so that a crash at any instant can be undone.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from vrrplib.backends.accepting import around, input_drop, instead, kept_out, put_back
from vrrplib.backends.base import ExpectedLink, NetBackend
from vrrplib.backends.exchange import addresses_of, exchange, is_alike, removals_of, without_addresses
from vrrplib.backends.host import Claim as Claim  # noqa: PLC0414  # they are known here too
from vrrplib.backends.host import Host as Host  # noqa: PLC0414
from vrrplib.backends.host import Journal as Journal  # noqa: PLC0414
from vrrplib.backends.host import Link as Link  # noqa: PLC0414
from vrrplib.backends.host import beside as beside  # noqa: PLC0414
from vrrplib.backends.host import quiet as quiet  # noqa: PLC0414
from vrrplib.backends.host import raise_sysctl as raise_sysctl  # noqa: PLC0414
from vrrplib.backends.host import undo_all as undo_all  # noqa: PLC0414
from vrrplib.backends.host import undo_of as undo_of  # noqa: PLC0414
from vrrplib.backends.operations import AddMacvlan, DeleteLink, Filter, Operation, SetSysctl
from vrrplib.backends.stages import stages
from vrrplib.backends.upkeep import Upkeep, renamed
from vrrplib.election.config import RouterConfig
from vrrplib.errors import BackendError
from vrrplib.namespaces import Namespace
from vrrplib.wire.addresses import MacAddress


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What a backend will do. ``own_link`` is the link that ``prepare`` creates; its removal undoes all of it."""

    mac: MacAddress
    prepare: tuple[Operation, ...]
    activate: tuple[Operation, ...]
    deactivate: tuple[Operation, ...]
    own_link: str | None = None

    def differs_in_addresses_only(self, other: Plan) -> bool:
        """Whether all that is done on promotion, and to go back, is the same but for addresses."""
        return (self.own_link, self.mac) == (other.own_link, other.mac) and all(
            without_addresses(ours) == without_addresses(theirs)
            for ours, theirs in ((self.activate, other.activate), (self.deactivate, other.deactivate))
        )


class PlannedBackend(NetBackend):
    """A NetBackend that is a plan. Subclasses say what to do in :meth:`plan`, from what they read of the host.

    ``netns`` is the namespace to work in, ``host`` another Host than the kernel's (then ``netns`` has no meaning).
    """

    kind: ClassVar[str]

    def __init__(
        self, interface: str, config: RouterConfig, *, netns: Namespace = None, host: Host | None = None
    ) -> None:
        self.interface = interface
        self.config = config
        self.netns = netns
        self.host = host
        self.active = False
        self._prepared = False
        self._touched = False  # by activate(), since the last deactivate() that went well
        self._journal: Journal | None = None
        self._undo: list[Operation] = []
        self._mark = 0
        self._own_link: str | None = None
        self._activate: Callable[[], None] = _nothing
        self._record: Callable[[], None] = _nothing
        self._deactivate: tuple[Operation, ...] = ()
        self._deactivate_at_once: Callable[[], None] = _nothing
        self._plan_now: Plan | None = None
        self._parent = Link(interface, 0, MacAddress(bytes(6)))  # as prepare() found it
        self._upkeep: Upkeep | None = None

    @abc.abstractmethod
    def plan(self, host: Host, parent: Link) -> Plan:
        """What to do on ``host``, whose interface is ``parent``; BackendError if it cannot be done there."""

    def link_name(self, parent: Link) -> str:
        """The link that is made, or used if it is there; empty for none."""
        return ""

    def shared_name(self) -> str:
        """That of a link that another virtual router may be told to use too, for it is a name of the caller's."""
        return ""

    def replan(self, host: Host, parent: Link) -> Plan | None:
        """The plan for another configuration of a backend that is prepared; None: close, and prepare again."""
        return None

    def prepare(self) -> None:
        if self._prepared:
            return
        self.close()  # what an earlier prepare() or close() that failed has left
        host = self._host()
        try:
            plan = self._begin(host)
            for operation in plan.prepare:
                self._do(host, operation)
            self._be_ready(host, plan)
        except BaseException:  # Ctrl-C too
            with contextlib.suppress(BackendError):  # the first error says why; the next close() tries again
                self.close()
            raise

    def _begin(self, host: Host) -> Plan:
        """Claim the virtual router, and plan."""
        parent = host.link(self.interface)
        if parent is None:
            raise BackendError(f"no interface is named {self.interface!r}: see `ip link`", operation="prepare")
        self._journal = host.claim(self._claim(parent))
        self._parent = parent
        # read again: taking the claim may have undone what a dead process left
        parent = host.link(self.interface) or parent
        plan = _complete(self.plan(host, parent), self.config, parent)
        if filters := [operation for operation in plan.prepare if isinstance(operation, Filter)]:
            host.probe(filters)
        self.mac = plan.mac
        self._own_link = plan.own_link
        return plan

    def _be_ready(self, host: Host, plan: Plan) -> None:
        assert self._journal is not None
        self._mark = self._journal.mark()
        self._follow(host, plan)
        self._prepared = True

    @classmethod
    def prepare_all(cls, backends: Iterable[NetBackend]) -> None:
        """As in NetBackend; what is done is all recorded first, and takes few calls."""
        several = list(backends)
        try:
            for host, group in _by_host(several):
                _prepare_together(host, [backend for backend in group if not backend._prepared])
        except BaseException:
            with contextlib.suppress(BackendError):  # the first error says why; the next close() tries again
                cls.close_all(several)
            raise

    @classmethod
    def close_all(cls, backends: Iterable[NetBackend]) -> None:
        """As in NetBackend, in few calls; if that fails, one by one."""
        several = list(backends)
        for host, group in _by_host(several):
            with contextlib.suppress(BackendError):  # tried again below, and raised if it fails again
                _close_together(host, [backend for backend in group if backend._journal is not None])
        super().close_all(several)

    def activate(self) -> None:
        if self._journal is None or not self._prepared:
            raise BackendError(f"{self.interface}: prepare() comes before activate()", operation="activate")
        if self.active:
            return
        self._touched = True
        self._record()
        self._activate()
        self.active = True

    def deactivate(self) -> None:
        if not self._touched or self._journal is None:
            return
        self.active = False
        try:
            self._deactivate_at_once()
        except BackendError:  # whatever failed, all the rest must be tried
            undo_all(self._host(), reversed(self._deactivate))
        self._journal.rewind(self._mark)
        self._touched = False

    def reconfigure(self, config: RouterConfig) -> None:
        """As in NetBackend; where only addresses differ nothing else is touched, and those that stay stay."""
        if not self._prepared or not is_alike(config, self.config):
            super().reconfigure(config)
            return
        old, self.config = self.config, config
        if old.addresses == config.addresses:
            return
        try:
            self._reconfigure(config)
        except BaseException:
            self._prepared = False  # neither one nor the other: who tries again makes all anew
            raise

    def _reconfigure(self, config: RouterConfig) -> None:
        host = self._host()
        parent = host.link(self.interface)
        old_plan, new_plan = self._plan_now, self.replan(host, parent) if parent else None
        if new_plan and parent:
            new_plan = _complete(new_plan, config, parent)
        if old_plan is None or new_plan is None or not old_plan.differs_in_addresses_only(new_plan):
            super().reconfigure(config)
        else:
            self._replace_addresses(host, old_plan, new_plan)

    def _replace_addresses(self, host: Host, old: Plan, new: Plan) -> None:
        assert self._journal is not None
        drop = kept_out(new.prepare)
        if drop:
            host.batch(instead(kept_out(old.prepare), drop))()
        come, go = addresses_of(new.prepare), addresses_of(old.prepare)  # those that stand
        if self._touched:
            come, go = come + addresses_of(new.activate), go + addresses_of(old.activate)
            # until all is done, both are to be undone
            self._deactivate = tuple(dict.fromkeys((*new.deactivate, *removals_of(addresses_of(old.activate)))))
            self._journal.record(self._deactivate[::-1])
            self._deactivate_at_once = host.batch(self._deactivate)
        host.perform(exchange(go, come))
        if drop:
            host.batch(instead(None, drop))()
        self._follow(host, new)

    def _follow(self, host: Host, plan: Plan) -> None:
        """Get everything ready to do what the plan says from now on."""
        assert self._journal is not None
        self._plan_now = plan
        self._activate = host.batch(plan.activate)
        self._deactivate = plan.deactivate
        self._deactivate_at_once = host.batch(plan.deactivate)
        # What is done to a link of ours its removal undoes: then a promotion waits for no file.
        undo = [operation for operation in plan.deactivate[::-1] if self._needs_undo(operation)]
        self._record = self._journal.ready(undo) if undo else _nothing
        name, mac, macs = self._parent.name, self._parent.mac, (plan.mac, self.advertisement_mac)
        link = plan.own_link or self.link_name(self._parent) or None
        self._upkeep = Upkeep(plan.prepare, plan.activate, link, macs, name, mac)

    def close(self) -> None:
        if self._journal is None:
            return
        host = self._host()
        # If any of it fails, journal and claim stay: a later close or `vrrplib cleanup` tries again.
        undo_all(host, self._way_back())
        self._finish(host)

    def _way_back(self) -> list[Operation]:
        """What must be undone now, oldest first."""
        self._prepared = False
        return [*self._undo, *reversed(self._deactivate)] if self._touched else self._undo

    def _finish(self, host: Host) -> None:
        assert self._journal is not None
        self._journal.finish(host.perform)
        self.active = self._touched = False
        self._journal = None
        self._undo = []

    def expected(self) -> tuple[ExpectedLink, ...]:
        return self._upkeep.expected[self.active] if self._prepared and self._upkeep else ()

    def expected_tables(self) -> tuple[tuple[str, str], ...]:
        return self._upkeep.tables[self.active] if self._prepared and self._upkeep else ()

    def repair(self, renamed_to: str = "") -> None:
        host, upkeep = self._host(), self._upkeep
        if renamed_to and self._own_link:
            host.perform((DeleteLink(renamed_to, str(self.mac)),))  # for its MAC; all is made anew
        parent, own = host.link(self.interface), self._own_link is None or host.link(self._own_link)
        if upkeep and own and parent and self._prepared and upkeep.is_lasting(parent.mac, active=self.active):
            with contextlib.suppress(BackendError):  # else all anew
                host.batch(put_back(upkeep.drops[self.active]))()  # first: a link that comes up must be silent
                host.perform(upkeep.repair)
                if self.active:
                    self._activate()
                return
        super().repair()

    def repair_tables(self) -> None:
        if self._prepared and self._upkeep:
            try:
                self._host().batch(put_back(self._upkeep.drops[self.active]))()
            except BackendError:  # something else is gone too
                self.repair()

    def renamed(self, interface: str) -> None:
        old, self.interface = self.interface, interface

        def now(operations: Iterable[Operation]) -> tuple[Operation, ...]:
            return tuple(renamed(operation, old, interface) for operation in operations)

        self._undo, self._deactivate = list(now(self._undo)), now(self._deactivate)
        self._parent = dataclasses.replace(self._parent, name=interface)
        if (plan := self._plan_now) is None:
            return
        plan = Plan(plan.mac, now(plan.prepare), now(plan.activate), now(plan.deactivate), plan.own_link)
        record = self._record  # the journal goes by the name in its head
        with contextlib.suppress(BackendError):  # if it is gone by now, a Watch will say so
            self._follow(self._host(), plan)
        self._record = record

    def left_alone(self) -> tuple[str, ...]:
        return self.host.take_left_alone() if self.host else ()

    def _do(self, host: Host, operation: Operation) -> None:
        self._keep(host, (operation,))
        host.perform((operation,))

    def _keep(self, host: Host, operations: Sequence[Operation]) -> None:
        """Record how ``operations`` are undone."""
        assert self._journal is not None
        undo = [undo_of(operation, host) for operation in operations if self._needs_undo(operation)]
        own = []
        for operation in undo:
            if isinstance(operation, SetSysctl) and operation.shared:
                self._journal.share(operation)
            elif operation is not None:
                own.append(operation)
        if own:
            self._journal.record(own)
            self._undo += own

    def _needs_undo(self, operation: Operation) -> bool:
        if self._own_link is None or isinstance(operation, AddMacvlan):
            return True
        if isinstance(operation, SetSysctl):
            return operation.path.split("/")[3] != self._own_link
        return self._own_link not in (getattr(operation, "name", None), getattr(operation, "device", None))

    def _claim(self, parent: Link) -> Claim:
        return Claim(
            interface=parent.name,
            index=parent.index,
            mac=str(parent.mac),
            family=int(self.config.family),
            vrid=self.config.vrid,
            exclusive=self.exclusive,
            backend=self.kind,
            link=self.shared_name(),
        )

    def _host(self) -> Host:
        if self.host is None:
            self.host = kernel_host(self.netns)
        return self.host


def _by_host(backends: Iterable[NetBackend]) -> list[tuple[Host, list[PlannedBackend]]]:
    groups: dict[int, tuple[Host, list[PlannedBackend]]] = {}
    for backend in backends:
        if isinstance(backend, PlannedBackend):
            host = backend._host()
            groups.setdefault(id(host), (host, []))[1].append(backend)
    return list(groups.values())


def _prepare_together(host: Host, backends: Sequence[PlannedBackend]) -> None:
    plans: list[Plan] = []
    wanted: list[list[Operation]] = []
    shared: set[Operation] = set()
    for backend in backends:
        backend.close()  # what an earlier prepare() or close() that failed has left
    with host.together():
        for backend in backends:
            plan = backend._begin(host)
            plans.append(plan)
            # what several share is done once: each was planned as if it were alone
            wanted.append([operation for operation in plan.prepare if operation not in shared])
            shared |= {item for item in plan.prepare if isinstance(item, SetSysctl) and item.shared}
            backend._keep(host, wanted[-1])
    for stage in stages(wanted):
        host.batch(stage)()
    with host.together():
        for backend, plan in zip(backends, plans, strict=True):
            backend._be_ready(host, plan)


def _close_together(host: Host, backends: Sequence[PlannedBackend]) -> None:
    if len(backends) < 2:
        return
    for stage in stages([backend._way_back()[::-1] for backend in backends]):
        host.batch(stage)()
    with host.together():
        for backend in backends:
            backend._finish(host)


def _complete(plan: Plan, config: RouterConfig, parent: Link) -> Plan:
    """With what ``accept_mode`` asks for, which is alike for all backends."""
    added = addresses_of((*plan.prepare, *plan.activate))
    return dataclasses.replace(plan, prepare=around(plan.prepare, input_drop(config, parent.index, added)))


def kernel_host(netns: Namespace = None) -> Host:
    """The kernel, for a backend that was given no other host."""
    # the one upward import: pyroute2 is loaded only here
    host: Host = importlib.import_module("vrrplib.backends.netlink").shared_host(netns)
    return host


def _nothing() -> None:
    pass
