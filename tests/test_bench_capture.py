"""benchmarks/bench_capture.py reads the files that it says, and tells a rate and a peak for each reader."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.documents import ROOT
from vrrplib import decode
from vrrplib.wire.capture import CaptureReader

FILE = ROOT / "benchmarks" / "bench_capture.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_capture", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("kind", "different"), [("repeating", 255), ("differing", 600)])
def test_a_file_is_made_of_valid_adverts(bench: ModuleType, tmp_path: Path, kind: str, different: int) -> None:
    once, again = tmp_path / "once.pcap", tmp_path / "again.pcap"
    for path in (once, again):
        bench.write(path, kind, 600)
    assert once.read_bytes() == again.read_bytes()
    seen = set()
    with once.open("rb") as file:
        for record in CaptureReader(file):
            datagram = record.datagram
            assert datagram is not None
            seen.add(decode(datagram.payload, source=datagram.source, destination=datagram.destination))
    assert len(seen) == different


def test_a_share_of_a_file_is_its_start(bench: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "whole.pcap"
    bench.write(path, "differing", 500)
    with bench.start_of(path, 50).open("rb") as file:
        reader = CaptureReader(file)
        assert len(list(reader)) == 10
    assert reader.broken is None
    assert bench.start_of(path, 1) == path


def test_a_reader_has_a_rate_and_a_peak(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    argv = [sys.executable, str(FILE), "--records", "1000", "--only", "the library", "--json", str(results)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert "the library is" in done.stdout
    found = json.loads(results.read_text())
    assert len(found["rows"]) == 2
    assert all(row["rate"] > 0 and row["kib"] > 1000 for row in found["rows"])
    assert list(found["memory"]) == ["100", "1000"]


def test_a_reader_that_fails_is_no_rate(bench: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="vrrplib decode ended with status 2"):
        bench.run(bench.COMMAND, tmp_path / "missing.pcap")
