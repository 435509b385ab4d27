"""Bytes to values and back; nothing here does I/O."""
