"""Twenty seconds of the soak, with fewer virtual routers; `make soak` is half an hour of it with 255."""

from __future__ import annotations

import io
import json

from tests.soak.__main__ import KINDS, soak


def test_twenty_seconds() -> None:
    out = io.StringIO()
    held = soak(20.0, seed=3, count=32, out=out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert held, [line for line in lines if line["event"] in ("verdict", "burst") and not line.get("holds")]
    faults = {line["kind"] for line in lines if line["event"] == "fault"}
    assert "a-killed" in faults
    assert faults <= KINDS.keys()
    interrupted = [line for line in lines if line["event"] == "gaps"]
    assert any(line["fault"] == "a-killed" and line["number"] >= 32 for line in interrupted)  # so gaps are seen
