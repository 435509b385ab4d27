"""Importing is cheap: what is not asked for is not loaded. Times are a machine's: no test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"dpkt", "pyroute2", "asyncio", "click", "rich", "socket", "logging", "hypothesis", "importlib.metadata"}
SLOW = {"dataclasses", "inspect", "typing", "re"}
"""Each takes longer to load than all of the codec: see vrrplib/values.py."""


def loaded_by(statement: str) -> set[str]:
    """The modules that a bare interpreter loads for a statement, beyond those that it has anyway."""
    code = f"import sys; before = set(sys.modules)\n{statement}\nprint(*(set(sys.modules) - before))"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_loads_nothing_of_its_own_and_next_to_nothing_else() -> None:
    loaded = loaded_by("import vrrplib")
    assert {name for name in loaded if name.startswith("vrrplib.")} == set()
    assert loaded & (HEAVY | {"dataclasses", "inspect", "enum", "ipaddress", "typing"}) == set()


@pytest.mark.parametrize(
    "statement",
    [
        "from vrrplib import decode, Router, RouterConfig, events, actions",
        "from vrrplib import inspect, VRRPv2, VRRPv3, Datagram, ChecksumForm, RFC9568, virtual_mac",
    ],
)
def test_codec_and_election_load_no_library(statement: str) -> None:
    loaded = loaded_by(statement)
    assert loaded & (HEAVY | SLOW) == set()
    assert {name for name in loaded if name.startswith(("vrrplib.backends", "vrrplib.cli", "vrrplib.lab"))} == set()
    assert "vrrplib.wire.packets" in loaded
    assert "vrrplib.wire.frames" not in loaded


def test_every_public_name_can_be_asked_for_by_itself() -> None:
    import vrrplib

    for name in vrrplib.__all__:
        assert getattr(vrrplib, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vrrplib.nothing
    assert {"decode", "Router", "events", "__version__"} <= set(dir(vrrplib))
