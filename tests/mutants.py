"""Mutation testing of vrrplib.election: ``make mutation``, or ``python -m tests.mutants router timers``.

The mutants are those of mutmut, and those of cosmic-ray's operators that mutmut has nothing like. Neither runs them
itself: mutmut's trampolines pass over properties, constants and the defaults of fields, and cosmic-ray starts an
interpreter for each. Here each is run in a fork: one that changes a function in a process that has collected the
tests, by giving the function the mutant's code, and any other (with ``--whole``: each) before vrrplib is loaded.

Each must be killed by SELECTION, or be argued in election/equivalent.md; the exit status is 1 where one is neither.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib.machinery
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, TypeAlias

import hypothesis.stateful  # noqa: F401  # loaded before the forks, as pytest is
import pytest

SELECTION = ["tests/election", "--ignore=tests/election/test_explore.py", "-m", "not hypothesis"]
SELECTION += ["-p", "no:logging"]  # nobody logs
"""What must kill them: every example, and nothing that searches. It takes less than two seconds."""

PACKAGE = "vrrplib.election."
ROOT = Path(__file__).parent.parent
ELECTION = ROOT / "vrrplib" / "election"
ARGUED = ROOT / "tests" / "election" / "equivalent.md"
PATIENCE = 20  # seconds of a mutant that does not end
MEMORY = 4 << 30
BROKEN = 99  # exit status: it is not the mutant that failed

# Not taken from cosmic-ray: arithmetic for arithmetic and bit for bit (mutmut has one for each operator), and
# identity for equality, which is the same for enums and a question of speed.
COSMIC = re.compile(
    r"NumberReplacer|AddNot|ZeroIterationForLoop|ExceptionReplacer"
    r"|ReplaceComparisonOperator_(Lt|LtE|Gt|GtE|Eq|NotEq)_(Lt|LtE|Gt|GtE|Eq|NotEq)"
)

Key: TypeAlias = tuple[str, str, str, str]


class Mutant(NamedTuple):
    """A module, changed in one place."""

    module: str
    source: str
    in_function: bool
    scope: str
    """The function or class that the place is in."""
    before: str
    """The lines that change, without indentation."""
    after: str

    @property
    def key(self) -> Key:
        return self.module, self.scope, self.before, self.after


class _Runtime(ast.NodeTransformer):
    """What is left of a module when it runs: no annotations, no docstrings, nothing for type checkers alone."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        guard = isinstance(node.targets[0], ast.Name) and node.targets[0].id == "TYPE_CHECKING"
        return None if guard else self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        alias = isinstance(node.annotation, ast.Name) and node.annotation.id == "TypeAlias"
        node.annotation = ast.Constant("")
        if alias:
            node.value = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else node


def mutants(path: Path) -> Iterator[Mutant]:
    """The mutants of a file that differ from it, and from each other, when they run."""
    original = path.read_text()
    seen = {_runtime(original)}
    for changed in (*_mutmut(original), *_cosmic_ray(original)):
        try:
            runtime = _runtime(changed)
        except SyntaxError:
            continue
        if runtime not in seen:
            seen.add(runtime)
            yield _described(path.stem, original, changed)


def _runtime(source: str) -> str:
    return ast.dump(_Runtime().visit(ast.parse(source)))


def _mutmut(source: str) -> Iterator[str]:
    import libcst
    from libcst.metadata import ByteSpanPositionProvider
    from mutmut.mutation.file_mutation import MutationVisitor
    from mutmut.mutation.mutators import mutation_operators
    from mutmut.mutation.pragma_handling import IgnoredCode

    class Visitor(MutationVisitor):  # type: ignore[misc]
        def _skip_node_and_children(self, node: libcst.CSTNode) -> bool:
            decorated = isinstance(node, libcst.FunctionDef)  # which only its trampolines cannot do
            return not decorated and super()._skip_node_and_children(node)

    wrapper = libcst.MetadataWrapper(libcst.parse_module(source))
    visitor = Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    module = wrapper.visit(visitor)
    spans = wrapper.resolve(ByteSpanPositionProvider)
    text = source.encode()
    for mutation in visitor.mutations:
        if isinstance(mutation.original_node, libcst.Match):  # has comments and indentation
            yield module.deep_replace(mutation.original_node, mutation.mutated_node).code
            continue
        span = spans[mutation.original_node]
        new = module.code_for_node(mutation.mutated_node).encode()
        yield (text[: span.start] + new + text[span.start + span.length :]).decode()


