"""A netlink socket: whole messages in, answers out; what is in them is for others to know."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
_MULTI, _ACK = 0x2, 0x4
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _EXT_ACK, _CAP_ACK = 270, 11, 10
_SO_NETNS_COOKIE, _SO_SNDBUFFORCE = 71, 32
_BUFFER = 1 << 16
_ANSWER = 1 << 12  # an acknowledgement with the kernel's words


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """Messages for one call, and their first and last sequence number."""

    data: bytes
    first: int
    last: int


class NetlinkSocket:
    """A netlink socket, and the two ways of asking: for an answer, and for many changes at once."""

    def __init__(self, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.bind((0, 0))
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._sequence = 0
        self._unread = False
        try:
            cookie = self._socket.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
            self.cookie = struct.unpack("=Q", cookie)[0]
        except OSError:  # before Linux 5.14
            self.cookie = os.stat("/proc/thread-self/ns/net").st_ino

    def request(self, message: bytes) -> list[bytes]:
        """The messages that answer one; raises OSError."""
        return list(self.answers(message))

    def answers(self, message: bytes) -> Iterator[bytes]:
        """The same one by one, for there may be hundreds; to be read to their end."""
        self._sequence += 1
        self._socket.send(_numbered(message, self._sequence))
        while True:
            for kind, flags, sequence, body in split_messages(self._socket.recv(_BUFFER)):
                if sequence != self._sequence:
                    continue
                if kind == _ERROR:
                    raise _os_error(body)
                if kind == _DONE:
                    return
                yield body
                if not flags & _MULTI:
                    return

    def ready(self, messages: Sequence[bytes]) -> Batch:
        """Make one call of many ``messages``; the kernel answers the last of them, and each that fails."""
        first = self._sequence + 1
        self._sequence += len(messages)
        quiet = [_numbered(message, first + at, answer=False) for at, message in enumerate(messages[:-1])]
        return Batch(b"".join((*quiet, _numbered(messages[-1], self._sequence))), first, self._sequence)

    def send(self, batch: Batch) -> dict[int, OSError]:
        """Have the kernel do all of ``batch``, in one call; what went wrong, by the message's place in it."""
        self._drain()
        self._unread = True
        self._socket.send(batch.data)
        failures: dict[int, OSError] = {}
        waiting = 0
        while True:
            try:
                data = self._socket.recv(_ANSWER, waiting)
            except OSError as error:
                if error.errno == errno.ENOBUFS:  # so many have failed that some answers were lost
                    waiting = socket.MSG_DONTWAIT
                    continue
                if error.errno != errno.EAGAIN:
                    raise
                failures.setdefault(batch.last - batch.first, OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS)))
                return failures
            for kind, flags, sequence, body in split_messages(data):
                if kind != _ERROR or not batch.first <= sequence <= batch.last:
                    continue
                if struct.unpack_from("=i", body, 16)[0]:
                    failures[sequence - batch.first] = _os_error(body, flags)
                if sequence == batch.last:
                    self._unread = False
                    return failures

    def _drain(self) -> None:
        """Forget the answers to a call that was interrupted, by Ctrl-C for instance."""
        while self._unread:
            try:
                self._socket.recv(_BUFFER, socket.MSG_DONTWAIT)
            except BlockingIOError:
                self._unread = False
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def transact(self, begin: bytes, messages: list[bytes], end: bytes | None) -> list[OSError | None]:
        """Have the kernel do all of ``messages`` or none, between ``begin`` and ``end``; what went wrong with each.

        Without ``end`` it only tries them: all is taken back. Raises OSError if it does not get as far as that.
        """
        batch = [begin, *messages, *([end] if end else [])]
        first, last = self._sequence + 1, self._sequence + len(messages)  # of the messages; begin is before them
        self._sequence += len(batch)
        # It answers the last one, after each that fails: a socket has no room for an answer to each of hundreds.
        numbered = (_numbered(item, first - 1 + at, answer=at == len(messages)) for at, item in enumerate(batch))
        data = b"".join(numbered)
        self._drain()
        self._make_room(len(data))
        self._unread = True
        self._socket.send(data)
        failures: dict[int, OSError] = {}
        waiting = 0
        while self._unread:
            try:
                answer = self._socket.recv(_BUFFER, waiting)
            except OSError as error:
                if error.errno == errno.ENOBUFS:  # so many have failed that some answers were lost
                    waiting = socket.MSG_DONTWAIT
                    continue
                if error.errno == errno.EAGAIN and failures:
                    break
                raise
            for kind, flags, sequence, body in split_messages(answer):
                if kind != _ERROR or sequence < first - 1:
                    continue
                failed = struct.unpack_from("=i", body, 16)[0] != 0
                if failed and not first <= sequence <= last:
                    raise _os_error(body, flags)  # of the whole, which begin and end stand for
                if failed:
                    failures[sequence] = _os_error(body, flags)
                if sequence == last:
                    self._unread = False
        return [failures.get(sequence) for sequence in range(first, last + 1)]

    def send_all(self, messages: list[bytes]) -> list[OSError | None]:
        """Have the kernel do ``messages`` in one call, however many; for each None or what went wrong.

        OSError (EMSGSIZE), with nothing done, for more than it takes at once.
        """
        batch = self.ready(messages)
        self._make_room(len(batch.data))
        failures = self.send(batch)
        return [failures.get(at) for at in range(len(messages))]

    def _make_room(self, size: int) -> None:
        if size > self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - 64:
            with contextlib.suppress(PermissionError):  # for a user namespace net.core.wmem_max is the limit
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)  # the kernel doubles it
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, size)

    def fileno(self) -> int:
        """The descriptor, for an ioctl in its namespace."""
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


def _numbered(message: bytes, sequence: int, *, answer: bool = True) -> bytes:
    flags = struct.unpack_from("=H", message, 6)[0]
    if not answer:
        flags &= ~_ACK
    return message[:6] + struct.pack("=HI", flags, sequence) + message[12:]


def split_messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Type, flags, sequence number and the whole bytes of each message."""
    at = 0
    while at + HEADER.size <= len(data):
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, at)
        if length < HEADER.size:
            return
        yield kind, flags, sequence, data[at : at + length]
        at += (length + 3) & ~3


def _os_error(data: bytes, flags: int = 0) -> OSError:
    number = -struct.unpack_from("=i", data, 16)[0]
    return OSError(number, os.strerror(number) + _kernel_words(data))


def _kernel_words(data: bytes) -> str:
    """The sentence that the kernel adds to some errors (NLMSGERR_ATTR_MSG)."""
    at = 36  # behind the head, the number, and the head of the request
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        if kind == 1:
            return f" ({data[at + 4 : at + length].rstrip(bytes(1)).decode(errors='replace')})"
        at += (length + 3) & ~3
    return ""
