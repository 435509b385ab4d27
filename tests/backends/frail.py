"""A host in memory of which anything can fail: each read, each operation, each line of the journal."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence

from tests.backends.hosts import memory_host, snapshot
from vrrplib.backends.operations import AddTable, Filter, Operation
from vrrplib.backends.plan import Claim, Journal
from vrrplib.errors import BackendError

READS = ("link", "addresses", "subnets", "stacked", "sysctl")


def operators_host():
    """With a table of the operator's, which nobody may lose."""
    host = memory_host()
    host.perform((AddTable("ip", "operators"),))
    host.performed.clear()
    return host


class FrailJournal:
    """Every write of it is a point that may fail; then nothing was written."""

    def __init__(self, host: FrailHost, journal: Journal) -> None:
        self._host = host
        self._journal = journal

    def record(self, undo: Sequence[Operation]) -> None:
        self._host.point("journal")
        self._journal.record(undo)

    def ready(self, undo: Sequence[Operation]) -> Callable[[], None]:
        return functools.partial(self.record, tuple(undo))

    def share(self, undo: Operation) -> None:
        self._host.point("journal")
        self._journal.share(undo)

    def mark(self) -> int:
        return self._journal.mark()

    def rewind(self, mark: int) -> None:
        self._host.point("journal")
        self._journal.rewind(mark)

    def finish(self, perform) -> None:
        self._host.point("journal")
        self._journal.finish(self._host.perform)


class FrailHost:
    """Counts all that it is asked, and refuses the ``at``-th, counted from 1, and the ``times`` - 1 after it.

    With ``only`` one kind is counted. ``goes_on`` is what rtnetlink does with a batch: the rest of it is done.
    What was refused has not been done.
    """

    def __init__(
        self, at: int = 0, *, times: int = 1, only: str | None = None, goes_on: bool = False, error=BackendError
    ) -> None:
        self.base = operators_host()
        self.kinds: Counter[str] = Counter()
        self._at = at
        self._times = times
        self._only = only
        self._goes_on = goes_on
        self._error = error
        self._count = 0

    def __getattr__(self, name: str):
        """What is read, each time with its chance to fail."""
        if name not in READS:
            return getattr(self.base, name)

        def read(*arguments):
            self.point("read")
            return getattr(self.base, name)(*arguments)

        return read

    @property
    def count(self) -> int:
        return self._count

    @property
    def failed(self) -> bool:
        return 0 < self._at <= self._count

    def mend(self) -> None:
        """The trouble is over."""
        self._at = 0

    def point(self, kind: str) -> None:
        if self._only not in (None, kind):
            return
        self._count += 1
        self.kinds[kind] += 1
        if self._at and self._at <= self._count < self._at + self._times:
            raise self._error(f"{kind} {self._count} is refused")

    def claim(self, claim: Claim) -> Journal:
        self.point("journal")
        return FrailJournal(self, self.base.claim(claim))

    def probe(self, filters: Sequence[Filter]) -> None:
        self.point("read")
        self.base.probe(filters)

    def perform(self, operations: Sequence[Operation]) -> None:
        for operation in operations:
            self.point("operation")
            self.base.perform((operation,))

    def batch(self, operations: Sequence[Operation]) -> Callable[[], None]:
        if not self._goes_on:
            return functools.partial(self.perform, tuple(operations))
        return functools.partial(self._all_in_one, tuple(operations))

    def _all_in_one(self, operations: Sequence[Operation]) -> None:
        errors = []
        for operation in operations:
            try:
                self.perform((operation,))
            except BackendError as error:
                errors.append(error)
        if errors:
            raise errors[0]


def lost(host: FrailHost) -> list[str]:
    """What was the operator's and is not there: nothing may be, not even for a while."""
    before, now = snapshot(operators_host()), snapshot(host.base)
    missing = [f"link {name}" for name in before["links"] if name not in now["links"]]
    for name, held in before["addresses"].items():
        missing += [f"{address} of {name}" for address in held if address not in now["addresses"].get(name, ())]
    missing += [f"table {table}" for table in before["tables"] if table not in now["tables"]]
    return missing
