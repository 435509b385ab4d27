#!/bin/bash -eu
# Builds each tests/fuzz/fuzz_*.py into $OUT, with its seeds and the dictionary beside it.

python3 -m pip install .
python3 -m tests.fuzz.seeds --zip "$OUT"

for target in tests/fuzz/fuzz_*.py; do
  name=$(basename "$target" .py)
  # the targets share modules of the package tests, and the library loads its own by name
  compile_python_fuzzer "$target" --paths "$PWD" --collect-submodules vrrplib
  cp tests/fuzz/vrrp.dict "$OUT/$name.dict"
done
