"""What the host says: kernel, privileges, state, other programs, clock."""

from __future__ import annotations

from collections.abc import Iterator

from vrrplib.doctor.diagnosis import Diagnosis, note, ok, problem, warning
from vrrplib.doctor.facts import Ability, Facts, Privileges

_FEATURES = {
    "macvlan": (
        "macvlan links",
        "the macvlan backend puts the virtual MAC on one",
        "load or build the module (CONFIG_MACVLAN), or use --backend macswap or announce",
    ),
    "nftables": (
        "nftables",
        "--no-accept and standing addresses are kept by its rules; nothing else needs it",
        "load or build it (CONFIG_NF_TABLES), or do without these options",
    ),
    "egress": (
        "nftables' egress hook",
        "standing addresses need it: a Backup's MLD reports, and a bond's announcements, have the virtual MAC",
        "Linux 5.16 or newer with CONFIG_NETFILTER_EGRESS, or addresses that are added on promotion, as by default",
    ),
    "cookie": (
        "SO_NETNS_COOKIE",
        "the journal of changes is kept by a number of the namespace that may come back for another one",
        "Linux 5.14 or newer, or a --state-dir for each namespace",
    ),
}
_VITAL = "macvlan"
_DAEMONS = {
    "keepalived": "keepalived",
    "vrrpd": "FRR's vrrpd, or another vrrpd",
    "uvrrpd": "uvrrpd",
    "ucarp": "ucarp",
    "carp": "a CARP daemon",
    "holod": "holo",
}
"""Programs that move virtual MACs or addresses, by the name of their process."""
_SLOW_CLOCKS = {"jiffies", "refined-jiffies", "hpet", "acpi_pm", "pit"}
_LATE, _VERY_LATE = 0.005, 0.05


def judge_host(facts: Facts) -> Iterator[Diagnosis]:
    yield from _kernel(facts)
    yield from _privileges(facts.privileges)
    yield from _proc_sys(facts)
    yield from _state(facts)
    yield from _programs(facts)
    yield from _time(facts)


def _kernel(facts: Facts) -> Iterator[Diagnosis]:
    works = []
    for name, (what, why, remedy) in _FEATURES.items():
        match facts.kernel.can(name):
            case Ability.WORKS:
                works.append(what)
            case Ability.LACKS:
                say = problem if name == _VITAL else note
                yield say(f"kernel-{name}", f"this kernel ({facts.kernel.release}) has no {what}", why, remedy)
            case _:
                yield note(
                    f"kernel-{name}", f"whether the kernel has {what} was not tried: it takes CAP_NET_ADMIN", why
                )
    if works:
        yield ok("kernel", f"Linux {facts.kernel.release} has {', '.join(works)}")


def _privileges(mine: Privileges) -> Iterator[Diagnosis]:
    missing = [name for name in ("CAP_NET_ADMIN", "CAP_NET_RAW") if name not in mine.capabilities]
    for name in missing:
        yield problem(
            "privileges",
            f"{name} is missing",
            {
                "CAP_NET_ADMIN": "links, addresses and /proc/sys/net cannot be changed without it",
                "CAP_NET_RAW": "no packet socket can be opened without it: nothing is sent or heard",
            }[name],
            f"run as root, or with this capability (systemd: AmbientCapabilities={name})",
        )
    if not missing and mine.foreign_namespace:
        yield problem(
            "privileges",
            "the network namespace belongs to another user namespace",
            "our capabilities do not count there, whatever they are",
            "make the network namespace inside the user namespace (unshare --user --map-root-user --net)",
        )
    elif not missing:
        yield ok("privileges", "CAP_NET_ADMIN and CAP_NET_RAW are there")
    if mine.other_namespace and "CAP_SYS_ADMIN" not in mine.capabilities:
        yield problem(
            "privileges",
            "CAP_SYS_ADMIN is missing",
            "another network namespace (--netns) cannot be entered without it",
            "run it inside the namespace (ip netns exec) instead, without --netns",
        )
    if mine.realtime_limit < 1 and not ("CAP_SYS_NICE" in mine.capabilities and mine.initial_user_namespace):
        yield note(
            "realtime",
            "--realtime will be refused: CAP_SYS_NICE is missing, and RLIMIT_RTPRIO is 0",
            "without a real-time priority a busy host lets a timer wait",
            "give it CAP_SYS_NICE, or raise the limit (systemd: LimitRTPRIO=50)",
        )


