-- A step of its own: nobody writes runs while this is built, but everybody reads them. In the step that adds the column,
-- whose lock keeps readers out as well, they would wait for as long.
CREATE INDEX runs_key ON runs (tenant, key, accepted_at DESC, request_id DESC, turn DESC);
