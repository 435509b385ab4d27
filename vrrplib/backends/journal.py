"""The crash journal as files: what must be undone if this process dies, and who holds which virtual router.

One file for each virtual router, locked (flock) by the process that has it: a journal that is not locked is a dead
process's. One more for each interface, with what its virtual routers share. All of them lie in a directory of the
network namespace's own, for names and indexes of interfaces mean something only there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pathlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from vrrplib.backends.journal_files import append, begin, is_at, refuse_company, who
from vrrplib.backends.journal_files import decode_lines as decode_lines  # noqa: PLC0414  # they are known here too
from vrrplib.backends.journal_files import encode_line as encode_line  # noqa: PLC0414
from vrrplib.backends.operations import DeleteLink, Operation, SetMac, from_dict
from vrrplib.backends.plan import Claim, Link
from vrrplib.backends.upkeep import concerns, renamed
from vrrplib.errors import BackendError

FORMAT = 1
LOCK = "lock"
DEFAULT_STATE_DIR = "/run/vrrplib"
Perform = Callable[[Sequence[Operation]], None]
LinkAt = Callable[[int], Link | None]


def state_directory(given: str | os.PathLike[str] | None) -> pathlib.Path:
    """``given``, else systemd's RUNTIME_DIRECTORY, else /run/vrrplib."""
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return pathlib.Path(given or runtime or DEFAULT_STATE_DIR)


@dataclasses.dataclass(frozen=True, slots=True)
class Leftover:
    """What a dead process left to be undone on ``interface``, newest first; in words what was left as it is."""

    interface: str
    operations: tuple[Operation, ...]
    left_alone: tuple[str, ...] = ()


class FileJournal:
    """The journal of one virtual router, held by this process."""

    def __init__(self, store: JournalStore, claim: Claim, path: pathlib.Path, descriptor: int) -> None:
        self._store = store
        self._claim = claim
        self._path = path
        self._descriptor = descriptor

    def record(self, undo: Sequence[Operation]) -> None:
        self.ready(undo)()

    def ready(self, undo: Sequence[Operation]) -> Callable[[], None]:
        lines = b"".join(encode_line(operation.to_dict()) for operation in undo)

        def write() -> None:
            with _explained(self._path):
                append(self._descriptor, lines)

        return write

    def share(self, undo: Operation) -> None:
        self._store.share(self._claim, undo)

    def mark(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_END)

    def rewind(self, mark: int) -> None:
        with _explained(self._path):
            os.ftruncate(self._descriptor, mark)

    def finish(self, perform: Perform) -> None:
        self._store.release(self._claim.index, self._path, perform)
        os.close(self._descriptor)


