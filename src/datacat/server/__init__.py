"""The process: settings, wiring, running."""
