//! What keeps Postgres from being read, in words that say what to mend.

use sqlx::{Connection, Error, PgConnection};
use tokio::time::timeout;

use super::{CONNECT, CONNECTIONS, History};
use crate::problem::{Kind, Problem};

impl History {
    /// What a query gave. If it failed, whatever it is, the caller can only come back.
    ///
    /// # Errors
    /// 503, with the reason.
    pub(super) async fn told<T>(&self, outcome: Result<T, Error>) -> Result<T, Problem> {
        let error = match outcome {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        let reason = self.reason(error).await;
        tracing::warn!(reason, "the history cannot be read");
        let detail = format!("{reason} Calls and their results go on without it");
        Err(Problem::new(Kind::HistoryUnavailable, detail).retry_after(2))
    }

    /// A pool tries again until its patience is over, and then does not say what it tried in vain: this asks once.
    pub(super) async fn reason(&self, error: Error) -> String {
        let place = &self.place;
        let what = match error {
            Error::PoolTimedOut => {
                let options = self.pool.connect_options();
                match timeout(CONNECT, PgConnection::connect_with(&options)).await {
                    Ok(Ok(_)) => {
                        return format!("all {CONNECTIONS} connections to Postgres at {place} are busy.");
                    }
                    Ok(Err(cause)) => words(&cause),
                    Err(_elapsed) => format!("it does not answer within {} s", CONNECT.as_secs()),
                }
            }
            error => words(&error),
        };
        format!(
            "Postgres at {place} cannot be read: {what}; is it up, and is `postgres.url` (MILLRACE_POSTGRES__URL) right?"
        )
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::Io(cause) => cause.to_string(),
        error => error.to_string(),
    }
}
