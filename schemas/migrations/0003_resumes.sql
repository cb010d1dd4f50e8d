-- Who goes on with an interrupted run: the first one that decides. Written by the api before it produces the request, so
-- that two who press the same button do not make two requests of it.
CREATE TABLE resumes (
    tenant      text        NOT NULL,
    request_id  text        NOT NULL,
    -- the turn to be run
    turn        integer     NOT NULL,
    -- that of the run, for retention
    accepted_at timestamptz NOT NULL,
    -- JSON: {"<step>": {"approved", "value", "comment", "by"}}
    decisions   text        NOT NULL,
    -- where the request lies; null until the brokers have confirmed it
    src         text,
    claimed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, request_id, turn)
);
CREATE INDEX resumes_accepted_at ON resumes (accepted_at);
