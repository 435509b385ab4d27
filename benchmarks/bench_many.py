"""255 virtual routers on one interface, each with a macvlan: how long until all are Active, and until all are gone?

    python benchmarks/bench_many.py [--rounds 3] [--count 255] [--json FILE]

Ours (a Node with MacvlanBackends in a blocking Loop) beside keepalived with use_vmac, in turn, both with priority
255: nobody waits for a timer. Start: from exec, and for ours from Node.start too, until a neighbour has heard
an advertisement of each. Stop: from SIGTERM until the process has ended; the links that are left then are counted.
Needs root, ip(8) and keepalived. Asserts nothing: times are a machine's.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import platform
import select
import shutil
import socket
import statistics
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

SO_TIMESTAMPNS = 35
PATIENCE = 60.0


def serve(count: int, state_dir: str) -> None:
    """What a program that has vrrplib for a library does; run by the measuring one."""
    from vrrplib import MacvlanBackend, Node, PacketTransport, Router, RouterConfig  # noqa: PLC0415
    from vrrplib.backends.netlink import NetlinkHost  # noqa: PLC0415
    from vrrplib.drivers import blocking  # noqa: PLC0415

    kernel = NetlinkHost(state_dir=state_dir)
    with PacketTransport("eth0") as transport:
        node = Node(transport)
        for vrid in range(1, count + 1):
            config = RouterConfig(
                vrid=vrid, priority=255, addresses=(f"10.77.{vrid}.1/16",), primary_address="10.77.0.1"
            )
            node.add(Router(config), MacvlanBackend("eth0", config, host=kernel))
        gc.collect()
        gc.freeze()
        print(time.time_ns(), flush=True)  # Node.start comes next
        blocking.run([node])
    kernel.close()


@dataclasses.dataclass
class Result:
    contender: str
    from_exec: list[float] = dataclasses.field(default_factory=list)
    from_start: list[float] = dataclasses.field(default_factory=list)
    stop: list[float] = dataclasses.field(default_factory=list)
    links_left: list[int] = dataclasses.field(default_factory=list)


def listen() -> socket.socket:
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    packets.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    packets.bind(("eth0", 0x0800))
    packets.setblocking(False)
    return packets


def heard_all(packets: socket.socket, count: int) -> int:
    """When the last of the virtual routers was heard first: nanoseconds of the wall clock."""
    heard: dict[int, int] = {}
    end = time.monotonic() + PATIENCE
    while len(heard) < count:
        if time.monotonic() > end:
            raise TimeoutError(f"{len(heard)} of {count} were heard")
        select.select([packets], [], [], 0.1)
        try:
            data, extra, _, _ = packets.recvmsg(2048, 64)
        except BlockingIOError:
            continue
        if data[23] == 112 and data[36] > 0:  # an advertisement, and no farewell
            seconds, nanoseconds = struct.unpack("=qq", extra[0][2][:16])
            heard.setdefault(data[35], seconds * 10**9 + nanoseconds)
    return max(heard.values())


def keepalived_config(count: int) -> str:
    return "global_defs {\n  router_id many\n}\n" + "".join(
        f"vrrp_instance v{vrid} {{\n version 3\n state MASTER\n interface eth0\n use_vmac\n"
        f" virtual_router_id {vrid}\n"
        f" priority 255\n advert_int 1\n virtual_ipaddress {{\n  10.77.{vrid}.1/16\n }}\n}}\n"
        for vrid in range(1, count + 1)
    )


def one_round(name: str, count: int, result: Result) -> None:
    from tests.linux.lab import Lab  # noqa: PLC0415

    state_dir = Path(tempfile.mkdtemp(prefix="bench-many-", dir="/run"))
    try:
        with Lab() as lab:
            test, peer = lab.host("test", "10.77.0.1/16"), lab.host("peer", "10.77.0.2/16")
            packets = peer.call(listen)
            if name == "vrrplib":
                argv = [sys.executable, __file__, "--count", str(count), "--serve", str(state_dir)]
            else:
                config = state_dir / "keepalived.conf"
                config.write_text(keepalived_config(count))
                argv = ["keepalived", "-n", "-l", "-P", "-R", "-f", str(config)]
                argv += ["-p", str(state_dir / "pid"), "-r", str(state_dir / "vrrp.pid")]
            before = time.time_ns()
            process = test.spawn(*argv)
            all_heard = heard_all(packets, count)
            result.from_exec.append((all_heard - before) / 1e9)
            if name == "vrrplib":
                result.from_start.append((all_heard - int(process.log.split()[0])) / 1e9)
            time.sleep(1.5)
            before_end = time.monotonic()
            process.terminate()
            process.wait(PATIENCE)
            result.stop.append(time.monotonic() - before_end)
            result.links_left.append(len(test.ip_json("link", "show", "type", "macvlan")))
            packets.close()
    finally:
        shutil.rmtree(state_dir, ignore_errors=True)


def show(results: list[Result]) -> None:
    def spread(values: list[float]) -> str:
        return f"{statistics.median(values):6.2f} ({min(values):.2f}-{max(values):.2f})" if values else "-"

    print(f"{'seconds':<12}{'from exec':<22}{'from Node.start':<22}{'stop':<22}links left")
    for each in results:
        print(
            f"{each.contender:<12}{spread(each.from_exec):<22}{spread(each.from_start):<22}{spread(each.stop):<22}"
            f"{', '.join(map(str, each.links_left))}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=255)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there")
    parser.add_argument("--serve", metavar="DIRECTORY", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.count, options.serve)
        return
    names = ["vrrplib", *(["keepalived"] if shutil.which("keepalived") else [])]
    results = {name: Result(name) for name in names}
    load = os.getloadavg()[0]
    for _ in range(options.rounds):
        for name in names:
            one_round(name, options.count, results[name])
    print(f"{options.count} virtual routers; load before {load:.1f}, after {os.getloadavg()[0]:.1f}")
    show(list(results.values()))
    if options.json:
        machine: dict[str, Any] = {"python": platform.python_version(), "kernel": platform.release(), "load": load}
        values = {"machine": machine, "results": [dataclasses.asdict(each) for each in results.values()]}
        options.json.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
