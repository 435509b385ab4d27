"""The command line (extra ``cli``): one file for each command, and :mod:`vrrplib.cli.main` that finds them."""
