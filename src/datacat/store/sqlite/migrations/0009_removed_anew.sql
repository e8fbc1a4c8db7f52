-- Only where: SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM pragma_table_info('removed') WHERE name = 'created_at')
-- 0006 was written anew, with this column, after databases had been made with it. It says where the terms of a session
-- stand, and those that were removed before have none.
ALTER TABLE removed ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
