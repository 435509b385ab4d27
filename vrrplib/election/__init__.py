"""Who is Active: values and one state machine; nothing here does I/O or reads a clock."""
