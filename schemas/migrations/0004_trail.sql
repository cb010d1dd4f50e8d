-- What each step of a run did: of the row of the run. JSON: [{"step", "kind", "outcome", "attempts", "began_us", "took_us"}]
ALTER TABLE audit ADD COLUMN trail text NOT NULL DEFAULT '[]', ADD COLUMN trail_left_out integer NOT NULL DEFAULT 0;
