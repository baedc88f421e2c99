"""The rules: pure, without I/O; the time is an argument."""
