"""The seed corpora, made from the oracle's vectors, the catalogue and the captures: none of them is kept in git.

python -m tests.fuzz.seeds DIRECTORY      # DIRECTORY/TARGET/NAME, and DIRECTORY/TARGET_seed_corpus.zip with --zip
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fuzz import fuzz_authentication, fuzz_packets, fuzz_router
from tests.lab.playing import SCENES
from vrrplib.lab.fuzz import CATALOGUE, Mutator, Specimen
from vrrplib.wire.announcements import AnnouncementStyle
from vrrplib.wire.capture import CaptureReader, PcapngWriter, PcapWriter
from vrrplib.wire.frames import announcement_frame

DATA = Path(__file__).parents[1] / "data"
VECTORS = json.loads((DATA / "oracle" / "vectors.json").read_text())
PEERS = [json.loads(line) for line in (DATA / "oracle" / "peers.jsonl").read_text().splitlines()]
CAPTURES = sorted((DATA / "captures" / "made").glob("*.pcap"))
KEY = bytes(range(1, 33))
MOST_FRAMES = 12  # of one capture: after that they repeat
UNICAST_MAC = "02:00:00:00:00:02"


def specimens() -> Iterator[tuple[int, Specimen]]:
    """(number of its scene, specimen) for the whole catalogue."""
    for number, scene in enumerate(SCENES):
        for entry in CATALOGUE:
            if specimen := entry.build(scene):
                yield number, specimen


def frames() -> Iterator[bytes]:
    for path in CAPTURES:
        with path.open("rb") as file:
            for _, record in zip(range(MOST_FRAMES), CaptureReader(file), strict=False):
                yield record.data
    for _, specimen in specimens():
        yield specimen.frame(destination_mac=UNICAST_MAC)
    for style in AnnouncementStyle:
        for address in ("192.0.2.254", "fe80::51"):
            yield announcement_frame(address, "00:00:5e:00:01:33", style=style)


def messages() -> Iterator[tuple[int, bytes]]:
    """(family, message) of every vector, every peer's and the catalogue's."""
    for vector in VECTORS["packets"]:
        yield (6 if ":" in (vector["src"] or "") else 4), bytes.fromhex(vector["hex"])
    for vector in VECTORS["carp"]:
        yield 4, bytes.fromhex(vector["hex"])
    for peer in PEERS:
        if peer["layer"] == "vrrp":
            yield peer["af"], bytes.fromhex(peer["hex"])
    for _, specimen in specimens():
        yield specimen.datagram.family, specimen.datagram.payload


def packets() -> Iterator[bytes]:
    for family, message in messages():
        yield fuzz_packets.prefix(family) + message
        yield fuzz_packets.prefix(family, addresses=False) + message


def captures() -> Iterator[bytes]:
    mutator = Mutator(1)
    for path in CAPTURES:
        yield path.read_bytes()[:1500]
    some = list(frames())[:200]
    for size in (1, 3):
        for writer in (PcapWriter, PcapngWriter):
            file = io.BytesIO()
            made = writer(file)
            for number in range(size):
                made.write(number * 1_000_000, mutator.pick(some))
            yield file.getvalue()
            yield file.getvalue()[:-5]


def authentication() -> Iterator[bytes]:
    for family, message in messages():
        for scheme in range(5):
            yield fuzz_authentication.prefix(scheme, KEY, six=family == 6) + message
        yield fuzz_authentication.prefix(0, KEY, carp=True) + message
    header = bytes.fromhex("45c0004400010000ff33d6d7c0000201e0000012700400006401a8c000000001") + bytes(12)
    options = bytes([148, 4, 0, 0, 68, 8, 5, 0, 0, 0, 0, 0, 130, 3, 0, 1, 1, 7, 3, 4, 0, 0, 0, 0])
    message = bytes.fromhex("213364010201b6b4c00002640000000000000000")
    for scheme in (1, 2):
        yield fuzz_authentication.prefix(scheme, KEY, header=1) + header + message
        with_options = b"\x4b" + header[1:20] + options + header[20:]
        yield fuzz_authentication.prefix(scheme, KEY, header=2) + with_options + message


def router() -> Iterator[bytes]:
    mutator = Mutator(2)
    by_scene: dict[int, list[bytes]] = {}
    for number, specimen in specimens():
        message = specimen.datagram.payload
        if len(message) < 256:
            by_scene.setdefault(number, []).append(message)
            yield bytes([number, 100]) + fuzz_router.record(message)
    for number, known in by_scene.items():
        for priority in (2, 100, 254):
            records = [fuzz_router.record(mutator.pick(known), delay=at % 7, sender=at) for at in range(8)]
            yield bytes([number, priority]) + b"".join(records)
        some = [frame for frame in frames() if len(frame) < 256]
        picked = [mutator.pick(some) for _ in range(4)]
        yield bytes([number, 1]) + b"".join(bytes([len(frame)]) + frame for frame in picked)


SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "fuzz_packets": packets,
    "fuzz_frames": frames,
    "fuzz_captures": captures,
    "fuzz_authentication": authentication,
    "fuzz_router": router,
}
"""The seeds of each target, by the name of its module."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the seed corpora of the fuzz targets.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--zip", action="store_true", help="as archives with the names that OSS-Fuzz looks for")
    options = parser.parse_args()
    for target, make in SEEDS.items():
        seeds = {hashlib.sha1(seed, usedforsecurity=False).hexdigest(): seed for seed in make()}
        options.directory.mkdir(parents=True, exist_ok=True)
        if options.zip:
            with zipfile.ZipFile(options.directory / f"{target}_seed_corpus.zip", "w") as archive:
                for name, seed in seeds.items():
                    archive.writestr(name, seed)
        else:
            (options.directory / target).mkdir(exist_ok=True)
            for name, seed in seeds.items():
                (options.directory / target / name).write_bytes(seed)
        print(f"{target}: {len(seeds)} seeds")


if __name__ == "__main__":
    main()