def _proc_sys(facts: Facts) -> Iterator[Diagnosis]:
    if facts.sysctls_read_only:
        yield problem(
            "proc-sys",
            "/proc/sys/net is mounted read-only",
            "every backend writes there: ARP would be answered with the wrong MAC",
            "mount it writable (docker: --privileged, or --sysctl for each value; podman: --security-opt "
            "unmask=/proc/sys; systemd: no ProtectKernelTunables=)",
        )
    elif not facts.sysctls_writable and "CAP_NET_ADMIN" in facts.privileges.capabilities:
        yield problem(
            "proc-sys",
            "/proc/sys/net cannot be written",
            "every backend writes there: ARP would be answered with the wrong MAC",
            "run in the user namespace that the network namespace belongs to",
        )


def _state(facts: Facts) -> Iterator[Diagnosis]:
    state, name = facts.state, facts.interface.link.name
    if state.refused is not None:
        yield problem(
            "state-dir",
            f"the journal cannot be kept in {state.directory}: {state.refused}",
            "what is changed could not be undone after a crash, so nothing is changed without it",
            "give a directory that this user may write: --state-dir, or systemd's RuntimeDirectory=",
        )
    else:
        yield ok("state-dir", f"the journal can be kept in {state.directory}")
    if state.unread is not None:
        yield note("leftovers", f"what dead processes left cannot be told: {state.unread}")
    elif state.leftovers:
        yield warning(
            "leftovers",
            f"a process that died left {len(state.leftovers)} changes to be undone on {name}: "
            f"{'; '.join(state.leftovers[:3])}{' ...' if len(state.leftovers) > 3 else ''}",
            "until then this host may answer for addresses that are another's by now",
            f"vrrplib cleanup {name}; the next `vrrplib run {name}` does it too",
        )


def _programs(facts: Facts) -> Iterator[Diagnosis]:
    name = facts.interface.link.name
    for program in facts.programs:
        if program.name in _DAEMONS:
            where = "" if program.certain else ", perhaps in another network namespace"
            yield warning(
                "daemon",
                f"{_DAEMONS[program.name]} runs here (process {program.pid}{where})",
                "two links of one virtual MAC cannot be up on one interface, and both change its settings",
                "let each have VRIDs, or better interfaces, of its own",
            )
    for manager in facts.managers:
        how = {
            "NetworkManager": "nmcli device set IFACE managed no, and for our links a file in "
            "/etc/NetworkManager/conf.d with [keyfile] unmanaged-devices=interface-name:vmac*",
        }.get(
            manager,
            "KeepConfiguration=yes in its .network file, and for our links one with [Match] Name=vmac* and "
            "[Link] Unmanaged=yes",
        )
        yield warning(
            "manager",
            f"{manager} manages {name}",
            "when it configures the link again it removes addresses that it does not know, and may set the MAC",
            how.replace("IFACE", name),
        )


def _time(facts: Facts) -> Iterator[Diagnosis]:
    machine = facts.machine
    if machine.clocksource in _SLOW_CLOCKS:
        yield warning(
            "clock",
            f"the clock source is {machine.clocksource}",
            "each look at the clock is slow or coarse: advertisements are late",
            "see /sys/devices/system/clocksource/clocksource0/available_clocksource; on a virtual machine let it "
            "have kvm-clock, or an invariant tsc",
        )
    if machine.cpu_quota is not None and machine.cpu_quota < 1:
        yield warning(
            "cpu-quota",
            f"a control group allows {machine.cpu_quota:.2g} of a CPU",
            "once that is used up nothing runs until the period ends, often for 50 ms and more",
            "give it a weight instead of a quota (cpu.max)",
        )
    if machine.cpus == 1:
        yield note("cpus", "there is one CPU for everything", "what else runs makes advertisements late")
    if not machine.lateness:
        return
    late = sorted(machine.lateness)
    median, worst = late[len(late) // 2], late[-1]
    what = (
        f"{len(late)} waits of {machine.waited * 1000:g} ms ended {median * 1000:.2f} ms late at the median, "
        f"{worst * 1000:.2f} ms at worst"
    )
    if worst < _LATE:
        yield ok("scheduling", what)
        return
    interval = next((step for step in (0.01, 0.1, 1) if step > 2 * worst), 10)
    say = warning if worst >= _VERY_LATE else note
    yield say(
        "scheduling",
        what,
        "a Backup takes over when it hears nothing for three intervals",
        f"keep the interval well above that (--interval {interval:g} or more), or run with --realtime",
    )
