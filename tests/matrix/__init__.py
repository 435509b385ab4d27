"""The interoperation matrix: every technique, kind of packet, peer and fault, measured on a LAN of namespaces.

`cells` says which cells there are, `trial` measures one of them, `expect` says what is expected and why, `page`
makes docs/matrix.md of what was measured. `python -m tests.matrix --help`.
"""
