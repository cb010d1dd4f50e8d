//! What a record says and Postgres cannot hold, mended so that the record is a row all the same, with a mark: the column
//! `mended` names what was touched. The record in its topic is as it was.
//!
//! NUL becomes U+FFFD, as in a text that was decoded lossily: it is one character, it is seen, and no escape could be told
//! from a text that holds the escape. Half a surrogate cannot come: texts of Avro are UTF-8, and in JSON it is an escape,
//! which is kept as text here and replaced by `json_or_null`.
//!
//! A date outside of the years 1 to 9999 (less a day at each end, for time zones) is one that clients of Postgres cannot
//! read, Python's for one. Where a row can do without it, it is null. Where it cannot, it is the nearest date inside.
//!
//! **The day of a row** is one of those: that of `accepted_at`, or the nearest. It is decided by the value alone and not by
//! when the record came, because all records of a run have the same `accepted_at`, and their rows have to meet. So what
//! claims to be of the year 300,000 lies in the default partition under 9999, where retention never takes it; what claims to
//! be of the year -300,000 lies there under the year 1, and a retention takes it as it takes all that is old.
//!
//! Numbers fit: columns are as wide as the fields of the records. Each struct is taken apart whole, so that a new field is
//! thought of.

use schemas::{Attempt, Audit, DeadLetter, RunError, RunResult, Timestamp, Timings, Usage};

use crate::entry::{RequestRow, Row, Said};

/// 0001-01-02T00:00:00Z
const FIRST: Timestamp = Timestamp(-62_135_510_400_000_000);
/// 9999-12-30T23:59:59.999999Z
const LAST: Timestamp = Timestamp(253_402_214_399_999_999);

