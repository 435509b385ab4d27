"""The README's programs run as printed, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import documents

README = documents.ROOT / "README.md"


@pytest.mark.parametrize("code", documents.blocks(README))
def test_program(code: str, tmp_path: Path) -> None:
    documents.run(code, tmp_path)


def test_there_are_programs() -> None:
    assert len(documents.blocks(README)) == 4


def test_the_paths_that_it_names_exist() -> None:
    named = re.findall(r"`(vrrplib/[\w/.]*|docs/)`", README.read_text())
    assert len(named) >= 8
    assert [path for path in named if not (documents.ROOT / path).exists()] == []


def test_the_commands_that_it_names_exist() -> None:
    makefile = (documents.ROOT / "Makefile").read_text()
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", README.read_text(), re.MULTILINE))
    assert named >= {"demo", "test", "check", "bench", "test-vm", "matrix", "failures", "soak"}
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
