//! One batch, one transaction: the positions first, then the rows.

use std::{
    io,
    time::{Duration, Instant},
};

use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use crate::{
    crash::{self, Point},
    days::Days,
    entry::{Entry, Row},
    failure::Failure,
    metrics,
    tables::{attempts, audit, dead_letters, gaps, positions, quarantine, runs},
};

/// A database that accepts connections and then says nothing is as good as away.
const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const CONNECT: Duration = Duration::from_secs(5);
/// A recorder that sleeps in its transaction, or whose machine is gone, holds its positions no longer than ten seconds;
/// whoever owns the partitions now waits for them, so for longer than that. No statement goes on when this process has
/// given up.
const LIMITS: &str =
    "SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '15s'; SET statement_timeout = '25s'";

pub(crate) struct Store {
    pub pool: PgPool,
    /// Where it is, for messages.
    pub place: String,
    pub days: Days,
}

/// The rows of a batch by the table they go to.
#[derive(Default)]
struct Rows<'e> {
    requests: Vec<runs::Asked<'e>>,
    results: Vec<runs::ResultRow<'e>>,
    audit: Vec<audit::AuditRow<'e>>,
    attempts: Vec<attempts::AttemptRow<'e>>,
    dead_letters: Vec<dead_letters::Letter<'e>>,
    quarantine: Vec<quarantine::Quarantined<'e>>,
}

impl Store {
    /// Opens no connection yet.
    pub fn new(url: &str, retention_days: Option<u32>) -> Result<Self, sqlx::Error> {
        // One writes; the other reads positions in the meantime.
        let options: PgConnectOptions = url.parse()?;
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(CONNECT)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(LIMITS).execute(connection).await.map(|_| ()) })
            })
            .connect_lazy_with(options.clone());
        Ok(Self {
            place: format!("{}:{}", options.get_host(), options.get_port()),
            pool,
            days: Days::new(retention_days),
        })
    }

    /// Writes these entries and moves the positions past them, or does nothing.
    ///
    /// # Errors
    /// A [`Failure`]. After [`Failure::Wait`] and [`Failure::Slow`] it may be that all was written and only the answer was lost: the positions
    /// know.
    pub async fn write(&mut self, moves: &[positions::Move], entries: &[Entry]) -> Result<(), Failure> {
        let began = Instant::now();
        let days = entries.iter().filter_map(Entry::accepted_at);
        let made = timeout(PATIENCE, self.days.make(&self.pool, days));
        made.await
            .map_err(|_elapsed| Failure::Wait(timed_out()))?
            .map_err(Failure::Wait)?;
        let written = timeout(PATIENCE, transaction(&self.pool, moves, entries));
        let duplicates = written.await.map_err(|_elapsed| Failure::Slow(timed_out()))??;
        metrics::committed(entries, duplicates, began.elapsed());
        Ok(())
    }

    /// Notes a gap and moves the position past it, or does nothing.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_gap(&self, past: positions::Move, gap: &gaps::Gap) -> Result<(), Failure> {
        let write = async {
            let mut transaction = self.pool.begin().await?;
            positions::advance(&mut transaction, &[past]).await?;
            gaps::insert(&mut transaction, gap).await?;
            Ok(transaction.commit().await?)
        };
        timeout(PATIENCE, write)
            .await
            .map_err(|_elapsed| Failure::Wait(timed_out()))?
    }

    /// Before a row needs them.
    pub async fn make_days_ahead(&mut self) -> Result<(), Failure> {
        let made = timeout(PATIENCE, self.days.make(&self.pool, std::iter::empty()));
        Ok(made.await.map_err(|_elapsed| Failure::Wait(timed_out()))??)
    }

    pub async fn open_gaps(&self) -> Result<i64, sqlx::Error> {
        gaps::open(&mut *self.pool.acquire().await?).await
    }

    /// A pool tries again until its patience is over, and then does not say what it tried in vain: this asks once.
    pub async fn cause(&self, error: sqlx::Error) -> sqlx::Error {
        if !matches!(error, sqlx::Error::PoolTimedOut) {
            return error;
        }
        let options = self.pool.connect_options();
        match timeout(CONNECT, PgConnection::connect_with(&options)).await {
            Ok(Err(cause)) => cause,
            Ok(Ok(_)) | Err(_) => error,
        }
    }
}

fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(io::ErrorKind::TimedOut.into())
}

async fn transaction(pool: &PgPool, moves: &[positions::Move], entries: &[Entry]) -> Result<u64, Failure> {
    let mut transaction = pool.begin().await?;
    crash::point(Point::Begun);
    positions::advance(&mut transaction, moves).await?;
    let duplicates = write_rows(&mut transaction, &Rows::of(entries)).await?;
    crash::point(Point::Written);
    transaction.commit().await?;
    crash::point(Point::Committed);
    Ok(duplicates)
}

async fn write_rows(connection: &mut PgConnection, rows: &Rows<'_>) -> Result<u64, Failure> {
    let mut duplicates = 0;
    if !rows.requests.is_empty() || !rows.results.is_empty() {
        runs::index(connection, &rows.requests, &rows.results).await?;
    }
    if !rows.requests.is_empty() {
        runs::upsert_requests(connection, &rows.requests).await?;
    }
    if !rows.results.is_empty() {
        duplicates = runs::upsert_results(connection, &rows.results).await?;
    }
    if !rows.attempts.is_empty() {
        attempts::upsert(connection, &rows.attempts).await?;
    }
    if !rows.audit.is_empty() {
        audit::insert(connection, &rows.audit).await?;
    }
    if !rows.dead_letters.is_empty() {
        dead_letters::insert(connection, &rows.dead_letters).await?;
    }
    if !rows.quarantine.is_empty() {
        quarantine::insert(connection, &rows.quarantine).await?;
    }
    Ok(duplicates)
}

impl<'e> Rows<'e> {
    fn of(entries: &'e [Entry]) -> Self {
        let mut rows = Self::default();
        for Entry { record, row, mended } in entries {
            let mended = mended.as_deref();
            match row {
                Row::Request(request) => rows.requests.push(runs::Asked { request, mended }),
                Row::Result(result) => rows.results.push(runs::ResultRow { record, result, mended }),
                Row::Audit(audit) => rows.audit.push(audit::AuditRow { record, audit, mended }),
                Row::Attempt(attempt) => rows.attempts.push(attempts::AttemptRow { attempt, mended }),
                Row::DeadLetter(letter) => rows.dead_letters.push(dead_letters::Letter { letter, mended }),
                Row::Quarantine(reason) => rows.quarantine.push(quarantine::Quarantined { record, reason }),
            }
        }
        rows
    }
}