def _cosmic_ray(source: str) -> Iterator[str]:
    from cosmic_ray import plugins
    from cosmic_ray.mutating import mutate_code

    for name in plugins.operator_names():
        if COSMIC.fullmatch(name.partition("/")[2]):
            occurrence = 0
            while changed := mutate_code(source, plugins.get_operator(name)(), occurrence):
                occurrence += 1
                yield changed


def _described(module: str, original: str, changed: str) -> Mutant:
    old, new = original.splitlines(), changed.splitlines()
    begin = next(index for index, (ours, theirs) in enumerate(zip(old, new, strict=False)) if ours != theirs)
    tail = 0
    while tail < min(len(old), len(new)) - begin - 1 and old[-tail - 1] == new[-tail - 1]:
        tail += 1
    before, after = _joined(old[begin : len(old) - tail]), _joined(new[begin : len(new) - tail])
    scope, in_function = _scope(ast.parse(original), begin + 1)
    return Mutant(module, changed, in_function, scope, before, after)


def _scope(node: ast.AST, line: int) -> tuple[str, bool]:
    """The qualified name of the method, function or class that the line is in, and whether it is a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and child.lineno <= line <= (child.end_lineno or 0):
            if isinstance(child, ast.FunctionDef):
                return child.name, True
            inner, in_function = _scope(child, line)
            return f"{child.name}.{inner}".rstrip("."), in_function
    return "", False


def _joined(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


def argued() -> dict[Key, str]:
    """The mutants of equivalent.md by module, scope, before and after; and why nothing changes."""
    found, module, scope = {}, "", ""
    text = ARGUED.read_text() if ARGUED.exists() else ""
    for entry in re.finditer(r"^## (\w+)\.py$|^### (.*)$|^- `(.*)`\n  `(.*)`\n((?:  .*\n)+)", text, re.MULTILINE):
        if entry[1]:
            module, scope = entry[1], ""
        elif entry[2] is not None:
            scope = entry[2].strip("`")
        else:
            found[module, scope, entry[3], entry[4]] = _joined([entry[5]])
    return found


class _Finder:
    """Gives the mutant in place of the module."""

    def __init__(self, mutant: Mutant) -> None:
        self.name, self.mutant = PACKAGE + mutant.module, mutant

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self) if name == self.name else None

    def create_module(self, _: object) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.mutant.source, f"{self.mutant.module}.py", "exec"), module.__dict__)


class _Swapping:
    """A plugin of pytest: the tests are collected once, and run in a fork for each mutant of a function."""

    def __init__(self, found: list[Mutant], jobs: int) -> None:
        self.found, self.jobs, self.alive = found, jobs, list[Mutant]()

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        def swap(mutant: Mutant) -> None:
            session.items.sort(key=lambda item: item.path.stem != f"test_{mutant.module}")
            _swap(mutant)

        alive = _forked(self.found, self.jobs, swap)
        if alive is None:
            return None  # in the fork: pytest goes on
        self.alive = alive
        return True


def _swap(mutant: Mutant) -> None:
    """Give the function that is in use the code of the mutant's."""
    name = PACKAGE + mutant.module
    scratch = {"__name__": name}
    try:
        exec(compile(mutant.source, f"{mutant.module}.py", "exec"), scratch)
    except Exception:
        os._exit(1)  # it does not even load
    old, new = (_function(names, mutant.scope) for names in (vars(sys.modules[name]), scratch))
    old.__code__, old.__defaults__, old.__kwdefaults__ = new.__code__, new.__defaults__, new.__kwdefaults__


