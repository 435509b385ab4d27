"""Lines for a root shell: POSIX sh, with ip(8), sysctl(8) and nft(8). Each can be pasted alone."""

from __future__ import annotations

import re
import shlex


def line(template: str, *values: str) -> str:
    """``template`` with the values in its braces, quoted."""
    return template.format(*map(shlex.quote, values))


def nft(*steps: str) -> str:
    """All the steps as one transaction."""
    return line("nft {}", "; ".join(steps))


# -- what a line looks at first --


def only_if(condition: str, deed: str) -> str:
    """``deed`` if it is so."""
    return f"if {condition}; then {deed}; fi"


def has_mac(name: str, mac: str) -> str:
    """Whether an interface is there and has this MAC."""
    return line("ip link show dev {} 2>/dev/null | grep -q {}", name, f"link/ether {mac} ")


def has_mode(name: str, mode: str) -> str:
    """Whether a macvlan is there and in this mode."""
    return line("ip -d link show dev {} 2>/dev/null | grep -q {}", name, f"macvlan mode {mode} ")


def has_address(name: str, address: str) -> str:
    """Whether an interface is there and has this address, with its prefix length."""
    return line("ip -o address show dev {} 2>/dev/null | grep -qF {}", name, f" {address} ")


def holds(path: str, value: str) -> str:
    """Whether a file below /proc/sys is there and holds ``value``."""
    return line('[ "$(sysctl -ne {})" = {} ]', path, value)


# -- what a line keeps --


def change_mac(name: str, change: str) -> str:
    """``change`` the MAC; the kernel throws all neighbours away then, and those of the operator come back.

    The kernel makes some itself: without ARP, and with a group's MAC.
    """
    word = name if shlex.quote(name) == name else f'"{name}"'  # ip(8) knows no other quotation
    device = re.sub(r"[\\&/]", r"\\\g<0>", word)  # nor sed(1) these three
    again = (
        "/ lladdr .[13579bdf]:.* NOARP/d; s/^/neighbour replace /; "
        f"s/ PERMANENT/ dev {device} nud permanent/; s/ NOARP/ dev {device} nud noarp/"
    )
    kept = line("n=$(ip neighbour show dev {} nud permanent nud noarp | sed {})", name, again)
    return f"{kept}; {change}; printf '%s\\n' \"$n\" | ip -force -batch -"


def take_token_back(name: str, token: str, change: str) -> str:
    """``change`` the interface's IPv6 token if it is ``token``; the addresses that were made with it stay.

    The kernel wants an interface that hears Router Advertisements even to take a token back.
    """
    accept = f"net/ipv6/conf/{name}/accept_ra"
    meanwhile = line("r=$(sysctl -n {}); sysctl -w {}", accept, f"{accept}=2")
    afterwards = line('sysctl -w {}"$r"', f"{accept}=")
    return only_if(
        line("ip token get dev {} 2>/dev/null | grep -q {}", name, f"^token {token} "),
        line("a=$(ip -6 address save dev {} | base64); ", name)
        + f"{change} || {{ {meanwhile}; {change}; {afterwards}; }}; "
        "printf '%s\\n' \"$a\" | base64 -d | ip address restore 2>/dev/null",
    )
