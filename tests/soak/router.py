"""Up to 255 virtual routers on one interface, by one Node, until SIGTERM. Prints a JSON line for what happens.

python -m tests.soak.router eth0 PRIORITY COUNT STATE_DIR
"""

from __future__ import annotations

import gc
import json
import sys
import time

from vrrplib import MacvlanBackend, Node, PacketTransport, Router, RouterConfig, State
from vrrplib.backends.netlink import NetlinkHost, primary_address
from vrrplib.backends.watch import NetlinkWatch
from vrrplib.drivers import blocking
from vrrplib.election.actions import StateChanged
from vrrplib.election.announcing import AnnouncementPolicy
from vrrplib.node import Notice
from vrrplib.wire.addresses import Family

INTERVAL = 0.1


def family_of(vrid: int) -> Family:
    """Half of them each."""
    return Family.IPV4 if vrid % 2 else Family.IPV6


def addresses(vrid: int) -> list[str]:
    if family_of(vrid) is Family.IPV4:
        return [f"10.77.1.{vrid}/16"]
    return [f"fe80::5e:{vrid:x}/64", f"fd77::1:{vrid:x}/64"]


class Teller:
    """Counts who is Active, and says it when all or none are; tells everything else as it comes."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.active = 0
        self.begun = False

    def __call__(self, notice: Notice) -> None:
        if not self.begun:
            self.begun = True
            gc.collect()
            gc.freeze()
            self.tell("begun")
        report = notice.report
        if not isinstance(report, StateChanged):
            self.tell(type(report).__name__.lower(), vrid=notice.vrid, said=str(report)[:300])
            return
        self.active += (report.new is State.ACTIVE) - (report.old is State.ACTIVE)
        if self.active in (0, self.count):
            self.tell("active", number=self.active)

    def tell(self, event: str, **fields: object) -> None:
        print(json.dumps({"event": event, "time": round(time.monotonic(), 3), **fields}), flush=True)


def main(interface: str, priority: int, count: int, state_dir: str) -> None:
    host = NetlinkHost(state_dir=state_dir)
    sources = {family: primary_address(interface, family) for family in Family}
    transport = PacketTransport(interface)
    watch = NetlinkWatch(interface)
    node = Node(transport, watch=watch)
    for vrid in range(1, count + 1):
        config = RouterConfig(
            vrid=vrid,
            addresses=addresses(vrid),
            primary_address=sources[family_of(vrid)],
            priority=priority,
            advertisement_interval=INTERVAL,
            announcements=AnnouncementPolicy(after_losing=(0.0,)),
            listen_after_stall=True,
        )
        node.add(Router(config), MacvlanBackend(interface, config, host=host))
    try:
        blocking.run([node], notify=Teller(count))
    finally:
        watch.close()
        transport.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
