-- Since when its process stands still, and by what: {"at": microseconds, "by": words}, or NULL.
ALTER TABLE session ADD COLUMN stopped TEXT;
