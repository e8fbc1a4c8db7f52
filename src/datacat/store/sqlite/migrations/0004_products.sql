-- When anything of a deployment's sessions last came, to the second, in microseconds as all here.
ALTER TABLE deployment ADD COLUMN last_seen INTEGER NOT NULL DEFAULT 0;
UPDATE deployment SET last_seen = coalesce(
  (SELECT max(updated_at) / 1000000 * 1000000 FROM session WHERE session.deployment = deployment.key), 0);

-- The problems of one kind, the one heard of last first: by the key that ends every index.
CREATE INDEX problem_kind ON problem (kind);
