"""Commands under another user with few capabilities, or in a user namespace of theirs.

The interpreter and the package may lie where only root can read; the command gets them below the lab's directory,
in a mount namespace of its own (the one that ``ip netns exec`` makes).
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Collection
from pathlib import Path

from tests.linux.lab import Host, Lab
from tests.linux.process import Process, wait_until

ROOT = Path(__file__).parents[2]
NOBODY = 65534
_MOUNT = 'for at in python site source; do mount --bind "$1" "$0/$at" || exit 1; shift; done; exec "$@"'


def why_not() -> str | None:
    """Why there can be no other user here, or None."""
    if os.geteuid() != 0:
        return "it takes root to become another user"
    spans = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    if not any(int(first) <= NOBODY < int(first) + int(count) for first, _, count in spans):
        return f"user {NOBODY} is not mapped into this user namespace"
    return None


def state_of_nobody(lab: Lab) -> Path:
    """A directory that the user may write."""
    directory = lab.directory / "state-of-nobody"
    directory.mkdir(exist_ok=True)
    os.chown(directory, NOBODY, NOBODY)
    return directory


def as_nobody(lab: Lab, capabilities: Collection[str], *arguments: str) -> list[str]:
    """``vrrplib ARGUMENTS`` as user 65534 with these capabilities and no others, for a host's run() or spawn()."""
    only = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    identity = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    sets = [f"--inh-caps={only}", f"--ambient-caps={only}", f"--bounding-set={only}"]
    return _readable(lab, ["setpriv", *identity, *sets], arguments)


def as_root_of(lab: Lab, holder: Process, *arguments: str) -> list[str]:
    """``vrrplib ARGUMENTS`` as root of the user namespace that :func:`user_namespace` made, and in its network."""
    enter = ["nsenter", f"--target={holder.pid}", "--user", "--net", "--setuid=0", "--setgid=0"]
    return _readable(lab, enter, arguments)


def user_namespace(lab: Lab) -> Process:
    """A process of user 65534 in a user namespace and a network namespace of its own."""
    own = os.stat(lab.switch.path).st_ino
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    process = lab.switch.spawn(*become, "unshare", "--user", "--map-root-user", "--net", "sleep", "300")
    outside = {own, os.stat("/proc/self/ns/net").st_ino}
    wait_until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n", 10, lambda: process.log)
    assert os.stat(f"/proc/{process.pid}/ns/net").st_ino not in outside
    return process


def _readable(lab: Lab, become: list[str], arguments: tuple[str, ...]) -> list[str]:
    places = lab.directory / "for-nobody"
    for name in ("python", "site", "source"):
        (places / name).mkdir(parents=True, exist_ok=True)
    python = (
        places / "python" / Path(os.path.realpath(sys.executable)).relative_to(os.path.realpath(sys.base_prefix))
    )
    environment = [
        f"PYTHONHOME={places}/python",
        f"PYTHONPATH={places}/source:{places}/site",
        f"LD_LIBRARY_PATH={places}/python/lib",
        "PYTHONDONTWRITEBYTECODE=1",
    ]
    mounted = [os.path.realpath(sys.base_prefix), sysconfig.get_path("purelib"), str(ROOT)]
    command = ["env", *environment, *become, str(python), "-m", "vrrplib", *arguments]
    return ["sh", "-c", _MOUNT, str(places), *mounted, *command]


def settle(host: Host) -> None:
    """Until the kernel has made up its mind about the link-local address."""
    wait_until(lambda: host.ip_json("-6", "address", "show", "tentative") == [], 5, "an end of detection")
