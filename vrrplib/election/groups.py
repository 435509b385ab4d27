"""Virtual routers that are Active together or not at all: :class:`SyncGroup`, pure, above their Routers.

The first, the leader, elects; the others follow it and never promote themselves. So two groups settle whatever the
priorities of their followers are. Give them the order of their leaders all the same: else a leader that comes back
may lose to a follower of the other group that has not yet been told, and stay out; and three groups of which each
has the best follower on another LAN can come and go for as long as their leaders' LAN is parted.

The group leaves as a whole, and stays out,

* while a follower is absent, its host lost or shut down; when it is back the leader elects again, and preempts;
* when a rival beats a follower, until both that follower and the leader have heard nobody for their
  Active_Down_Interval. It does not preempt before that: the rival may be the follower of a group that is Active,
  would beat ours again, and so on for ever. If the leader was following a better one, its silence alone decides.

A group that leaves resigns on its leader's LAN only. On a follower's, priority 0 would let other followers believe
that all is silent while the rival that beat them is still there.
"""

from __future__ import annotations

from vrrplib.election.actions import Ready, Report, StateChanged
from vrrplib.election.events import Event, GroupHeld, GroupMoved
from vrrplib.election.router import Router
from vrrplib.election.states import Reason, State
from vrrplib.errors import ConfigError

TYPE_CHECKING = False  # typing is not loaded: see vrrplib/__init__.py
if TYPE_CHECKING:
    from typing import TypeAlias

Orders: TypeAlias = tuple[tuple[Router, Event], ...]


class SyncGroup:
    """Tells each of its Routers what the others have done.

    Hand out :meth:`begin` before Startup, and what :meth:`react` gives for each report of a member, at once and in
    order: ``router.handle(event, now)``, or ``node.handle(router, event, now)``; their reports go to ``react`` too.
    ConfigError for fewer than two Routers, or one twice.
    """

    def __init__(self, leader: Router, *followers: Router) -> None:
        self.leader = leader
        self.followers = followers
        self.routers = (leader, *followers)
        if len({id(router) for router in self.routers}) != len(self.routers) or not followers:
            raise ConfigError(f"a group must have at least two Routers, each once, not {len(self.routers)}")
        self._absent: set[int] = set()
        self._beaten: dict[int, Router] = {}

    def begin(self) -> Orders:
        """What the members must be told first: followers wait for their leader."""
        return tuple((router, GroupHeld(True)) for router in self.followers)

    def react(self, router: Router, report: Report) -> Orders:
        """What the others must be told of what ``router`` reported; nothing if it is no member."""
        if router is self.leader:
            return self._leader_said(report)
        return self._follower_said(router, report) if router in self.followers else ()

    def _leader_said(self, report: Report) -> Orders:
        match report:
            case Ready():
                return self._let_go()
            case StateChanged(new=State.ACTIVE):
                return self._leave() if self._absent or self._beaten else self._move(State.ACTIVE)
            case StateChanged(old=State.ACTIVE):
                return self._move(State.BACKUP)
        return ()

    def _follower_said(self, router: Router, report: Report) -> Orders:
        match report:
            case StateChanged(new=State.INITIALIZE):
                self._absent.add(id(router))
                return self._leave()
            case StateChanged(old=State.INITIALIZE):
                self._absent.discard(id(router))
                if self.leader.state is State.ACTIVE:  # it was started first
                    return ((router, GroupMoved(State.ACTIVE)),)
                return self._let_go()
            case StateChanged(old=State.ACTIVE, reason=Reason.HIGHER_PRIORITY):
                self._beaten[id(router)] = router
                return self._leave()
            case Ready():
                return self._let_go()
        return ()  # else we moved it

    def _move(self, state: State) -> Orders:
        return tuple((router, GroupMoved(state)) for router in self.followers)

    def _leave(self) -> Orders:
        """The leader first: it leads the group on the other side as well."""
        moved = ((self.leader, GroupMoved(State.BACKUP)), *self._move(State.BACKUP))
        return (*moved, (self.leader, GroupHeld(True)))

    def _let_go(self) -> Orders:
        """The leader may elect, if nothing speaks against it any more."""
        if self._absent or (self._beaten and not self._is_silent()):
            return ()
        self._beaten.clear()
        return ((self.leader, GroupHeld(False)),)

    def _is_silent(self) -> bool:
        leader = self.leader
        if not _waits(leader):
            return False
        if leader.active_source is not None and leader.active_priority is not None:
            ours = (leader.priority, int(leader.config.primary_address))
            if (leader.active_priority, int(leader.active_source)) > ours:
                return True
        return all(_waits(router) for router in self._beaten.values())


def _waits(router: Router) -> bool:
    """Whether it has reported Ready, and heard nobody since."""
    return router.state is State.BACKUP and router.deadline is None
