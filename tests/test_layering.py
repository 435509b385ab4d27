"""The order of the house: each row may import only rows above it, and what is pure does no I/O and has no clock."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vrrplib

ROOT = Path(vrrplib.__file__).parent

# Top to bottom. A package's name stands for all that is in it.
ROWS = (
    ("values",),
    ("errors",),
    ("wire.addresses",),
    ("wire.checksum", "wire.datagram", "election.timers", "election.states"),
    ("rules",),
    ("wire.messages",),
    ("wire.clean",),
    ("wire.packets", "wire.parsing", "wire.keys"),
    ("wire.ah",),
    ("wire.authentication", "wire.carp", "wire.announcements"),
    ("election.announcing", "election.statistics"),
    ("election.config",),
    ("election.events", "election.actions", "profiles"),
    ("election.hearing", "election.tracking"),
    ("election.sending",),
    ("election.router",),
    ("election.groups", "wire.frames", "backends.base", "transports.base", "namespaces", "wire.linktypes"),
    ("wire.capture_writer", "transports.bpf"),
    ("backends.shell",),
    ("wire.capture", "backends.operations", "transports.memory"),
    (
        *("backends.exchange", "backends.accepting", "backends.host"),
        *("backends.stages", "backends.upkeep"),
    ),
    ("backends.plan", "backends.journal_files", "backends.netlink_socket", "backends.netlink_errors"),
    ("backends.journal_reading",),
    ("backends.journal", "backends.netlink_links", "backends.netlink_mac", "backends.memory", "member"),
    (
        *("backends.netlink_filters", "backends.netlink_messages", "backends.netlink_sysctls"),
        *("backends.netlink_tables",),
    ),
    ("backends.netlink_calls", "backends.netlink_removal", "doctor.facts", "doctor.diagnosis"),
    ("agenda",),
    ("backends.macvlan", "backends.macswap", "backends.announce", "backends.dryrun", "node", "lab.scenes"),
    (
        *("lab.lan", "lab.neighbours", "lab.strategies", "lab.entries"),
        *("backends.netlink", "backends.watch", "transports.packet", "drivers.blocking"),
        *("doctor.of_host", "doctor.of_link", "doctor.of_lan", "doctor.reading"),
    ),
    ("lab.catalogue", "lab.machines", "lab.hosts", "doctor.judge", "doctor.listen"),
    ("doctor.gather",),
    ("lab.lean",),
    ("lab.simulator", "lab.storm"),
    ("lab.faults", "lab.invariants"),
    ("lab.sweep",),
    ("lab.story",),
    ("lab.heard", "lab.wording"),
    ("lab.causes",),
    ("lab.tracking",),
    ("lab.telling",),
    ("lab.explain", "lab.timeline", "lab.fuzz", "drivers.aio"),
    ("pytest_plugin", "cli", "__main__"),
)
UPWARD = {
    # the one upward import: a PlannedBackend that was given no Host asks for this host's
    ("backends.plan", "backends.netlink"),
}
SIDEWAYS = {
    # a MAC swap is an announcement on the parent with two operations before it
    ("backends.macswap", "backends.announce"),
    # python -m vrrplib is the command line
    ("__main__", "cli"),
}
PURE = (
    "values",
    "errors",
    "rules",
    "profiles",
    "wire",
    "election",
    "backends.operations",
    "backends.shell",
    "backends.exchange",
    "backends.host",
    "backends.stages",
    "backends.upkeep",
    "backends.accepting",
    "backends.plan",
    "backends.macvlan",
    "backends.macswap",
    "backends.announce",
    "backends.dryrun",
    "backends.memory",
    "transports.memory",
    "doctor.facts",
    "doctor.diagnosis",
    "doctor.of_host",
    "doctor.of_link",
    "doctor.of_lan",
    "doctor.judge",
    "lab",
)
IMPURE = {"socket", "os", "time", "threading", "asyncio", "logging"}
ONLY_IN = {
    "dpkt": {"wire.frames"},
    # messages of two kinds, over sockets of two kinds: together they would be too long for one file
    "pyroute2": {"backends.netlink_messages", "backends.netlink_filters"},
}
# What breaks the order today. Each is to be mended, or to get a reason in the tables above and below; it shows as
# an expected failure until then.
DEBTS: dict[str, dict[str, str]] = {
    "order": {},
    "libraries": {},
    "length": {},
}
MOST_LINES = 400
LONGER = {
    "lab.catalogue": "a table, in which the formatter gives each column of each row a line",
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(), str(path)) for name, path in SOURCES.items()}
# the package itself gives the public names, and the folders of its rooms are empty
ROOMS = {name for name, path in SOURCES.items() if path.name == "__init__.py"}
MODULES = sorted(set(SOURCES) - ROOMS)
PURE_MODULES = [name for name in MODULES if any(name == group or name.startswith(group + ".") for group in PURE)]


def is_in(name: str, group: str) -> bool:
    return name == group or name.startswith(group + ".")


def with_debts(kind: str, names: Iterable[str]) -> list[Any]:
    """Names as parameters, those with a debt as expected failures."""
    debts = DEBTS[kind]
    marks = {name: [pytest.mark.xfail(reason=reason)] for name, reason in debts.items()}
    return [pytest.param(name, marks=marks.get(name, [])) for name in names]


def row_of(name: str) -> int | None:
    return next((at for at, row in enumerate(ROWS) if any(is_in(name, group) for group in row)), None)


def group_of(name: str) -> str:
    return next(group for row in ROWS for group in row if is_in(name, group))


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported: at the top, in functions, for type checking, or by import_module()."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.dump(node.func):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def ours(tree: ast.AST) -> set[str]:
    """The modules of vrrplib among the imports, without the package and its rooms."""
    found = {name.removeprefix("vrrplib.") for name in imports(tree) if is_in(name, "vrrplib")}
    return found & set(MODULES)


def others(tree: ast.AST) -> set[str]:
    """The top-level names of all other packages that are imported."""
    return {name.partition(".")[0] for name in imports(tree)} - {"vrrplib"}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_a_row(name: str) -> None:
    assert row_of(name) is not None, f"{name} is in no row of design section 2: give it one"


def test_the_rows_are_walked_and_not_an_empty_folder() -> None:
    assert {"errors", "rules", "wire.packets", "wire.frames", "election.router"} <= set(MODULES)
    assert ours(TREES["election.router"]) >= {"election.hearing", "wire.packets", "errors"}
    assert "dpkt" in others(TREES["wire.frames"])


@pytest.mark.parametrize("name", with_debts("order", MODULES))
def test_a_module_imports_only_from_rows_above_its_own(name: str) -> None:
    here = row_of(name)
    assert here is not None
    for other in ours(TREES[name]) - {name}:
        there = row_of(other)
        assert there is not None
        if there < here or (group_of(name), group_of(other)) in UPWARD:
            continue
        if there == here and group_of(name) == group_of(other):
            continue  # within one package that is a row's member, such as cli
        assert there == here, f"{name} imports {other}, which is below it"
        assert (group_of(name), group_of(other)) in SIDEWAYS, f"{name} imports {other}, which is beside it"


@pytest.mark.parametrize(("upper", "lower"), sorted(UPWARD | SIDEWAYS))
def test_an_exception_is_needed(upper: str, lower: str) -> None:
    if upper not in SOURCES or lower not in SOURCES:
        pytest.skip(f"{upper} or {lower} does not exist yet")
    assert any(is_in(other, lower) for other in ours(TREES[upper])), "take it out of the list"


@pytest.mark.parametrize("name", sorted(ROOMS - {""}))
def test_the_folder_of_a_room_imports_nothing(name: str) -> None:
    assert set(imports(TREES[name])) - {"__future__", "__future__.annotations"} == set()


def test_the_package_imports_its_own_names_only_for_type_checking() -> None:
    tree = TREES[""]
    tree = ast.Module([node for node in tree.body if not isinstance(node, ast.If)], [])
    assert ours(tree) == set()


@pytest.mark.parametrize("name", PURE_MODULES)
def test_what_is_pure_does_no_io_and_has_no_clock(name: str) -> None:
    assert others(TREES[name]) & IMPURE == set()


@pytest.mark.parametrize("name", PURE_MODULES)
def test_randomness_comes_from_a_seed(name: str) -> None:
    assert "random.Random" not in imports(TREES[name]), (
        "write random.Random(seed), so that this test can see the seed"
    )
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "random":
            assert node.attr == "Random", f"random.{node.attr} has no seed"
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "random.Random":
            assert node.args, "random.Random() takes its seed from the host"


@pytest.mark.parametrize("name", with_debts("libraries", SOURCES))
def test_dpkt_and_pyroute2_stay_behind_their_modules(name: str) -> None:
    found = others(TREES[name])
    assert [library for library, allowed in ONLY_IN.items() if library in found and name not in allowed] == []


def test_dpkt_is_where_it_is_said_to_be() -> None:
    assert {name for name in SOURCES if "dpkt" in others(TREES[name])} == ONLY_IN["dpkt"]


@pytest.mark.parametrize("name", with_debts("length", SOURCES))
def test_no_file_is_above_400_lines_without_a_reason(name: str) -> None:
    lines = len(SOURCES[name].read_text().splitlines())
    assert (lines > MOST_LINES) is (name in LONGER), f"{lines} lines"


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    return set(done.stdout.split())


def test_importing_the_package_loads_no_library() -> None:
    loaded = loaded_after("import vrrplib")
    assert "vrrplib" in loaded
    assert loaded & {"dpkt", "pyroute2", "asyncio", "socket", "logging"} == set()
    assert {name for name in loaded if name.startswith("vrrplib.")} == set()


def test_the_election_loads_no_library_either() -> None:
    loaded = loaded_after("import vrrplib.election.router")
    assert "vrrplib.election.router" in loaded
    assert loaded & {"dpkt", "pyroute2", "asyncio", "socket", "logging"} == set()
