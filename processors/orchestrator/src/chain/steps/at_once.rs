//! Parts of a step that run at the same time.

use futures::{StreamExt, stream::FuturesUnordered};
use serde_json::{Value, json};

use crate::chain::{bill::Bill, context::Surroundings, error::StepError};

/// What happens to the others when one part fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnError {
    /// They are stopped, and the step fails.
    Fail,
    /// They go on, and the output tells of it.
    Collect,
}

impl OnError {
    pub(super) fn read(written: &str) -> Result<Self, String> {
        match written {
            "fail" => Ok(Self::Fail),
            "collect" => Ok(Self::Collect),
            other => Err(format!("must be `fail` or `collect`, not `{other}`")),
        }
    }
}

/// A part by its number, how it ended, and what it paid.
pub(super) type Ended = (usize, Result<Value, StepError>, Bill);

/// Runs parts, at most `most` at once; those that have not begun cost nothing. `around` is theirs alone: its end stops them.
///
/// # Errors
/// The first failure, unless it is collected. The others are waited for. A part that waits for a person stops no other.
pub(super) async fn run<F: Future<Output = Ended>>(
    mut parts: impl Iterator<Item = F>,
    most: usize,
    on_error: OnError,
    around: &Surroundings<'_>,
    bill: &mut Bill,
) -> Result<Vec<(usize, Result<Value, StepError>)>, StepError> {
    let mut running = FuturesUnordered::new();
    let (mut ended, mut failure, mut interruption) = (Vec::new(), None, None);
    loop {
        while failure.is_none() && running.len() < most {
            let Some(part) = parts.next() else { break };
            running.push(part);
        }
        let Some((number, result, spent)) = running.next().await else {
            break;
        };
        bill.merge(spent);
        match result {
            Err(waits) if waits.is_interruption() => interruption = Some(waits),
            Err(error) if on_error == OnError::Fail || around.go_on().is_err() => {
                around.stop.cancel();
                failure.get_or_insert(error);
            }
            result => ended.push((number, result)),
        }
    }
    ended.sort_by_key(|(number, _)| *number);
    failure.or(interruption).map_or(Ok(ended), Err)
}

/// How an output tells of an error that was collected.
pub(super) fn told(error: &StepError) -> Value {
    json!({"class": error.class(), "message": error.message()})
}
