-- The shapes at rest. Written by the recorder from the topics, read by the api.
--
-- Tables are partitioned by the UTC day of accepted_at (the Kafka timestamp of the request), so that retention drops
-- tables instead of deleting rows; the recorder creates the days, absurd dates stay in the default partition. Keys begin
-- with the tenant. Money is nano-dollars (10^-9 USD). JSON is TEXT: it may hold \u0000, which JSONB refuses, and
-- nothing here looks into it.

-- Where a run lies: accepted_at of whatever was recorded first under this id. Not partitioned.
CREATE TABLE run_index (
    tenant      text        NOT NULL,
    request_id  text        NOT NULL,
    accepted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, request_id)
);
CREATE INDEX run_index_accepted_at ON run_index (accepted_at);

-- One row per run: (tenant, request_id, turn). accepted_at is run_index's. The request's columns are null until it is
-- recorded, the result's until that is; they come in any order.
CREATE TABLE runs (
    tenant          text        NOT NULL,
    request_id      text        NOT NULL,
    turn            integer     NOT NULL,
    accepted_at     timestamptz NOT NULL,
    -- queued, or the status of the result
    status          text        NOT NULL DEFAULT 'queued',
    -- from the request
    request_src     text,
    kind            text,
    requested_chain text,
    input           text,
    params          text,
    deadline        timestamptz,
    conversation    text,
    metadata        text,
    created_at      timestamptz,
    trace_id        text,
    -- from the result
    result_src      text,
    chain           text,
    output          text,
    error_class     text,
    error_message   text,
    error_step      text,
    input_tokens    bigint,
    output_tokens   bigint,
    usage_source    text,
    cost_nanos      bigint,
    queued_us       bigint,
    ran_us          bigint,
    attempts        integer,
    state           text,
    completed_at    timestamptz,
    PRIMARY KEY (tenant, request_id, turn, accepted_at)
) PARTITION BY RANGE (accepted_at);
CREATE TABLE runs_default PARTITION OF runs DEFAULT;
-- lists, newest first
CREATE INDEX runs_recent ON runs (tenant, accepted_at DESC, request_id DESC, turn DESC);
CREATE INDEX runs_recent_by_status ON runs (tenant, status, accepted_at DESC, request_id DESC, turn DESC);

-- Results of a run that has one already: its request was produced more than once.
CREATE TABLE duplicate_results (
    tenant        text        NOT NULL,
    request_id    text        NOT NULL,
    turn          integer     NOT NULL,
    src           text        NOT NULL,
    accepted_at   timestamptz NOT NULL,
    status        text        NOT NULL,
    chain         text,
    output        text,
    error_class   text,
    error_message text,
    error_step    text,
    input_tokens  bigint      NOT NULL,
    output_tokens bigint      NOT NULL,
    usage_source  text        NOT NULL,
    cost_nanos    bigint      NOT NULL,
    queued_us     bigint      NOT NULL,
    ran_us        bigint      NOT NULL,
    attempts      integer     NOT NULL,
    state         text,
    completed_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, request_id, turn, src, accepted_at)
) PARTITION BY RANGE (accepted_at);
CREATE TABLE duplicate_results_default PARTITION OF duplicate_results DEFAULT;

-- The write-ahead of paid calls. A row that stays `started` and has no audit row was lost in a crash: it may have cost
-- its estimate.
CREATE TABLE attempts (
    tenant         text        NOT NULL,
    request_id     text        NOT NULL,
    attempt_id     text        NOT NULL,
    accepted_at    timestamptz NOT NULL,
    turn           integer     NOT NULL,
    src            text        NOT NULL,
    chain          text,
    step           text        NOT NULL,
    provider       text        NOT NULL,
    model          text        NOT NULL,
    route_reason   text        NOT NULL,
    attempt        integer     NOT NULL,
    -- started, settled or abandoned
    phase          text        NOT NULL,
    started_at     timestamptz,
    estimate_nanos bigint,
    -- from settled or abandoned
    ended_at       timestamptz,
    cost_nanos     bigint,
    input_tokens   bigint,
    output_tokens  bigint,
    usage_source   text,
    trace_id       text,
    PRIMARY KEY (tenant, request_id, attempt_id, accepted_at)
) PARTITION BY RANGE (accepted_at);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;

-- One row per audit record; where it lies in its topic makes it unique and puts it in order.
CREATE TABLE audit (
    tenant          text        NOT NULL,
    request_id      text        NOT NULL,
    accepted_at     timestamptz NOT NULL,
    topic_partition integer     NOT NULL,
    topic_offset    bigint      NOT NULL,
    -- attempt or run
    kind            text        NOT NULL,
    attempt_id      text,
    turn            integer     NOT NULL,
    src             text        NOT NULL,
    chain           text,
    step            text        NOT NULL,
    provider        text        NOT NULL,
    model           text        NOT NULL,
    route_reason    text        NOT NULL,
    attempt         integer     NOT NULL,
    outcome         text        NOT NULL,
    input_tokens    bigint      NOT NULL,
    output_tokens   bigint      NOT NULL,
    usage_source    text        NOT NULL,
    cost_nanos      bigint      NOT NULL,
    queue_us        bigint      NOT NULL,
    connect_us      bigint      NOT NULL,
    first_token_us  bigint,
    total_us        bigint      NOT NULL,
    prompt          text,
    response        text,
    prompt_sha256   text        NOT NULL,
    response_sha256 text        NOT NULL,
    -- JSON: [{"index", "namespace", "id", "score"}]
    documents       text        NOT NULL,
    trace_id        text,
    started_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant, request_id, topic_partition, topic_offset, accepted_at)
) PARTITION BY RANGE (accepted_at);
CREATE TABLE audit_default PARTITION OF audit DEFAULT;

-- Records that could not be processed, bytes unchanged.
CREATE TABLE dead_letters (
    tenant      text        NOT NULL,
    request_id  text        NOT NULL,
    topic       text        NOT NULL,
    "partition" integer     NOT NULL,
    "offset"    bigint      NOT NULL,
    accepted_at timestamptz NOT NULL,
    key         bytea,
    value       bytea,
    -- JSON: [{"name", "value": base64 or null}]
    headers     text        NOT NULL,
    class       text        NOT NULL,
    message     text        NOT NULL,
    chain       text,
    failed_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant, topic, "partition", "offset", accepted_at)
) PARTITION BY RANGE (accepted_at);
CREATE TABLE dead_letters_default PARTITION OF dead_letters DEFAULT;
CREATE INDEX dead_letters_recent ON dead_letters (tenant, accepted_at DESC);

-- The next offset to record of each topic partition; moved in the transaction of the rows it stands for.
CREATE TABLE consumer_positions (
    topic       text    NOT NULL,
    "partition" integer NOT NULL,
    next_offset bigint  NOT NULL,
    PRIMARY KEY (topic, "partition")
);

-- Records that no table takes, with their bytes and the reason.
CREATE TABLE quarantine (
    topic          text        NOT NULL,
    "partition"    integer     NOT NULL,
    "offset"       bigint      NOT NULL,
    key            bytea,
    value          bytea,
    -- JSON: [{"name", "value": base64 or null}]
    headers        text        NOT NULL,
    reason         text        NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, "partition", "offset")
);
