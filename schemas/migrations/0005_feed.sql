-- What ended in the last minutes, for the charts.
CREATE INDEX runs_completed ON runs (tenant, completed_at);
