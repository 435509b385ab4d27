"""docs/interfaces.md is what was measured."""

from __future__ import annotations

from tests.documents import ROOT
from tests.vm.page import KINDS, page, read


def test_the_page_is_what_was_measured() -> None:
    assert (ROOT / "docs/interfaces.md").read_text() == page(read()), "python -m tests.vm.page > docs/interfaces.md"


def test_every_kind_was_measured_in_every_family() -> None:
    seen = {(record["kind"], record["family"]) for record in read() if record["test"] == "takeover"}
    assert seen == {(kind, family) for kind in KINDS for family in ("v2", "v3-ipv4", "v3-ipv6")}
