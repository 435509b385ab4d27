"""Every fuzz target over its seeds, and over mutations of them: the same ones each time, and without a fuzzer."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.seeds import SEEDS
from vrrplib.lab.fuzz import Mutator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MUTATIONS = 1500
TARGETS = sorted(path.stem for path in HERE.glob("fuzz_*.py"))

FINDINGS: dict[str, tuple[bytes, ...]] = dict.fromkeys(TARGETS, ()) | {
    # four tags, the most that parse reads: the target did not know 0x9100, and put a fifth before them
    "fuzz_frames": tuple(
        bytes.fromhex("01001a2b3c4d00007a000001")
        + bytes.fromhex(tags)
        + bytes.fromhex("080045c0002800010000ff33d1690a4d0001e000001270000000ff333f3d01ff13d0450000c000010000")
        for tags in ("91000001" * 4, "91000001" * 3 + "88a80001")
    ),
}
"""What fuzzing found, by target: inputs by which an invariant did not hold once."""


def test_every_target_has_seeds() -> None:
    assert sorted(SEEDS) == TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    check = importlib.import_module(f"tests.fuzz.{name}").check
    seeds = list(SEEDS[name]())
    assert len(seeds) >= 30
    for seed in (b"", *FINDINGS[name], *seeds):
        check(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_seeds(name: str) -> None:
    check = importlib.import_module(f"tests.fuzz.{name}").check
    seeds, mutator = list(SEEDS[name]()), Mutator(9568)
    for _ in range(MUTATIONS):
        check(mutator.payload(mutator.pick(seeds)))


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_opens_with_its_invariants(name: str) -> None:
    words = importlib.import_module(f"tests.fuzz.{name}").__doc__ or ""
    assert words.count("\n* ") >= 2


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_may_have_lines_put_before_it(name: str) -> None:
    """OSS-Fuzz does so to measure coverage, and then an import from __future__ is an error of syntax."""
    source = (HERE / f"{name}.py").read_text()
    compile("import atexit\n" + source, name, "exec", dont_inherit=True)


def test_the_seeds_are_written_as_files_and_as_archives(tmp_path: Path) -> None:
    for options in ((), ("--zip",)):
        subprocess.run(
            [sys.executable, "-m", "tests.fuzz.seeds", str(tmp_path), *options], check=True, cwd=ROOT, timeout=60
        )
    for name in TARGETS:
        assert len(list((tmp_path / name).iterdir())) >= 30
        assert (tmp_path / f"{name}_seed_corpus.zip").stat().st_size > 1000


def test_the_dictionary_is_one() -> None:
    for line in (HERE / "vrrp.dict").read_text().splitlines():
        if line and not line.startswith("#"):
            name, value = line.split("=", 1)
            assert name.isidentifier()
            assert value.startswith('"')
            assert value.endswith('"')
