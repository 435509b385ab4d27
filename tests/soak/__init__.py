"""The soak: 255 virtual routers on one interface, and faults injected all the while. `python -m tests.soak --help`.

`router` is the process under test, twice: one with the higher priority, one that takes over. `observer` notes every
gap between adverts, `timer` every stall of the machine, `noise` sends garbage, and `verdict` judges what was noted.
"""
