"""``vrrplib`` and ``python -m vrrplib``: the command line, where its extra is installed."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exit 1 with one line that says how to get it where click or rich is missing."""
    try:
        import click as _click  # noqa: F401, PLC0415  # asked for by name, so that no other gap looks like this one
        import rich as _rich  # noqa: F401, PLC0415
    except ModuleNotFoundError as error:
        print(f"vrrplib: the command line needs {error.name}: pip install 'vrrplib[cli]'", file=sys.stderr)
        sys.exit(1)
    from vrrplib.cli.main import cli  # noqa: PLC0415

    cli(prog_name="vrrplib")


if __name__ == "__main__":
    main()
