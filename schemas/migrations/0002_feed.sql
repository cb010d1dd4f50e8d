-- What ended in the last minutes, for the charts.
CREATE INDEX runs_completed ON runs (tenant, completed_at);

-- Where the result lies on its topic: what a reader of the feed goes on by that was away for long.
ALTER TABLE runs ADD COLUMN result_partition integer, ADD COLUMN result_offset bigint;
CREATE INDEX runs_result_place ON runs (result_partition, result_offset);
