"""The programs in docs/ run as printed, its links lead somewhere, the own loop is as short as was promised."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import documents

DOCS = sorted((documents.ROOT / "docs").glob("*.md"))
PAGES = [*DOCS, documents.ROOT / "README.md", documents.ROOT / "CHANGELOG.md"]


@pytest.mark.parametrize("code", [block for page in DOCS for block in documents.blocks(page)])
def test_program(code: str, tmp_path: Path) -> None:
    documents.run(code, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert link.startswith("https://") or (page.parent / link).exists(), link


def test_every_page_is_in_the_index() -> None:
    index = (documents.ROOT / "docs/index.md").read_text()
    assert [page.name for page in DOCS if page.name != "index.md" and f"({page.name})" not in index] == []


def test_the_own_loop_is_a_program_of_under_25_lines_with_no_node_no_driver_and_no_thread() -> None:
    block, _ = documents.blocks(documents.ROOT / "docs/own-loop.md")
    [code] = block.values
    assert len(code.splitlines()) < 25
    assert "Router(" in code
    for name in ("Node", "drivers", "thread", "asyncio"):
        assert name not in code
