"""For tests, simulations and fuzzers: networks without a network."""
