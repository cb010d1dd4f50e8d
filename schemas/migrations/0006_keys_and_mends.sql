-- Tables in the order in which rows are written to them: whoever writes meanwhile waits, and nobody waits for each other.

-- The record key as text, at most 256 characters of it, so that "all runs of customer-7" is a question. Where that is not
-- the key to the byte, key_bytes has it.
--
-- mended: columns that hold something else than what the record says, because Postgres cannot hold that: NUL in a text is
-- U+FFFD, a date outside of the years 1 to 9999 is null, or the nearest one in them where there has to be one; and key,
-- where it is not the key to the byte. Null: nothing was mended. The record itself is as it was.
ALTER TABLE runs ADD COLUMN key text, ADD COLUMN key_bytes bytea, ADD COLUMN mended text[];
ALTER TABLE duplicate_results ADD COLUMN mended text[];
ALTER TABLE attempts ADD COLUMN mended text[];
ALTER TABLE audit ADD COLUMN mended text[];
-- left_out: parts of the record that were too large for the letter, and what they hash to.
ALTER TABLE dead_letters ADD COLUMN left_out text NOT NULL DEFAULT '[]', ADD COLUMN mended text[];

-- A cast that breaks no query. JSON may hold \u0000 or half a surrogate, which become \ufffd here; numbers or a depth that
-- jsonb refuses, or be no JSON at all, which is null here. Only a cast that fails costs a second look: pairs of backslashes
-- are put aside, so that what is left of them begins an escape; no JSON holds the character that stands for them meanwhile.
CREATE FUNCTION json_or_null(value text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    pair CONSTANT text := chr(1);
BEGIN
    RETURN value::jsonb;
EXCEPTION WHEN others THEN
    IF strpos(value, pair) > 0 THEN
        RETURN NULL;
    END IF;
    value := replace(value, '\\', pair);
    value := replace(value, '\u0000', '\ufffd');
    value := regexp_replace(value, '\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])', '\ufffd', 'g');
    value := regexp_replace(value, '(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}', '\ufffd', 'g');
    BEGIN
        RETURN replace(value, pair, '\\')::jsonb;
    EXCEPTION WHEN others THEN
        RETURN NULL;
    END;
END $$;

-- Runs with what one asks for: the chain in its parts, money in dollars, times in milliseconds.
CREATE VIEW run_facts AS
SELECT tenant, request_id, turn, accepted_at, (accepted_at AT TIME ZONE 'UTC')::date AS day, key, status,
    split_part(split_part(chain, '#', 1), '@', 1) AS chain_name,
    split_part(split_part(chain, '#', 1), '@', 2) AS chain_version,
    split_part(chain, '#', 2) AS chain_digest,
    error_class, error_step, input_tokens, output_tokens, cost_nanos / 1e9 AS dollars,
    queued_us / 1e3 AS queued_ms, ran_us / 1e3 AS ran_ms, attempts, completed_at
FROM runs;

CREATE VIEW chain_days AS
SELECT tenant, day, chain_name, chain_version, count(*) AS runs, count(*) FILTER (WHERE status = 'failed') AS failed,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, round(sum(dollars), 9) AS dollars,
    round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ran_ms)) AS p50_ms,
    round(percentile_cont(0.95) WITHIN GROUP (ORDER BY ran_ms)) AS p95_ms
FROM run_facts GROUP BY 1, 2, 3, 4;

COMMENT ON TABLE runs IS 'One row per run and turn. Partitioned by the UTC day of accepted_at';
COMMENT ON COLUMN runs.accepted_at IS 'Kafka timestamp of the request, of the first one of a run that was resumed';
COMMENT ON COLUMN runs.status IS 'queued, completed, failed, cancelled or interrupted';
COMMENT ON COLUMN runs.kind IS 'run or resume; null when the request is not recorded, or cannot be read';
COMMENT ON COLUMN runs.key IS 'Record key as text, at most 256 characters; what must stay in order';
COMMENT ON COLUMN runs.key_bytes IS 'The key to the byte where key is not that';
COMMENT ON COLUMN runs.mended IS 'Columns in which NUL became U+FFFD, or a date outside of the years 1 to 9999 null or the nearest one; and key, where it is not the key to the byte';
COMMENT ON COLUMN runs.request_src IS 'topic/partition/offset of the request';
COMMENT ON COLUMN runs.result_src IS 'topic/partition/offset of the request that the result is of; its own place is result_partition and result_offset';
COMMENT ON COLUMN runs.input IS 'JSON text: use json_or_null(input)';
COMMENT ON COLUMN runs.output IS 'JSON text: use json_or_null(output)';
COMMENT ON COLUMN runs.metadata IS 'JSON text: use json_or_null(metadata)';
COMMENT ON COLUMN runs.chain IS 'name@version#sha256: the view run_facts has it in parts';
COMMENT ON COLUMN runs.cost_nanos IS 'Nano-dollars: 10^-9 USD';
COMMENT ON COLUMN runs.queued_us IS 'Microseconds from the request to its dispatch';
COMMENT ON COLUMN runs.ran_us IS 'Microseconds from the dispatch to the outcome';
COMMENT ON COLUMN runs.attempts IS 'Paid calls, those that failed included';
COMMENT ON COLUMN runs.state IS 'What a resume needs; opaque';
COMMENT ON TABLE run_index IS 'The day under which each run lies';
COMMENT ON TABLE duplicate_results IS 'Results of a run that has one already: its request was produced more than once';
COMMENT ON TABLE attempts IS 'Paid calls as announced before they left; one that stays started and is not in audit may have cost its estimate';
COMMENT ON TABLE audit IS 'One row per paid call (kind attempt) and per run (kind run), committed with the result';
COMMENT ON COLUMN audit.documents IS 'JSON text: [{"index", "namespace", "id", "score"}]';
COMMENT ON COLUMN audit.trail IS 'JSON text: [{"step", "kind", "outcome", "attempts", "began_us", "took_us"}]';
COMMENT ON TABLE dead_letters IS 'Records that could not be processed, bytes unchanged';
COMMENT ON COLUMN dead_letters.headers IS 'JSON text: [{"name", "value": base64 or null}], and "name_bytes" in base64 where the name is no UTF-8';
COMMENT ON COLUMN dead_letters.left_out IS 'JSON text: [{"part": value, headers or key, "bytes", "sha256"}], what was too large; it lies where the record was read';
COMMENT ON TABLE quarantine IS 'Records that have no place in a table, with their bytes and the reason';
COMMENT ON TABLE consumer_positions IS 'The next offset to record of each partition';
COMMENT ON TABLE gaps IS 'Offsets that Kafka had deleted before they were recorded';
COMMENT ON TABLE resumes IS 'Who goes on with an interrupted run: the first decision';
COMMENT ON FUNCTION json_or_null IS 'A cast to jsonb that fails no query: NUL and half a surrogate become U+FFFD, what is no JSON null';
COMMENT ON VIEW run_facts IS 'Runs with the chain in its parts, dollars and milliseconds';
COMMENT ON VIEW chain_days IS 'Runs, cost and latency by day (UTC) and chain';