/// Columns that were mended.
#[derive(Default)]
struct Mended(Vec<&'static str>);

/// The columns that were mended, with commas between; None: the row is as its record.
pub(crate) fn mend(row: &mut Row) -> Option<String> {
    let mut mended = Mended::default();
    match row {
        Row::Request(request) => mended.request(request),
        Row::Result(result) => mended.result(result),
        Row::Audit(audit) => mended.audit(audit),
        Row::Attempt(attempt) => mended.attempt(attempt),
        Row::DeadLetter(letter) => mended.dead_letter(letter),
        Row::Quarantine(reason) => mended.text("reason", reason),
    }
    (!mended.0.is_empty()).then(|| mended.0.join(","))
}

impl Mended {
    fn request(&mut self, request: &mut RequestRow) {
        let RequestRow {
            // Checked before, or made of what was.
            identity: _,
            turn: _,
            accepted_at,
            key,
            trace_id: _,
            said,
        } = request;
        self.date("accepted_at", accepted_at);
        if key.as_ref().is_some_and(|key| key.bytes.is_some()) {
            self.0.push("key");
        }
        let Some(Said {
            kind,
            chain,
            input,
            params,
            deadline,
            conversation,
            metadata,
            created_at,
        }) = said
        else {
            return;
        };
        self.text("kind", kind);
        self.text("requested_chain", chain);
        self.text("input", input);
        self.text("params", params);
        self.date_or_none("deadline", deadline);
        self.each("conversation", conversation, Self::text);
        self.text("metadata", metadata);
        self.date_or_none("created_at", created_at);
    }

    fn result(&mut self, result: &mut RunResult) {
        let RunResult {
            request_id,
            tenant,
            src,
            accepted_at,
            turn: _,
            chain,
            status,
            output,
            error,
            usage,
            cost: _,
            timings: Timings {
                queued_us: _,
                ran_us: _,
            },
            attempts: _,
            state,
            completed_at,
        } = result;
        self.text("request_id", request_id);
        self.text("tenant", tenant);
        self.text("result_src", src);
        self.date("accepted_at", accepted_at);
        self.each("chain", chain, Self::text);
        self.text("status", status);
        self.each("output", output, Self::text);
        if let Some(RunError { class, message, step }) = error {
            self.text("error_class", class);
            self.text("error_message", message);
            self.each("error_step", step, Self::text);
        }
        self.usage(usage);
        self.each("state", state, Self::text);
        self.date("completed_at", completed_at);
    }

    fn audit(&mut self, audit: &mut Audit) {
        let Audit {
            kind,
            attempt_id,
            request_id,
            tenant,
            src,
            accepted_at,
            turn: _,
            chain,
            step,
            provider,
            model,
            route_reason,
            attempt: _,
            outcome,
            usage,
            cost: _,
            queue_us: _,
            connect_us: _,
            first_token_us: _,
            total_us: _,
            prompt,
            response,
            prompt_sha256,
            response_sha256,
            // JSON, which escapes.
            documents: _,
            trail: _,
            trail_left_out: _,
            trace_id,
            started_at,
        } = audit;
        self.text("kind", kind);
        self.each("attempt_id", attempt_id, Self::text);
        self.text("request_id", request_id);
        self.text("tenant", tenant);
        self.text("src", src);
        self.date("accepted_at", accepted_at);
        self.each("chain", chain, Self::text);
        self.text("step", step);
        self.text("provider", provider);
        self.text("model", model);
        self.text("route_reason", route_reason);
        self.text("outcome", outcome);
        self.usage(usage);
        self.each("prompt", prompt, Self::text);
        self.each("response", response, Self::text);
        self.text("prompt_sha256", prompt_sha256);
        self.text("response_sha256", response_sha256);
        self.each("trace_id", trace_id, Self::text);
        self.date("started_at", started_at);
    }

    fn attempt(&mut self, attempt: &mut Attempt) {
        let Attempt {
            attempt_id,
            phase,
            request_id,
            tenant,
            src,
            accepted_at,
            turn: _,
            chain,
            step,
            provider,
            model,
            route_reason,
            attempt: _,
            usage,
            cost: _,
            trace_id,
            at,
        } = attempt;
        self.text("attempt_id", attempt_id);
        self.text("phase", phase);
        self.text("request_id", request_id);
        self.text("tenant", tenant);
        self.text("src", src);
        self.date("accepted_at", accepted_at);
        self.each("chain", chain, Self::text);
        self.text("step", step);
        self.text("provider", provider);
        self.text("model", model);
        self.text("route_reason", route_reason);
        self.usage(usage);
        self.each("trace_id", trace_id, Self::text);
        self.date("at", at);
    }

    fn dead_letter(&mut self, letter: &mut DeadLetter) {
        let DeadLetter {
            request_id,
            tenant,
            accepted_at,
            topic,
            partition: _,
            offset: _,
            key: _,
            value: _,
            // JSON, which escapes.
            headers: _,
            class,
            message,
            chain,
            failed_at,
            left_out: _,
        } = letter;
        self.text("request_id", request_id);
        self.text("tenant", tenant);
        self.date("accepted_at", accepted_at);
        self.text("topic", topic);
        self.text("class", class);
        self.text("message", message);
        self.each("chain", chain, Self::text);
        self.date("failed_at", failed_at);
    }

    fn usage(&mut self, usage: &mut Usage) {
        let Usage {
            input_tokens: _,
            output_tokens: _,
            source,
        } = usage;
        self.text("usage_source", source);
    }

    fn text(&mut self, column: &'static str, text: &mut String) {
        if text.contains('\0') {
            *text = text.replace('\0', "\u{fffd}");
            self.0.push(column);
        }
    }

    fn date(&mut self, column: &'static str, at: &mut Timestamp) {
        let nearest = (*at).clamp(FIRST, LAST);
        if nearest != *at {
            *at = nearest;
            self.0.push(column);
        }
    }

    fn date_or_none(&mut self, column: &'static str, at: &mut Option<Timestamp>) {
        if at.is_some_and(|at| !(FIRST..=LAST).contains(&at)) {
            *at = None;
            self.0.push(column);
        }
    }

    fn each<T>(
        &mut self,
        column: &'static str,
        value: &mut Option<T>,
        mend: impl FnOnce(&mut Self, &'static str, &mut T),
    ) {
        if let Some(value) = value {
            mend(self, column, value);
        }
    }
}
