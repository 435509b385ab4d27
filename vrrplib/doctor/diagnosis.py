"""What the doctor says."""

from __future__ import annotations

import dataclasses
import enum


class Severity(enum.StrEnum):
    """``problem``: a backend, or all of them, will not work. ``warning``: it may not. ``note``: good to know."""

    PROBLEM = "problem"
    WARNING = "warning"
    NOTE = "note"
    OK = "ok"


@dataclasses.dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing: ``topic`` is a short name that stays, for programs; ``remedy`` what to do, "" for nothing."""

    severity: Severity
    topic: str
    what: str
    why: str = ""
    remedy: str = ""


def problem(topic: str, what: str, why: str, remedy: str) -> Diagnosis:
    return Diagnosis(Severity.PROBLEM, topic, what, why, remedy)


def warning(topic: str, what: str, why: str, remedy: str) -> Diagnosis:
    return Diagnosis(Severity.WARNING, topic, what, why, remedy)


def note(topic: str, what: str, why: str = "", remedy: str = "") -> Diagnosis:
    return Diagnosis(Severity.NOTE, topic, what, why, remedy)


def ok(topic: str, what: str) -> Diagnosis:
    return Diagnosis(Severity.OK, topic, what)
