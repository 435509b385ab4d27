"""Loops, clocks and signals, for those who have none of their own."""
