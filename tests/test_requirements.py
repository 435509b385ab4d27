"""docs/requirements.md is what the table makes, and the table names code, tests and clauses that there are."""

from __future__ import annotations

import ast
import functools
import importlib
import io
import re
import tokenize
from pathlib import Path

import pytest

from tests import documents
from tests.oracle import VECTORS
from tests.requirements import (
    LEVELS,
    NO_RULE,
    OTHER_DOCUMENTS,
    REQUIREMENTS,
    RFCS,
    Requirement,
    clauses,
    document,
)

TESTS = documents.ROOT / "tests"
ELECTION = [*sorted((documents.ROOT / "vrrplib/election").glob("*.py")), documents.ROOT / "vrrplib/rules.py"]
CITED = re.compile(r"(?<![\d.])[5-8]\.\d+(?:\.\d+)*(?![\d.]*\d)")
NAMED = re.compile(r"RFC (\d{4})\s+(\d+(?:\.\d+)+)")
PLACES = {(str(clause.rfc), clause.section) for row in REQUIREMENTS for clause in row.clauses}
every_row = pytest.mark.parametrize("row", REQUIREMENTS, ids=[row.rule[:60] for row in REQUIREMENTS])


def test_the_document_is_what_the_table_makes() -> None:
    """If not: python -m tests.requirements > docs/requirements.md."""
    assert (documents.ROOT / "docs/requirements.md").read_text() == document()


def test_a_rule_is_there_once() -> None:
    seen = [(row.rule, row.clauses) for row in REQUIREMENTS]
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("rfc", RFCS)
def test_each_rfc_has_its_rules(rfc: int) -> None:
    assert sum(any(clause.rfc == rfc for clause in row.clauses) for row in REQUIREMENTS) > 40


@every_row
def test_a_clause_is_a_place_in_one_of_the_four_and_its_level_a_word_of_theirs(row: Requirement) -> None:
    assert row.clauses
    for clause in row.clauses:
        assert clause.rfc in RFCS
        assert clause.level in LEVELS
        assert re.fullmatch(r"\d+|[\dA]+(\.\d+)+|erratum \d{4}", clause.section), clause


@every_row
def test_what_implements_a_rule_is_there_or_why_it_is_not(row: Requirement) -> None:
    assert row.where or row.but
    for name in row.where:
        module, _, attributes = name.partition(":")
        found = importlib.import_module(f"vrrplib.{module}")
        for attribute in attributes.split("."):
            found = getattr(found, attribute)


@every_row
def test_a_rule_has_a_test_that_obeys_and_one_that_violates_or_a_reason(row: Requirement) -> None:
    assert (row.obeys and row.violates) or row.untested
    assert not (row.obeys and row.violates and row.untested)
    assert not set(row.obeys) & set(row.violates)


def is_xfail(decorator: ast.expr) -> bool:
    return ast.unparse(decorator).startswith("pytest.mark.xfail")


@functools.cache
def names_in(path: Path) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """The test functions of a module, those of them that are expected to fail, and its strings."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    failing = [node.name for node in functions if any(map(is_xfail, node.decorator_list))]
    strings = [
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return frozenset(node.name for node in functions), frozenset(failing), frozenset(strings)


@every_row
def test_every_test_that_is_named_is_there(row: Requirement) -> None:
    vectors = {entry["id"] for entry in VECTORS["packets"]}
    for name in (*row.obeys, *row.violates):
        match = re.fullmatch(r"(?P<path>[a-z0-9_/]+\.py)::(?P<test>test_\w+)(\[(?P<parameters>[^]]+)\])?", name)
        assert match, name
        functions, failing, strings = names_in(TESTS / match["path"])
        assert match["test"] in functions, name
        assert match["test"] not in failing or "known failure" in row.but, name
        for parameter in (match["parameters"] or "").split("-"):
            assert not parameter or parameter in strings | vectors, name


def test_what_is_expected_to_fail_in_the_election_is_in_the_table() -> None:
    named = {name.partition("::")[2] for row in REQUIREMENTS for name in row.violates}
    for path in sorted((TESTS / "election").glob("test_*.py")):
        assert names_in(path)[1] <= named, path.name


def prose(path: Path) -> list[str]:
    """The comments and strings of a module."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    return [token.string for token in tokens if token.type in (tokenize.COMMENT, tokenize.STRING)]


def cited(text: str) -> set[tuple[str, str]]:
    """(RFC, section) for every clause that ``text`` cites; "" for an RFC that it does not name."""
    found = set(NAMED.findall(text))
    found |= {("", section) for section in CITED.findall(NAMED.sub("", text))}
    found |= {("9568", f"erratum {number}") for number in re.findall(r"errat(?:um|a) (\d{4})", text)}
    return found


def test_citations_are_found() -> None:
    assert cited("# RFC 9568 7.1 and RFC 3768 7.1: 6.4.2 says, erratum 8300") == {
        ("9568", "7.1"),
        ("3768", "7.1"),
        ("", "6.4.2"),
        ("9568", "erratum 8300"),
    }
    assert cited("5.0 s, 192.0.2.1, 255.255.255.255") == {("", "5.0")}


def test_clauses_are_read() -> None:
    found = clauses("MUST", "2338/3768 5.2.3; 9568 7.1 erratum 8300; 5798 8.1.2=should")
    assert [(one.rfc, one.section, one.level) for one in found] == [
        (2338, "5.2.3", "MUST"),
        (3768, "5.2.3", "MUST"),
        (9568, "7.1", "MUST"),
        (9568, "erratum 8300", "MUST"),
        (5798, "8.1.2", "should"),
    ]


@pytest.mark.parametrize("path", ELECTION, ids=lambda path: path.name)
def test_every_clause_that_the_election_cites_is_in_the_table(path: Path) -> None:
    for text in prose(path):
        for rfc, section in cited(text):
            if rfc and int(rfc) in OTHER_DOCUMENTS:
                continue
            assert not rfc or int(rfc) in RFCS, (rfc, section)
            same = {place for of, place in PLACES if not rfc or of == rfc}
            known = any(place == section or place.startswith(f"{section}.") for place in same)
            assert known or f"{rfc} {section}" in NO_RULE, f"{rfc} {section}: {text[:80]}"


def test_what_is_excepted_is_cited() -> None:
    texts = [text for path in ELECTION for text in prose(path)]
    places = {f"{rfc} {section}" for text in texts for rfc, section in cited(text)}
    assert set(NO_RULE) <= places
    for rfc in OTHER_DOCUMENTS:
        assert any(f"RFC {rfc}" in text for text in texts), rfc
