"""Bytes to records and back, and how errors are written. No I/O."""
