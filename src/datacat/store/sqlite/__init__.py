"""SQLite, in one file, through apsw: the default store."""
