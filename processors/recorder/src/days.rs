//! The partitions of the tables: one per UTC day of `accepted_at`.
//!
//! A day is made when the first row for it comes, but only days that a row may honestly have: what is dated further back
//! or ahead lies in the default partition, from where it moves when its day is made after all. Today and tomorrow are made
//! before anything is written to them.
//!
//! To attach a day or to drop one takes a lock that waits for whoever reads the table, and everybody else queues behind
//! it: so nothing waits for such a lock longer than a second, and is tried again in a few. Rows of a day that cannot be
//! attached lie in the default partition until it can. They may have become so many that they cannot be moved in the time
//! that a day has; that is tried once an hour, for the rows of other days wait while it is. Postgres itself ends a move that
//! takes longer: were it only given up here, it would go on there, and hold its locks.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use chrono::{Days as Span, NaiveDate, Utc};
use schemas::Timestamp;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row};

use crate::failure::{is_locked, is_slow};

const TABLES: [&str; 5] = ["runs", "duplicate_results", "attempts", "audit", "dead_letters"];
/// One at a time makes partitions, of all recorders of a database.
const LOCK: i64 = 0x6d69_6c6c_7261_6365;
/// How far back days are made when nothing limits it.
const PAST_DAYS: u32 = 400;
/// What all tables of a day may take together: less than a batch waits for its days, or it would be given up and tried again
/// for ever.
const A_DAY: Duration = Duration::from_secs(20);
/// Another recorder that makes days waits for a lock itself, of each table for as long as `SHORT`.
const FOR_ANOTHER: &str = "SET LOCAL lock_timeout = '6s'";
const SHORT: &str = "SET LOCAL lock_timeout = '1s'";
/// After a lock was not to be had.
const AGAIN: Duration = Duration::from_secs(5);
/// After rows could not be moved in time.
const MUCH_LATER: Duration = Duration::from_secs(3_600);
/// How long old rows are deleted at a time, and how many by one statement.
const DELETING: Duration = Duration::from_secs(5);
const ROWS: u32 = 10_000;

/// Which days exist, as far as this recorder knows.
pub(crate) struct Days {
    retention: Option<u32>,
    known: BTreeSet<NaiveDate>,
    /// Days that are not made yet, and when that may be tried.
    missing: BTreeMap<NaiveDate, Instant>,
}

/// Whether all was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    All,
    /// The rest is for the next time.
    Some,
}

impl Days {
    pub fn new(retention: Option<u32>) -> Self {
        Self {
            retention,
            known: BTreeSet::new(),
            missing: BTreeMap::new(),
        }
    }

