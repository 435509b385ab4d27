"""Many plans done as one: what may go in one call with what."""

from __future__ import annotations

from collections.abc import Sequence

from vrrplib.backends.operations import DeleteLink, Filter, Operation, SetSysctl


def kind_of(operation: Operation) -> type[Operation]:
    """What can be done in one call is of one kind: files, nftables, removals of links, and all other netlink."""
    return next((kind for kind in (SetSysctl, Filter, DeleteLink) if isinstance(operation, kind)), Operation)


def stages(plans: Sequence[Sequence[Operation]]) -> list[tuple[Operation, ...]]:
    """All of ``plans`` as few runs of one kind; the operations of each plan stay in their order."""
    waiting = [list(plan) for plan in plans]
    found: list[tuple[Operation, ...]] = []
    while kinds := [kind_of(plan[0]) for plan in waiting if plan]:
        # what most plans wait for goes last, so that those which lag behind catch up
        kind = min(kinds, key=lambda kind: (kinds.count(kind), kinds.index(kind)))
        stage: list[Operation] = []
        for plan in waiting:
            while plan and kind_of(plan[0]) is kind:
                stage.append(plan.pop(0))
        found.append(tuple(stage))
    return found
