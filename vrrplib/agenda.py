"""When each of many virtual routers is due: most of their deadlines move away before they come."""

from __future__ import annotations

import heapq
import math

from vrrplib.member import Member


class Agenda:
    """The members of a Node by when they are due; looking after all of them costs nothing while they wait.

    A Backup's deadline moves with each advertisement. Its entry stays where it was, and is looked at again when
    that time comes: so a member may be due later than its entry says, and never earlier.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Member]] = []

    def note(self, member: Member) -> None:
        """Something happened to ``member``: it may be due earlier than was known."""
        due = member.due
        if due < member.entered:
            member.entered = due
            heapq.heappush(self._heap, (due, member.number, member))

    def forget(self, member: Member) -> None:
        """It is due no more."""
        member.entered = math.inf

    def earliest(self) -> float | None:
        """When the next member is due; None while none is."""
        heap = self._heap
        while heap:
            entered, _, member = heap[0]
            if entered == member.entered:
                if entered == member.due:
                    return entered
                member.entered = math.inf
                heapq.heappop(heap)
                self.note(member)
            else:
                heapq.heappop(heap)  # a later entry than it has now
        return None

    def take(self, now: float) -> list[Member]:
        """The members that are due by ``now``, the longest due first; each must be noted again."""
        heap, taken = self._heap, []
        while heap and heap[0][0] <= now:
            entered, _, member = heapq.heappop(heap)
            if entered != member.entered:
                continue  # it was entered again, for an earlier time
            member.entered = math.inf
            if member.due == entered:
                taken.append(member)
            else:
                self.note(member)
        return taken
