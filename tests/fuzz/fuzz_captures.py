"""Capture files. For any bytes as a file:

* only ConfigError is raised, and only before the first record, unless a link type is not known;
* reading ends, with no more records than there are bytes for, and what came is what the file has;
* a file that breaks off gives the records before the break, and says where it is;
* the same bytes through an unbuffered file that reads short, by a few bytes or many, give the same;
* what is written is read again as it was.
"""

import io

from tests.fuzz.engine import instrumented, main

with instrumented(__name__):
    from vrrplib.errors import ConfigError
    from vrrplib.wire.capture import Captured, CaptureReader, PcapngWriter, PcapWriter, is_capture, read_pcap
    from vrrplib.wire.datagram import Datagram

SMALLEST_RECORD = 16  # the header of pcap's; of pcapng's smallest block
PIECES = (3, 50, 7, 15)


class Short(io.RawIOBase):
    """A file that hands out a few bytes at most: how many, its size decides."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self._most = PIECES[len(data) % len(PIECES)]

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, self._most))


def check(data: bytes) -> None:
    records, broken = read(io.BytesIO(data))
    if not is_capture(data):
        assert records is None
    if records is None:
        return
    assert len(records) <= len(data) // SMALLEST_RECORD
    assert sum(len(record.data) for record in records) <= len(data)
    for record in records:
        assert record.time is None or isinstance(record.time, float)
        assert record.frame is None or isinstance(record.frame, bytes)
        assert isinstance(record.datagram, Datagram | None)
    if len(data) < 4096:
        assert read(Short(data)) == (records, broken)
        check_cut(data, records)
    check_short_form(data, records)
    check_written(records)


def read(file: object) -> tuple[list[Captured] | None, str | None]:
    """The records, and where the file is broken; None for what is no capture."""
    try:
        reader = CaptureReader(file)  # type: ignore[arg-type]
    except ConfigError as error:
        assert str(error)  # noqa: PT017
        return None, None
    records = list(reader)
    assert reader.broken is None or str(reader.broken)
    return records, str(reader.broken) if reader.broken else None


def check_cut(data: bytes, records: list[Captured]) -> None:
    """Half a file has the first of its records, and no others."""
    some, _ = read(io.BytesIO(data[: len(data) // 2]))
    if some:
        assert some == records[: len(some)]


def check_short_form(data: bytes, records: list[Captured]) -> None:
    try:
        frames = list(read_pcap(io.BytesIO(data)))
    except ConfigError as error:
        assert any(record.frame is None for record in records), error  # noqa: PT017
        return
    assert [frame for _, frame in frames] == [record.frame for record in records]


def check_written(records: list[Captured]) -> None:
    pcap, pcapng = io.BytesIO(), io.BytesIO()
    writers = PcapWriter(pcap), PcapngWriter(pcapng)
    kept = [record for record in records if record.time_ns is not None and 0 <= record.time_ns < 1 << 61]
    for record in kept:
        for writer in writers:
            writer.write(record.time_ns or 0, record.data)
    for file in (pcap, pcapng):
        file.seek(0)
        again, broken = read(file)
        assert broken is None
        assert [(item.time_ns, item.data) for item in again or ()] == [(item.time_ns, item.data) for item in kept]


if __name__ == "__main__":
    main(check)
