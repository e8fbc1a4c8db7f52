"""Where sessions are kept: a narrow port, and an engine behind it."""
