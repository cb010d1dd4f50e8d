//! A result as a row of the live page.

use schemas::{RunResult, Timestamp, status};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::run::rfc_3339_of;

/// Characters of the preview, and of a key.
const PREVIEW: usize = 200;
const KEY: usize = 128;
/// An output that is larger is not parsed for its preview.
const PARSED: usize = 64 * 1024;

/// What the feed keeps of a result: what it is filtered by, and the event without its id.
pub(crate) struct Row {
    pub chain: Option<String>,
    pub status: String,
    /// `event: result`, `data: {…}` and the empty line.
    pub event: String,
}

/// `FeedRow` of `schemas/openapi.json`.
#[derive(Serialize)]
struct Data<'a> {
    id: &'a str,
    tenant: &'a str,
    turn: i32,
    src: &'a str,
    partition: i32,
    offset: i64,
    #[serde(serialize_with = "rfc_3339_of")]
    accepted_at: Timestamp,
    #[serde(serialize_with = "rfc_3339_of")]
    completed_at: Timestamp,
    chain: Option<&'a str>,
    key: Option<String>,
    status: &'a str,
    latency_us: i64,
    queued_us: i64,
    input_tokens: i64,
    output_tokens: i64,
    cost_nano_dollars: i64,
    attempts: i32,
    error_class: Option<String>,
    preview: String,
}

impl Row {
    /// # Errors
    /// Never in practice: all of it is text and numbers.
    pub fn of(
        (partition, offset): (i32, i64),
        key: Option<&[u8]>,
        result: RunResult,
    ) -> Result<Self, serde_json::Error> {
        let data = Data {
            id: &result.request_id,
            tenant: &result.tenant,
            turn: result.turn,
            src: &result.src,
            partition,
            offset,
            accepted_at: result.accepted_at,
            completed_at: result.completed_at,
            chain: result.chain.as_deref(),
            key: key.map(|key| cut(&String::from_utf8_lossy(key), KEY)),
            status: &result.status,
            latency_us: result.timings.queued_us.saturating_add(result.timings.ran_us),
            queued_us: result.timings.queued_us,
            input_tokens: result.usage.input_tokens,
            output_tokens: result.usage.output_tokens,
            cost_nano_dollars: result.cost.0,
            attempts: result.attempts,
            error_class: result.error.as_ref().map(|error| cut(&error.class, KEY)),
            preview: preview(&result),
        };
        Ok(Self {
            event: format!("event: result\ndata: {}\n\n", serde_json::to_string(&data)?),
            chain: result.chain,
            status: result.status,
        })
    }
}

fn preview(result: &RunResult) -> String {
    match (&result.error, &result.output) {
        (Some(error), _) if result.status != status::COMPLETED => first_line(&error.message),
        (_, Some(output)) if result.status == status::INTERRUPTED => of_approvals(output),
        (_, Some(output)) => of_output(output),
        _ => String::new(),
    }
}

/// What the first of those who wait is asked.
fn of_approvals(output: &str) -> String {
    #[derive(Deserialize)]
    struct Waiting {
        approvals: Vec<Approval>,
    }
    #[derive(Deserialize)]
    struct Approval {
        message: String,
    }
    let waiting = serde_json::from_str::<Waiting>(output).unwrap_or(Waiting { approvals: Vec::new() });
    let asked = waiting.approvals.first().map(|approval| first_line(&approval.message));
    asked.unwrap_or_else(|| of_output(output))
}

/// The answer is a string, or the first string in an object; what is neither is shown as it is.
fn of_output(output: &str) -> String {
    let parsed = (output.len() <= PARSED)
        .then(|| serde_json::from_str::<Value>(output).ok())
        .flatten();
    let answer = match &parsed {
        Some(Value::String(text)) => Some(text),
        Some(Value::Object(members)) => members.values().find_map(|value| match value {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            _ => None,
        }),
        _ => None,
    };
    first_line(answer.map_or(output, String::as_str))
}

/// The first line that says something: one that ends in a colon only announces what follows.
fn first_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let line = match lines.next() {
        Some(next) if first.ends_with(':') => next.trim_start_matches("> "),
        _ => first,
    };
    cut(line, PREVIEW)
}

/// At most so many characters, with an ellipsis in the place of what is left out.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use schemas::RunError;

    use super::*;

    fn shown(output: &str) -> String {
        preview(&RunResult {
            status: status::COMPLETED.to_owned(),
            output: Some(output.to_owned()),
            ..RunResult::default()
        })
    }

    #[test]
    fn the_preview_is_the_first_line_of_the_answer() {
        assert_eq!(shown(r#""\n A lane.\nMore""#), "A lane.");
        assert_eq!(shown(r#""Quoted:\n\n> A lane.\n> More""#), "A lane.");
        assert_eq!(shown(r#"{"sources": [1], "answer": "A lane."}"#), "A lane.");
        assert_eq!(shown(r#"{"sources": [1]}"#), r#"{"sources": [1]}"#);
        assert_eq!(shown("7"), "7");
        assert_eq!(shown("not json"), "not json");
        let long = shown(&Value::String("ä".repeat(5_000)).to_string());
        assert_eq!(long.chars().count(), PREVIEW + 1);
        let failed = RunResult {
            status: status::FAILED.to_owned(),
            error: Some(RunError {
                class: "timeout".to_owned(),
                message: "too slow\nat 7".to_owned(),
                step: None,
            }),
            ..RunResult::default()
        };
        assert_eq!(preview(&failed), "too slow");
        let waits = RunResult {
            status: status::INTERRUPTED.to_owned(),
            output: Some(r#"{"approvals": [{"step": "a", "message": "Refund 7?\nSure?", "value": 7}]}"#.to_owned()),
            ..RunResult::default()
        };
        assert_eq!(preview(&waits), "Refund 7?");
    }
}
