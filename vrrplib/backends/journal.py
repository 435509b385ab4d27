"""The crash journal as files: what must be undone if this process dies, and who holds which virtual router.

One file for each virtual router, locked (flock) by the process that has it: a journal that is not locked is a dead
process's. One more for each interface, with what its virtual routers share. All of them lie in a directory of the
network namespace's own, for names and indexes of interfaces mean something only there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import itertools
import os
import pathlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from vrrplib.backends.journal_files import append, cut_torn_end, explained, is_at, locked_file, refuse_company, who
from vrrplib.backends.journal_files import decode_lines as decode_lines  # noqa: PLC0414  # they are known here too
from vrrplib.backends.journal_files import encode_line as encode_line  # noqa: PLC0414
from vrrplib.backends.journal_reading import FORMAT as FORMAT  # noqa: PLC0414
from vrrplib.backends.journal_reading import Content, Dead, Perform, content_of, if_dead, macs_of, undo_lines
from vrrplib.backends.operations import DeleteLink, Operation
from vrrplib.backends.plan import Claim, Link
from vrrplib.backends.upkeep import concerns, renamed
from vrrplib.errors import BackendError

LOCK = "lock"
DEFAULT_STATE_DIR = "/run/vrrplib"
_ATTEMPTS = 100
"""To get into a directory that others remove when they leave it."""
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
        self.claim = claim
        self.path = path
        self._descriptor = descriptor

    def record(self, undo: Sequence[Operation]) -> None:
        self.ready(undo)()

    def ready(self, undo: Sequence[Operation]) -> Callable[[], None]:
        lines = b"".join(encode_line(operation.to_dict()) for operation in undo)

        def write() -> None:
            with explained(self.path):
                if self.is_gone():
                    self._put_back()
                append(self._descriptor, lines)

        return write

    def share(self, undo: Operation) -> None:
        self._store.share(self.claim, undo)

    def mark(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_END)

    def rewind(self, mark: int) -> None:
        with explained(self.path):
            os.ftruncate(self._descriptor, mark)

    def finish(self, perform: Perform) -> None:
        self._store.release(self, perform)
        os.close(self._descriptor)

    def write_again(self) -> None:
        """If somebody has removed the file: the same again, locked, unless it is another process's by now."""
        if not self.is_gone() or self.path.exists():
            return
        size = os.fstat(self._descriptor).st_size
        descriptor = locked_file(self.path, os.pread(self._descriptor, size, 0))
        os.dup2(descriptor, self._descriptor, inheritable=False)
        os.close(descriptor)

    def is_gone(self) -> bool:
        """Whether somebody has removed the file."""
        return os.fstat(self._descriptor).st_nlink == 0

    def _put_back(self) -> None:
        with self._store.locked():
            self._store.write_again()
        if self.is_gone():
            raise BackendError(
                f"{self.path} was removed, and another process has taken the virtual router since",
                operation="journal",
            )


