"""When each of many virtual routers is due: most of their deadlines move away before they come."""

from __future__ import annotations

import heapq
import math
import operator

from vrrplib.member import Member

_NUMBER = operator.attrgetter("number")


class Agenda:
    """The members of a Node by when they are due; looking after all of them costs nothing while they wait.

    A Backup's deadline moves with each advertisement. Its entry stays where it was, and is looked at again when
    that time comes: so a member may be due later than its entry says, and never earlier. Many are due at the same
    time, for they were started together: then there is one time, and one look at it, for all of them.
    """

    def __init__(self) -> None:
        self._times: list[float] = []  # a heap, each time once
        self._members: dict[float, list[Member]] = {}  # by those times; some were entered for earlier ones since

    def note(self, member: Member) -> None:
        """Something happened to ``member``: it may be due earlier than was known."""
        due = member.due
        if due < member.entered:
            member.entered = due
            members = self._members.get(due)
            if members is None:
                self._members[due] = [member]
                heapq.heappush(self._times, due)
            else:
                members.append(member)

    def forget(self, member: Member) -> None:
        """It is due no more."""
        member.entered = math.inf

    def earliest(self) -> float | None:
        """When the next member is due; None while none is."""
        while self._times:
            time = self._times[0]
            members = self._members[time]
            while members:
                member = members[-1]
                if member.entered == time == member.due:
                    return time
                members.pop()
                self._move(member, time)
            del self._members[heapq.heappop(self._times)]
        return None

    def take(self, now: float) -> list[Member]:
        """The members that are due by ``now``, the longest due first; each must be noted again."""
        taken: list[Member] = []
        while self._times and self._times[0] <= now:
            time = heapq.heappop(self._times)
            due = []
            for member in self._members.pop(time):
                if member.entered == time == member.due:
                    member.entered = math.inf
                    due.append(member)
                else:
                    self._move(member, time)
            due.sort(key=_NUMBER)
            taken += due
        return taken

    def _move(self, member: Member, time: float) -> None:
        """From where it was entered to where it belongs now; unless it was entered again, for an earlier time."""
        if member.entered == time:
            member.entered = math.inf
            self.note(member)
