"""The whole: what is healthy, and the order."""

from __future__ import annotations

import re
from pathlib import Path

import vrrplib.doctor
from tests.doctor.facts import HEALTHY, changed, link, unusual
from tests.documents import ROOT
from vrrplib.doctor.diagnosis import Severity, note, problem
from vrrplib.doctor.judge import diagnose, has_problems


def test_a_healthy_host() -> None:
    assert unusual(HEALTHY) == []
    topics = [diagnosis.topic for diagnosis in diagnose(HEALTHY)]
    assert topics == ["link", "kernel", "privileges", "state-dir", "scheduling", "lan"]
    assert not has_problems(diagnose(HEALTHY))


def test_the_worst_comes_first() -> None:
    found = diagnose(
        changed(interface=link(is_up=False), machine={"cpus": 1, "clocksource": "hpet"}, state={"refused": "full"})
    )
    severities = [diagnosis.severity for diagnosis in found]
    assert severities == sorted(severities, key=list(Severity).index)
    assert {Severity.PROBLEM, Severity.WARNING, Severity.NOTE, Severity.OK} == set(severities)
    assert has_problems(found)


def test_only_a_problem_is_one() -> None:
    assert has_problems([note("a", "b"), problem("a", "b", "c", "d")])
    assert not has_problems([note("a", "b")])
    assert not has_problems([])


def test_the_documentation_has_every_topic() -> None:
    folder = Path(vrrplib.doctor.__file__).parent
    source = "".join(path.read_text() for path in folder.glob("of_*.py"))
    topics = set(re.findall(r'(?:problem|warning|note|ok|say)\(\s*"([a-z0-9-]+)"', source))
    topics |= {f"kernel-{name}" for name in ("macvlan", "nftables", "egress", "cookie")} - {"kernel"}
    assert len(topics) > 25
    page = (ROOT / "docs/doctor.md").read_text()
    assert [topic for topic in sorted(topics - {"kernel", "link"}) if f"`{topic}`" not in page] == []