def _function(names: dict[str, Any], scope: str) -> FunctionType:
    first, *others = scope.split(".")
    found = names[first]
    for other in others:
        found = vars(found)[other]
    found = getattr(found, "__func__", getattr(found, "fget", found))
    assert isinstance(found, FunctionType)
    return found


def _forked(found: list[Mutant], jobs: int, change: Callable[[Mutant], None]) -> list[Mutant] | None:
    """Those that survive; None in a fork that has been changed, and whose exit status is to tell."""
    running: dict[int, Mutant] = {}
    alive, waiting = [], found[::-1]
    gc.collect()
    gc.freeze()  # so that forks share it
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            pid = os.fork()
            if not pid:
                try:
                    _be_alone()
                    change(mutant)
                except BaseException:
                    os._exit(BROKEN)
                return None
            running[pid] = mutant
        pid, status = os.wait()
        mutant = running.pop(pid)
        if os.waitstatus_to_exitcode(status) == BROKEN:
            raise RuntimeError(f"cannot run {mutant.key}")
        if status == 0:
            alive.append(mutant)
    return alive


def _be_alone() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)


def survivors(found: list[Mutant], jobs: int, *, whole: bool) -> list[Mutant]:
    """Those that SELECTION does not kill.

    What is changed outside of functions, or is to be run ``whole``, is imported and collected anew each time.
    """
    arguments = ["-qq", "-x", "-s", "--tb=no", "--no-summary", "-p", "no:cacheprovider", *SELECTION]
    arguments += [f"--timeout={PATIENCE}", "--disable-warnings"]
    quick = [mutant for mutant in found if mutant.in_function and not whole]
    slow = [mutant for mutant in found if mutant not in quick]
    alive = _forked(slow, jobs, lambda mutant: sys.meta_path.insert(0, _Finder(mutant)))
    if alive is None:
        os._exit(pytest.main(arguments))
    if not quick:
        return alive
    swapping, parent = _Swapping(quick, jobs), os.getpid()
    status = pytest.main(arguments, plugins=[swapping])
    if os.getpid() != parent:
        os._exit(status)
    return alive + swapping.alive


def main() -> int:
    modules = sorted(path.stem for path in ELECTION.glob("*.py") if path.stem != "__init__")
    parser = argparse.ArgumentParser(description="Run the mutants of vrrplib.election.")
    parser.add_argument("module", nargs="*", help=f"default: all of {', '.join(modules)}")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--whole", action="store_true", help="import and collect anew for each")
    options = parser.parse_args()
    os.chdir(ROOT)
    if subprocess.call([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *SELECTION]):
        return 2  # what fails kills everything
    found = [mutant for module in options.module or modules for mutant in mutants(ELECTION / f"{module}.py")]
    print(len(found), "mutants", flush=True)
    alive = survivors(found, options.jobs, whole=options.whole)
    reasons = argued()
    return report(found, alive, reasons)


def report(found: list[Mutant], alive: list[Mutant], reasons: dict[Key, str]) -> int:
    failed = False
    for module in dict.fromkeys(mutant.module for mutant in found):
        own = [mutant for mutant in alive if mutant.module == module]
        unexplained = [mutant for mutant in own if mutant.key not in reasons]
        mutated = sum(mutant.module == module for mutant in found)
        counts = mutated, mutated - len(own), len(own) - len(unexplained), len(unexplained)
        print(f"{module:12}" + "{:6} mutants {:6} killed {:6} equivalent {:6} survive".format(*counts))
        for mutant in unexplained:
            failed = True
            print(f"### {mutant.scope}\n- `{mutant.before}`\n  `{mutant.after}`\n  ?")
        for key in reasons.keys() - {mutant.key for mutant in own}:
            if key[0] == module:
                failed = True
                print(f"{ARGUED.name}: killed, or no longer there: {key}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
