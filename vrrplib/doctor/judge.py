"""The doctor: every judgement, worst first."""

from __future__ import annotations

from collections.abc import Sequence

from vrrplib.doctor.diagnosis import Diagnosis, Severity
from vrrplib.doctor.facts import Facts
from vrrplib.doctor.of_host import judge_host
from vrrplib.doctor.of_lan import judge_lan
from vrrplib.doctor.of_link import judge_link

_ORDER = list(Severity)


def diagnose(facts: Facts) -> tuple[Diagnosis, ...]:
    """All that there is to say of ``facts``, the worst first; what is alike in severity keeps its order."""
    found = (*judge_link(facts), *judge_host(facts), *judge_lan(facts))
    return tuple(sorted(found, key=lambda diagnosis: _ORDER.index(diagnosis.severity)))


def has_problems(diagnoses: Sequence[Diagnosis]) -> bool:
    return any(diagnosis.severity is Severity.PROBLEM for diagnosis in diagnoses)
