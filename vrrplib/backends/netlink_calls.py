"""Many messages in as few system calls as there can be, and what they were for when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vrrplib.backends.netlink_errors import failure
from vrrplib.backends.netlink_messages import is_done_already
from vrrplib.backends.netlink_socket import NetlinkSocket
from vrrplib.backends.operations import Operation

_MESSAGES_PER_CALL = 512  # they must fit into the socket's buffer


def made_ready(
    messages: Sequence[tuple[Operation, bytes]], opened: Callable[[], NetlinkSocket]
) -> Callable[[], None]:
    """Make the calls for ``messages`` now; what sends them raises BackendError for the first that has failed."""
    parts = [messages[at : at + _MESSAGES_PER_CALL] for at in range(0, len(messages), _MESSAGES_PER_CALL)]
    netlink = opened()
    calls = [(part, netlink.ready([message for _, message in part])) for part in parts]

    def send() -> None:
        netlink = opened()
        for part, batch in calls:
            try:
                failures = netlink.send(batch)
            except OSError as error:
                raise failure(part[0][0].deed, error, part[0][0]) from error
            for place in sorted(failures):
                operation, answer = part[place][0], failures[place]
                if not is_done_already(operation, answer):
                    raise failure(operation.deed, answer, operation)

    return send


def one_after_the_other(steps: tuple[Callable[[], None], ...]) -> None:
    """Take all ``steps``."""
    for step in steps:
        step()
