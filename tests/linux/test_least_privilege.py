"""Two capabilities are enough, and so is a user namespace; what is missing is named by its capability."""

from __future__ import annotations

import pytest

from tests.linux import unprivileged
from tests.linux.lab import Host, Lab
from tests.linux.running import V4, V6, VIRTUAL_V4, VIRTUAL_V6
from tests.linux.unprivileged import as_nobody, as_root_of, settle, state_of_nobody, user_namespace

ENOUGH = ("net_admin", "net_raw")
CASES = [("macvlan", 4, True), ("standing", 6, True), ("macswap", 6, True), ("announce", 4, False)]
USER_CASES = [("macvlan", 4, False), ("standing", 6, True)]
NAMES = ("backend", "family", "killed")
BOTH = ("10.77.0.1/24", "fd77::1/64")


@pytest.fixture(autouse=True)
def _another_user(_namespaces: None) -> None:
    if reason := unprivileged.why_not():
        pytest.skip(reason)


def arguments(lab: Lab, backend: str = "macvlan", family: int = 4) -> list[str]:
    addresses = [word for address in (V4 if family == 4 else V6) for word in ("--address", address)]
    state = ["--state-dir", str(state_of_nobody(lab))]
    if backend == "standing":  # with rules of nftables
        state.append("--standing")
        backend = "macvlan"
    return ["run", "eth0", "--vrid", "51", *addresses, "--interval", "0.1", "--backend", backend, *state]


def lives(
    host: Host, observer: Host, command: list[str], cleanup: list[str] | None, backend: str, family: int
) -> None:
    """Active, answering with the right MAC, and given back: by SIGTERM or, where there is one, by ``cleanup``."""
    settle(host)
    before = host.dump()
    address = "10.77.0.100" if family == 4 else "fd77::100"
    mac = host.mac if backend == "announce" else (VIRTUAL_V4 if family == 4 else VIRTUAL_V6)
    running = host.spawn(*command)
    running.wait_for("-> active")
    assert observer.ping(address, count=3) > 0
    assert observer.neighbour(address) == mac
    if cleanup is None:
        running.terminate()
        assert running.wait() == 0, running.log
    else:
        running.kill()
        running.wait()
        assert before.diff(host.dump()) != []
        assert host.run(*cleanup).stdout.count("\n") > 0
    assert before.diff(host.dump()) == []


@pytest.mark.parametrize(NAMES, CASES)
def test_two_capabilities_are_enough(lab: Lab, backend: str, family: int, killed: bool) -> None:
    host, observer = lab.host("a", *BOTH), lab.host("b", "10.77.0.2/24", "fd77::2/64")
    run = as_nobody(lab, ENOUGH, *arguments(lab, backend, family))
    cleanup = as_nobody(lab, ENOUGH, "cleanup", "--state-dir", str(state_of_nobody(lab)))
    lives(host, observer, run, cleanup if killed else None, backend, family)


@pytest.mark.parametrize(NAMES, USER_CASES)
def test_a_user_namespace_is_enough(lab: Lab, backend: str, family: int, killed: bool) -> None:
    holder = user_namespace(lab)
    host, observer = lab.adopt("a", holder, *BOTH), lab.host("b", "10.77.0.2/24", "fd77::2/64")
    run = as_root_of(lab, holder, *arguments(lab, backend, family))
    cleanup = as_root_of(lab, holder, "cleanup", "--state-dir", str(state_of_nobody(lab)))
    lives(host, observer, run, cleanup if killed else None, backend, family)


def test_what_is_missing_is_named(lab: Lab) -> None:
    host = lab.host("a", *BOTH)
    other = lab.host("b")
    settle(host)
    before = host.dump()

    def refused(capabilities: tuple[str, ...], *more: str, **case: object) -> str:
        done = host.run(*as_nobody(lab, capabilities, *arguments(lab, **case), *more), check=False)  # type: ignore[arg-type]
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        (line,) = done.stderr.splitlines()
        return line

    for backend, family in (("macvlan", 4), ("standing", 6), ("announce", 6)):
        line = refused(("net_raw",), backend=backend, family=family)
        assert "CAP_NET_ADMIN" in line, line
        assert "CAP_NET_RAW" not in line
    assert "CAP_NET_RAW" in refused(("net_admin",))
    assert "CAP_SYS_NICE" in refused(ENOUGH, "--realtime")
    assert "CAP_SYS_ADMIN" in refused(ENOUGH, "--netns", other.path)
    assert "--state-dir" in refused(ENOUGH, "--state-dir", "/proc/1")
    assert before.diff(host.dump()) == []


def test_root_without_the_capability_is_no_root(lab: Lab) -> None:
    """/proc/sys lets root write what else takes CAP_NET_ADMIN; the link is refused, and the values come back."""
    host = lab.host("a", *BOTH)
    settle(host)
    before = host.dump()
    command = as_nobody(lab, ("net_raw",), *arguments(lab))
    command = [word.replace("65534", "0") if word.startswith("--re") else word for word in command]
    done = host.run(*command, check=False)
    assert done.returncode == 1
    assert "CAP_NET_ADMIN" in done.stderr
    assert before.diff(host.dump()) == []