    /// Makes the days of these rows, today and tomorrow, as far as they do not exist yet and nobody holds their tables.
    pub async fn make(&mut self, pool: &PgPool, rows: impl Iterator<Item = Timestamp>) -> Result<(), sqlx::Error> {
        let (now, today) = (Instant::now(), Utc::now().date_naive());
        let honest = self.oldest(today)..=today + Span::new(1);
        let wanted = rows
            .filter_map(|at| Some(at.to_utc()?.date_naive()))
            .chain([today, today + Span::new(1)])
            .filter(|day| honest.contains(day) && !self.known.contains(day));
        for day in wanted {
            self.missing.entry(day).or_insert(now);
        }
        let due: Vec<NaiveDate> = self
            .missing
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(day, _)| *day)
            .collect();
        for day in due {
            let mut connection = pool.acquire().await?;
            match make_day(&mut connection, day).await {
                Ok(()) => {
                    self.missing.remove(&day);
                    self.known.insert(day);
                }
                // The same tables have all days: the next one would not get them either.
                Err(error) if is_locked(&error) => {
                    tracing::warn!(
                        %day,
                        "somebody reads or holds the tables for long; rows of this day lie in the default partitions until then"
                    );
                    for at in self.missing.values_mut() {
                        *at = (*at).max(now + AGAIN);
                    }
                    break;
                }
                Err(error) if is_slow(&error) => {
                    tracing::warn!(
                        %day,
                        "the default partitions hold too many rows of this day to move them in time; they stay there, and it is tried again in an hour"
                    );
                    self.missing.insert(day, now + MUCH_LATER);
                    // The next one may be as slow: that is for the next batch.
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Drops what is older than the retention: whole days, and rows where there are no days.
    pub async fn drop_old(&mut self, pool: &PgPool) -> Result<Dropped, sqlx::Error> {
        if self.retention.is_none() {
            return Ok(Dropped::All);
        }
        let until = Instant::now() + DELETING;
        let oldest = self.oldest(Utc::now().date_naive());
        let mut connection = pool.acquire().await?;
        for table in TABLES {
            for (name, day) in days_of(&mut connection, table).await? {
                if day < oldest {
                    tracing::info!(
                        table = name,
                        "dropping a day that is older than recorder.retention_days"
                    );
                    drop_day(&mut connection, &name).await?;
                }
            }
        }
        self.known = self.known.split_off(&oldest);
        self.missing = self.missing.split_off(&oldest);
        let defaults = TABLES.iter().map(|table| format!("{table}_default"));
        for table in defaults.chain(["run_index", "resumes"].map(str::to_owned)) {
            while delete_before(&mut connection, &table, oldest).await? > 0 {
                if Instant::now() >= until {
                    return Ok(Dropped::Some);
                }
            }
        }
        Ok(Dropped::All)
    }

    fn oldest(&self, today: NaiveDate) -> NaiveDate {
        let days = self.retention.unwrap_or(PAST_DAYS);
        today.checked_sub_days(Span::new(days.into())).unwrap_or(today)
    }
}

/// Names below are made of table names from here and digits.
async fn make_day(connection: &mut PgConnection, day: NaiveDate) -> Result<(), sqlx::Error> {
    let until = Instant::now() + A_DAY;
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(FOR_ANOTHER).execute(&mut *transaction).await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql(SHORT).execute(&mut *transaction).await?;
    let (from, to) = (day, day + Span::new(1));
    for table in TABLES {
        let name = format!("{table}_{}", day.format("%Y%m%d"));
        let exists: bool = sqlx::query("SELECT to_regclass($1) IS NOT NULL")
            .bind(&name)
            .fetch_one(&mut *transaction)
            .await?
            .try_get(0)?;
        if exists {
            continue;
        }
        let steps = [
            format!("CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"),
            format!(
                "WITH moved AS (
                     DELETE FROM {table}_default
                     WHERE accepted_at >= '{from} 00:00:00+00' AND accepted_at < '{to} 00:00:00+00' RETURNING *
                 )
                 INSERT INTO {name} SELECT * FROM moved"
            ),
            format!(
                "ALTER TABLE {table} ATTACH PARTITION {name}
                     FOR VALUES FROM ('{from} 00:00:00+00') TO ('{to} 00:00:00+00')"
            ),
        ];
        for step in steps {
            // The limit counts for each statement anew; none at all is written as zero.
            let left = until.saturating_duration_since(Instant::now()).as_millis().max(1);
            let within = format!("SET LOCAL statement_timeout = {left}; {step}");
            sqlx::raw_sql(AssertSqlSafe(within)).execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await
}

async fn drop_day(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(SHORT).execute(&mut *transaction).await?;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE IF EXISTS {name}")))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// The partitions of a table that are days.
async fn days_of(connection: &mut PgConnection, table: &str) -> Result<Vec<(String, NaiveDate)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT partition.relname::text FROM pg_inherits
         JOIN pg_class AS partition ON partition.oid = pg_inherits.inhrelid
         WHERE pg_inherits.inhparent = to_regclass($1)",
    )
    .bind(table)
    .fetch_all(connection)
    .await?;
    let mut days = Vec::new();
    for row in rows {
        let name: String = row.try_get(0)?;
        let suffix = name.strip_prefix(table).and_then(|suffix| suffix.strip_prefix('_'));
        if let Some(day) = suffix.and_then(|suffix| NaiveDate::parse_from_str(suffix, "%Y%m%d").ok()) {
            days.push((name, day));
        }
    }
    Ok(days)
}

/// A piece of what is old, small enough for one statement; returns how many rows that were.
async fn delete_before(connection: &mut PgConnection, table: &str, oldest: NaiveDate) -> Result<u64, sqlx::Error> {
    let delete = format!(
        "DELETE FROM {table} WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM {table} WHERE accepted_at < '{oldest} 00:00:00+00' LIMIT {ROWS}
         ))"
    );
    let deleted = sqlx::raw_sql(AssertSqlSafe(delete)).execute(connection).await?;
    Ok(deleted.rows_affected())
}