class JournalStore:
    """The journals of one network namespace. ``link_at`` finds a link by its index; without it none has changed."""

    def __init__(self, directory: pathlib.Path, boot: str, link_at: LinkAt | None = None) -> None:
        self.directory = directory
        self._boot = boot
        self._link_at = link_at
        # while many calls have the lock together: who is there, by the interface's index
        self._company: dict[int, dict[pathlib.Path, dict[str, Any]]] | None = None
        self._links: dict[str, dict[str, Any]] | None = None

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Take the lock for many calls, which look through the directory once."""
        with self.locked():
            self._company = {}
            try:
                yield
            finally:
                self._company = self._links = None

    def claim(self, claim: Claim, perform: Perform) -> FileJournal:
        """Take a virtual router; what dead processes left on its interface is undone first.

        BackendError when a live process has it, or has or wants the whole interface, or the directory cannot be
        written: then nothing has been changed.
        """
        with self.locked():
            if not self._company or claim.index not in self._company:
                self._remove_links(claim.index, perform)
                for leftover in self._dead(claim.index):
                    _undo(leftover, perform)
                self.undo_shared(claim.index, perform)
            path = self.directory / f"{claim.index}-{claim.family}-{claim.vrid}.journal"
            company = self._company_of(claim.index)
            refuse_company(claim, path, company)
            if claim.link:
                self._refuse_shared_link(claim)
            with _explained(path):
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                begin(path, descriptor, encode_line(self._head(claim)))
            company[path] = self._head(claim)
            if self._links is not None and claim.link:
                self._links[claim.link] = self._head(claim)
        return FileJournal(self, claim, path, descriptor)

    def release(self, index: int, path: pathlib.Path, perform: Perform) -> None:
        """Give a virtual router up; with the last one of the interface what they shared is undone."""
        with self.locked():
            company = self._company_of(index)
            if company.keys() <= {path}:
                self.undo_shared(index, perform, gone=[path], is_held=True)
            path.unlink(missing_ok=True)
            company.pop(path, None)

    def clean(
        self,
        perform: Perform,
        interface: str | None = None,
        left_alone: Callable[[Sequence[Operation]], tuple[str, ...]] = lambda _: (),
        *,
        keep: bool = False,
    ) -> list[Leftover]:
        """Undo what dead processes left (on one interface), and tell; with ``keep`` only tell.

        ``left_alone`` says which of some operations have not been, or would not be, done.
        BackendError if some of it cannot be undone; the rest is, and its journal stays, for another try.
        """
        if not self.directory.is_dir():
            return []
        done: list[Leftover] = []
        errors: list[BackendError] = []
        with self.locked():
            indexes = {path.name.split("-")[0] for path in self.directory.glob("*-*")}
            for index in sorted(int(index) for index in indexes if index.isdecimal()):
                gone = []
                if not keep:
                    self._remove_links(index, perform, interface)
                for leftover in list(self._dead(index, interface, keep=keep)):
                    try:
                        if not keep:
                            _undo(leftover, perform)
                    except BackendError as error:
                        errors.append(error)
                        continue
                    gone.append(leftover.path)
                    undo = leftover.operations[::-1]
                    done.append(Leftover(leftover.interface, undo, (*leftover.left_alone, *left_alone(undo))))
                for shared in self.undo_shared(index, perform, gone=gone, keep=keep):
                    words = (*shared.left_alone, *left_alone(shared.operations))
                    done.append(dataclasses.replace(shared, left_alone=words))
        if errors:
            raise errors[0]
        return done

    def share(self, claim: Claim, undo: Operation) -> None:
        """Keep ``undo`` for the last virtual router on the interface."""
        path = self._shared_path(claim.index)
        with self.locked(), _explained(path):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                head = b"" if os.fstat(descriptor).st_size else encode_line(self._head(claim))
                append(descriptor, head + encode_line(undo.to_dict()))
            finally:
                os.close(descriptor)

    def undo_shared(
        self,
        index: int,
        perform: Perform,
        *,
        gone: Collection[pathlib.Path] = (),
        keep: bool = False,
        is_held: bool = False,
    ) -> list[Leftover]:
        """Undo what is shared on an interface, if no virtual router but those that are ``gone`` is left there."""
        path = self._shared_path(index)
        if not path.exists() or any(other not in gone for other in self.directory.glob(f"{index}-*.journal")):
            return []
        head, *lines = decode_lines(path.read_bytes()) or [{}]
        mine = lines if self._is_ours(head) else []
        name, operations, words = self._as_it_is_now(head, mine, is_held=is_held)
        undo = operations[::-1]
        if not keep:
            _perform_all(undo, perform)
            path.unlink(missing_ok=True)
        return [Leftover(name, undo, words)] if undo or words else []

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone in the directory, among all processes; a directory that is empty at the end is removed."""
        if self._company is not None:
            yield  # in together(), which has it already
            return
        with _explained(self.directory):
            descriptor = self._lock()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                if os.listdir(self.directory) == [LOCK]:
                    os.unlink(self.directory / LOCK)
                    os.rmdir(self.directory)
                    os.rmdir(DEFAULT_STATE_DIR)  # only if it is empty
            os.close(descriptor)

    def _lock(self) -> int:
        while True:
            self.directory.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # removed by another process since: again
                descriptor = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if is_at(descriptor, self.directory / LOCK):
                    return descriptor
                os.close(descriptor)

    def _dead(self, index: int, interface: str | None = None, *, keep: bool = False) -> Iterator[_Dead]:
        for path in sorted(self.directory.glob(f"{index}-*.journal")):
            with _if_dead(path) as data:
                if data is None:
                    continue
                lines = decode_lines(data)
                head = lines[0] if lines else {}
                if not self._is_ours(head):  # of an earlier boot: the kernel has forgotten it all
                    if not keep:
                        path.unlink()
                    continue
                name, operations, words = self._as_it_is_now(head, lines[1:])
                if interface in (None, name, head.get("interface")):
                    yield _Dead(path, name, operations, words)

    def _as_it_is_now(
        self, head: dict[str, Any], lines: Sequence[dict[str, Any]], *, is_held: bool = False
    ) -> tuple[str, tuple[Operation, ...], tuple[str, ...]]:
        """The interface's name today, what is to be undone under that name, and in words what cannot be.

        An interface is known again by its index together with its name or one of the MACs that it had; to a process
        that holds it by the index alone.
        """
        name, operations = str(head.get("interface")), _operations(lines)
        if self._link_at is None:
            return name, operations, ()
        link = self._link_at(int(head.get("index", 0)))
        if link is not None and (is_held or link.name == name or str(link.mac) in _macs(head, operations)):
            return link.name, tuple(renamed(operation, name, link.name) for operation in operations), ()
        ours = tuple(operation for operation in operations if not concerns(operation, name))
        words = f"{name} is gone, or moved to another network namespace: what was set on it cannot be undone here"
        return name, ours, (words,) if len(ours) < len(operations) else ()

    def _remove_links(self, index: int, perform: Perform, interface: str | None = None) -> None:
        """Remove the links of dead processes in one call, if it can be, before each journal's own turn."""
        undo = [operation for dead in self._dead(index, interface) for operation in dead.operations]
        links = [operation for operation in undo if isinstance(operation, DeleteLink)]
        if len(links) > 1:
            with contextlib.suppress(BackendError):
                perform(links)

    def _head(self, claim: Claim) -> dict[str, Any]:
        return {"format": FORMAT, "boot": self._boot, "pid": os.getpid(), **dataclasses.asdict(claim)}

    def _is_ours(self, head: dict[str, Any]) -> bool:
        return head.get("boot") == self._boot and head.get("format") == FORMAT

    def _shared_path(self, index: int) -> pathlib.Path:
        return self.directory / f"{index}-shared"

    def _refuse_shared_link(self, claim: Claim) -> None:
        if (head := self._links_held().get(claim.link)) is not None:
            raise BackendError(
                f"{claim.interface}: {claim.link} is used by {who(head)} for VRID {head.get('vrid')}: "
                "choose another name",
                operation="claim",
            )

    def _links_held(self) -> dict[str, dict[str, Any]]:
        """The links of live processes, by name, with the heads of the journals."""
        if self._links is not None:
            return self._links
        found = {}
        for path in sorted(self.directory.glob("*.journal")):
            with _if_dead(path) as data:
                lines = decode_lines(path.read_bytes()) if data is None and path.exists() else []
            if lines and lines[0].get("link"):
                found[str(lines[0]["link"])] = lines[0]
        if self._company is not None:
            self._links = found
        return found

    def _company_of(self, index: int) -> dict[pathlib.Path, dict[str, Any]]:
        """The journals on an interface, with their heads."""
        if self._company is not None and index in self._company:
            return self._company[index]
        found = {}
        for path in sorted(self.directory.glob(f"{index}-*.journal")):
            lines = decode_lines(path.read_bytes())
            found[path] = lines[0] if lines else {}
        if self._company is not None:
            self._company[index] = found
        return found


