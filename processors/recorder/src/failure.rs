//! What a failed transaction means.

use sqlx::error::DatabaseError;
use topics::TopicPartition;

const QUERY_CANCELED: &str = "57014";
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Why a transaction did not commit, by what is to be done about it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A row holds what no column takes: find it.
    Row(String),
    /// Somebody else moved these positions: read again from where they are now.
    Lost(Vec<TopicPartition>),
    /// It took too long: do it in halves.
    Slow(sqlx::Error),
    /// Anything else, an outage above all: wait and do it again.
    Wait(sqlx::Error),
}

/// Postgres refuses the data: a value too large for its index, or what nobody thought of.
impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Encode(_) => Self::Row(error.to_string()),
            sqlx::Error::Database(_) if is_slow(&error) => Self::Slow(error),
            sqlx::Error::Database(refusal) => match class(refusal.as_ref()).as_deref() {
                // Data exception, program limit exceeded: https://www.postgresql.org/docs/current/errcodes-appendix.html
                // Not integrity violations: the tables have no constraint that a row could break, and a day that another
                // recorder makes at this moment shows as one.
                Some("22" | "54") => Self::Row(refusal.message().to_owned()),
                Some(_) | None => Self::Wait(error),
            },
            _ => Self::Wait(error),
        }
    }
}

/// Somebody else holds a lock for longer than this recorder waits.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    has_code(error, LOCK_NOT_AVAILABLE)
}

/// A statement took longer than it may.
pub(crate) fn is_slow(error: &sqlx::Error) -> bool {
    has_code(error, QUERY_CANCELED)
}

/// What another try may not meet: a Postgres that does not answer, a lock that somebody holds, a connection that is lost, a
/// transaction that is rolled back for another's sake, a disk or a memory that is full, a server that is shut down.
pub(crate) fn may_pass(error: &sqlx::Error) -> bool {
    match error.as_database_error() {
        None => true,
        Some(refusal) => is_locked(error) || matches!(class(refusal).as_deref(), Some("08" | "40" | "53" | "57")),
    }
}

/// The first two characters of the code.
fn class(refusal: &dyn DatabaseError) -> Option<String> {
    refusal.code()?.get(..2).map(str::to_owned)
}

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().and_then(|refusal| refusal.code()).as_deref() == Some(code)
}

/// An error on one line, its causes included: for where there is no log to keep them apart. What an error has said of its
/// cause already is not said again.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    for cause in std::iter::successors(error.source(), |error| error.source()) {
        let cause = cause.to_string();
        if !said.ends_with(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}
