-- Records that Kafka had deleted before they were recorded: nobody can bring them back. Written in the transaction that
-- moves the position past them.
CREATE TABLE gaps (
    topic       text        NOT NULL,
    "partition" integer     NOT NULL,
    -- the first offset that was not recorded
    from_offset bigint      NOT NULL,
    -- where recording went on: the first offset of the log. Below from_offset when the topic was made anew or cut
    to_offset   bigint      NOT NULL,
    -- the end of the log then
    log_end     bigint      NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT now(),
    -- when somebody said that he knows; until then /health shows it
    accepted_at timestamptz,
    PRIMARY KEY (topic, "partition", from_offset, seen_at)
);
