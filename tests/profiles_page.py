"""docs/profiles.md: what each neighbour does, made from the profiles themselves.

python -m tests.profiles_page > docs/profiles.md
"""

from __future__ import annotations

import dataclasses
import enum

from vrrplib.election.announcing import AnnouncementPolicy
from vrrplib.profiles import PROFILES, Profile
from vrrplib.rules import Rules

HEAD = """# Profiles: neighbours as data

[`vrrplib.profiles`](../vrrplib/profiles.py) describes what other routers make of VRRP, each in its own defaults,
with a line for each value that says where it was seen. `KEEPALIVED_2_2.config(...)` is a `RouterConfig`: a Router
that has it elects, answers and discards as that neighbour does, and a simulated LAN of them predicts a real one.

```python
from vrrplib import FRR_8_4, KEEPALIVED_2_2, Router

fields = {"vrid": 51, "addresses": ["192.0.2.254/24"], "priority": 100}
one = Router(KEEPALIVED_2_2.config(primary_address="192.0.2.1", **fields))
other = Router(FRR_8_4.config(primary_address="192.0.2.2", **fields))
assert round(one.skew_time, 6) == 0.609375
assert round(other.skew_time, 6) == 0.60  # whole centiseconds
```

The tables are made by `python -m tests.profiles_page`, and `tests/test_profiles.py` holds them; it also holds the
profiles of keepalived 2.2 and FRR 8.4 against [what the daemons did](catalogue.md) with each packet of the
catalogue. These two were run, as 2.2.7 and 8.4.4; of keepalived 2.4 and holo only the source was read; os-ken's
codec was run, and its elections were read. `strict` is the RFCs' own defaults. What a field means is said in
[`vrrplib/rules.py`](../vrrplib/rules.py) and in the docstring of `RouterConfig`. Fields in which all six are alike
are left out.
"""


def words(value: object) -> str:
    """A value as it stands in a table."""
    match value:
        case bool():
            return "yes" if value else "no"
        case AnnouncementPolicy():
            at = ", ".join(f"{value.at.count(time)} at {time:g} s" for time in sorted(set(value.at)))
            losing = value.after_losing
            return at + (f"; after one that loses {len(losing)}" if losing else "")
        case enum.Flag():
            return " or ".join(str(form.name).lower().replace("_", " ") for form in value)
        case enum.Enum():
            return str(value.value)
        case tuple():
            return f"{value[0]}-{value[-1]}" if len(value) > 3 else ", ".join(map(str, value))
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def table(title: str, rows: dict[str, list[object]]) -> str:
    lines = [f"\n## {title}\n", "| field | " + " | ".join(profile.name for profile in PROFILES) + " |"]
    lines.append("|---" * (len(PROFILES) + 1) + "|")
    for name, values in rows.items():
        if len(set(values)) > 1:
            lines.append(f"| `{name}` | " + " | ".join(map(words, values)) + " |")
    return "\n".join(lines) + "\n"


def rules_table(version: int) -> str:
    names = [field.name for field in dataclasses.fields(Rules)]
    skipped = {"name", "version", "rfc", "clauses", "errata"}
    rows = {
        name: [getattr(profile.rules(version), name) for profile in PROFILES]
        for name in names
        if name not in skipped
    }
    return table(f"Rules of version {version}", rows)


def page() -> str:
    skipped = {"name", "version_2", "version_3", "limits"}
    names = [field.name for field in dataclasses.fields(Profile) if field.name not in skipped]
    rows: dict[str, list[object]] = {name: [getattr(profile, name) for profile in PROFILES] for name in names}
    text = HEAD + table("Configuration", rows) + rules_table(3) + rules_table(2)
    text += "\n## What no value says\n\n"
    for profile in PROFILES:
        text += "".join(f"* {profile.name}: {limit}.\n" for limit in profile.limits)
    return text


if __name__ == "__main__":
    print(page(), end="")