def _macs(head: dict[str, Any], operations: Sequence[Operation]) -> set[str]:
    """Those that the interface had: its own, and what it was given while Active."""
    swaps = [operation for operation in operations if isinstance(operation, SetMac)]
    return {str(head.get("mac")), *(mac for swap in swaps for mac in (swap.mac, swap.expected) if mac)}


@dataclasses.dataclass(frozen=True, slots=True)
class _Dead:
    path: pathlib.Path
    interface: str
    operations: tuple[Operation, ...]
    left_alone: tuple[str, ...]


def _undo(dead: _Dead, perform: Perform) -> None:
    """Newest first; the journal goes only when all of it is undone."""
    _perform_all(dead.operations[::-1], perform)
    dead.path.unlink(missing_ok=True)


def _perform_all(operations: Sequence[Operation], perform: Perform) -> None:
    """Each of them, whatever fails; the first BackendError is raised at the end."""
    errors = []
    for operation in operations:
        try:
            perform((operation,))
        except BackendError as error:
            errors.append(error)
    if errors:
        raise errors[0]


@contextlib.contextmanager
def _if_dead(path: pathlib.Path) -> Iterator[bytes | None]:
    """What is in a journal whose process is dead, locked meanwhile; None for one whose process lives."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        yield None
        return
    try:
        yield path.read_bytes()
    finally:
        os.close(descriptor)


def _operations(lines: Sequence[dict[str, Any]]) -> tuple[Operation, ...]:
    operations = []
    for line in lines:
        try:
            operations.append(from_dict(line))
        except (KeyError, TypeError):
            continue  # another version's: leave it, and undo the rest
    return tuple(operations)


@contextlib.contextmanager
def _explained(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackendError(
            f"the journal cannot be kept in {path}: {error.strerror}; give another place (--state-dir)",
            operation="journal",
            errno=error.errno,
        ) from error
