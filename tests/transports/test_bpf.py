"""The assembler: where jumps lead; that the kernel takes its programs is in test_packet.py."""

from __future__ import annotations

import struct

from vrrplib.transports.bpf import assemble


def test_jumps_count_from_the_next_step() -> None:
    program = assemble(
        [
            ("", 0x28, 12, "", ""),
            ("", 0x15, 0x0800, "yes", ""),
            ("", 0x15, 0x86DD, "yes", "no"),
            ("no", 0x06, 0, "", ""),
            ("yes", 0x06, 512, "", ""),
        ]
    )
    assert list(struct.iter_unpack("=HBBI", program)) == [
        (0x28, 0, 0, 12),
        (0x15, 2, 0, 0x0800),
        (0x15, 1, 0, 0x86DD),
        (0x06, 0, 0, 0),
        (0x06, 0, 0, 512),
    ]
