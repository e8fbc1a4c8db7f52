"""Nouns and pure rules: what a session is, and how records change it."""