class JournalStore:
    """The journals of one network namespace. ``link_at`` finds a link by its index; without it none has changed."""

    def __init__(self, directory: pathlib.Path, boot: str, link_at: LinkAt | None = None) -> None:
        self.directory = directory
        self._boot = boot
        self._link_at = link_at
        # while many calls have the lock together: who is there, by the interface's index
        self._company: dict[int, dict[pathlib.Path, dict[str, Any]]] | None = None
        self._links: dict[str, dict[str, Any]] | None = None
        # what this process holds, lest it be lost when somebody removes the directory
        self._held: dict[pathlib.Path, FileJournal] = {}
        self._shared: dict[int, bytes] = {}

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
                for index in self._indexes():
                    # the interface may have had another index then, as one that is unplugged and plugged in again
                    undone = 0
                    for leftover in self._dead(index, None if index == claim.index else claim.interface):
                        leftover.undo(perform)
                        undone += 1
                    if undone or index == claim.index:
                        self.undo_shared(index, perform)
            path = self.directory / f"{claim.index}-{claim.family}-{claim.vrid}.journal"
            company = self._company_of(claim.index)
            refuse_company(claim, path, company)
            if claim.link:
                self._refuse_shared_link(claim)
            with explained(path):
                descriptor = locked_file(path, encode_line(self._head(claim)))
            company[path] = self._head(claim)
            if self._links is not None and claim.link:
                self._links[claim.link] = self._head(claim)
            self._held[path] = FileJournal(self, claim, path, descriptor)
        return self._held[path]

    def release(self, journal: FileJournal, perform: Perform) -> None:
        """Give a virtual router up; with the last one of the interface what they shared is undone."""
        path, index = journal.path, journal.claim.index
        with self.locked():
            company = self._company_of(index)
            if company.keys() <= {path}:
                self.undo_shared(index, perform, gone=[path], is_held=True)
            if not journal.is_gone():
                path.unlink(missing_ok=True)
            company.pop(path, None)
            self._held.pop(path, None)

    def forget(self, journal: FileJournal) -> None:
        """It is no longer this process's."""
        self._held.pop(journal.path, None)

    def write_again(self) -> None:
        """What this process holds, where somebody has removed it: else neither a crash nor ``share`` is undone."""
        with explained(self.directory):
            for journal in self._held.values():
                journal.write_again()
            for index, data in self._shared.items():
                if not (path := self._shared_path(index)).exists():
                    os.close(locked_file(path, data))

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
            for index in self._indexes():
                gone = []
                if not keep:
                    self._remove_links(index, perform, interface)
                for leftover in list(self._dead(index, interface, keep=keep)):
                    try:
                        if not keep:
                            leftover.undo(perform)
                    except BackendError as error:
                        errors.append(error)
                        continue
                    gone.append(leftover.path)
                    undo = leftover.operations[::-1]
                    done.append(Leftover(leftover.interface, undo, (*leftover.left_alone, *left_alone(undo))))
                try:
                    for shared in self.undo_shared(index, perform, gone=gone, keep=keep):
                        words = (*shared.left_alone, *left_alone(shared.operations))
                        done.append(dataclasses.replace(shared, left_alone=words))
                except BackendError as error:
                    errors.append(error)
        if errors:
            raise errors[0]
        return done

    def share(self, claim: Claim, undo: Operation) -> None:
        """Keep ``undo`` for the last virtual router on the interface."""
        path = self._shared_path(claim.index)
        with self.locked(), explained(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                content = content_of(path, cut_torn_end(descriptor), self._boot)
                if content is not None and content.problem:
                    raise BackendError(content.problem, operation="journal")
                head, line = encode_line(self._head(claim)), encode_line(undo.to_dict())
                if content is None and os.fstat(descriptor).st_size:
                    os.ftruncate(descriptor, 0)  # of an earlier boot
                append(descriptor, line if content else head + line)
                self._shared[claim.index] = self._shared.get(claim.index, head) + line
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
        content = content_of(path, path.read_bytes(), self._boot) or Content({}, ())
        name, operations, words = self._as_it_is_now(content, is_held=is_held)
        undo = operations[::-1]
        if keep:
            words = (*words, content.problem) if content.problem else words
        else:
            undo_lines(path, undo, content.problem, perform)
            self._shared.pop(index, None)
        return [Leftover(name, undo, words)] if undo or words else []

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone in the directory, among all processes; a directory that is empty at the end is removed."""
        if self._company is not None:
            yield  # in together(), which has it already
            return
        with explained(self.directory):
            descriptor = self._lock()
        try:
            if any(not path.exists() for path in itertools.islice(self._held, 1)):
                self.write_again()
            yield
        finally:
            with contextlib.suppress(OSError):
                if os.listdir(self.directory) == [LOCK]:
                    os.unlink(self.directory / LOCK)
                    os.rmdir(self.directory)
                    os.rmdir(DEFAULT_STATE_DIR)  # only if it is empty
            os.close(descriptor)

    def _lock(self) -> int:
        path, failed = self.directory / LOCK, OSError()
        for _ in range(_ATTEMPTS):
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except (FileNotFoundError, FileExistsError) as error:  # removed by another process meanwhile: again
                failed = error
                continue
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if is_at(descriptor, path):
                return descriptor
            os.close(descriptor)
        raise failed

    def _indexes(self) -> list[int]:
        """Of all interfaces that have a journal."""
        found = {path.name.split("-")[0] for path in self.directory.glob("*-*")}
        return sorted(int(index) for index in found if index.isdecimal())

    def _dead(self, index: int, interface: str | None = None, *, keep: bool = False) -> Iterator[Dead]:
        for path in sorted(self.directory.glob(f"{index}-*.journal")):
            with if_dead(path) as data:
                if data is None:
                    continue
                content = content_of(path, data, self._boot)
                if content is None:
                    if not keep:
                        path.unlink()
                    continue
                name, operations, words = self._as_it_is_now(content)
                if interface in (None, name, content.head.get("interface")):
                    words = (*words, content.problem) if keep and content.problem else words
                    yield Dead(path, name, operations, words, content.problem)

    def _as_it_is_now(
        self, content: Content, *, is_held: bool = False
    ) -> tuple[str, tuple[Operation, ...], tuple[str, ...]]:
        """The interface's name today, what is to be undone under that name, and in words what cannot be.

        An interface is known again by its index together with its name or one of the MACs that it had; to a process
        that holds it by the index alone.
        """
        head, operations = content.head, content.operations
        name = str(head.get("interface"))
        if self._link_at is None:
            return name, operations, ()
        link = self._link_at(int(head.get("index", 0)))
        if link is not None and (is_held or link.name == name or str(link.mac) in macs_of(content)):
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
            with if_dead(path) as data:
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
