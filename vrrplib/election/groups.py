"""Virtual routers that are Active together or not at all: :class:`SyncGroup`, pure, above their Routers.

The first, the leader, elects; the others follow it and never promote themselves. So two groups of the same leader
settle whatever the priorities of their followers are. A rival that beats a follower makes the whole group leave,
and the group stays out until that rival is silent: it does not come and go with every down interval.
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
    """

    def __init__(self, leader: Router, *followers: Router) -> None:
        self.leader = leader
        self.followers = followers
        self.routers = (leader, *followers)
        if len({id(router) for router in self.routers}) != len(self.routers) or not followers:
            raise ConfigError(f"a group must have at least two Routers, each once, not {len(self.routers)}")
        self._opposed: set[int] = set()

    def begin(self) -> Orders:
        """What the members must be told first: followers wait for their leader."""
        return tuple((router, GroupHeld(True)) for router in self.followers)

    def react(self, router: Router, report: Report) -> Orders:
        """What the others must be told of what ``router`` reported."""
        if router is self.leader:
            return self._leader_moved(report) if isinstance(report, StateChanged) else ()
        match report:
            case StateChanged(reason=Reason.GROUP):
                return ()  # we moved it
            case StateChanged(old=State.ACTIVE) | StateChanged(new=State.INITIALIZE):
                self._opposed.add(id(router))  # beaten by a rival, or it lost its host
                return self._leave() if self.leader.state is State.ACTIVE else self._hold()
            case StateChanged(old=State.INITIALIZE) | Ready():
                self._opposed.discard(id(router))
                if self._opposed:
                    return ()
                if self.leader.state is State.ACTIVE:
                    return ((router, GroupMoved(State.ACTIVE)),)
                return ((self.leader, GroupHeld(False)),)
        return ()

    def _leader_moved(self, change: StateChanged) -> Orders:
        if change.new is State.ACTIVE:
            if self._opposed:
                return self._leave()
            return tuple((router, GroupMoved(State.ACTIVE)) for router in self.followers)
        if change.old is State.ACTIVE:
            return tuple((router, GroupMoved(State.BACKUP)) for router in self.followers)
        return ()

    def _leave(self) -> Orders:
        """The leader first: it leads the group on the other side as well."""
        return tuple((router, GroupMoved(State.BACKUP)) for router in self.routers) + self._hold()

    def _hold(self) -> Orders:
        return ((self.leader, GroupHeld(True)),)
