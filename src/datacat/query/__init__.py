"""Questions and their answers; everything here only reads."""
