//! The partitions of the tables: one per UTC day of `accepted_at`.
//!
//! A day is made when the first row for it comes, but only days that a row may honestly have: what is dated further back
//! or ahead lies in the default partition, from where it moves when its day is made after all.

use std::collections::BTreeSet;

use chrono::{Days as Span, NaiveDate, Utc};
use schemas::Timestamp;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row};

const TABLES: [&str; 5] = ["runs", "duplicate_results", "attempts", "audit", "dead_letters"];
/// One at a time makes partitions, of all recorders of a database.
const LOCK: i64 = 0x6d69_6c6c_7261_6365;
/// How far back days are made when nothing limits it.
const PAST_DAYS: u32 = 400;

/// Which days exist, as far as this recorder knows.
pub(crate) struct Days {
    retention: Option<u32>,
    known: BTreeSet<NaiveDate>,
}

impl Days {
    pub fn new(retention: Option<u32>) -> Self {
        Self {
            retention,
            known: BTreeSet::new(),
        }
    }

    /// Makes the days of these rows that do not exist yet.
    pub async fn make(&mut self, pool: &PgPool, rows: impl Iterator<Item = Timestamp>) -> Result<(), sqlx::Error> {
        let today = Utc::now().date_naive();
        let honest = self.oldest(today)..=today + Span::new(1);
        let missing: BTreeSet<NaiveDate> = rows
            .filter_map(|at| Some(at.to_utc()?.date_naive()))
            .filter(|day| honest.contains(day) && !self.known.contains(day))
            .collect();
        for day in missing {
            make_day(&mut *pool.acquire().await?, day).await?;
            self.known.insert(day);
        }
        Ok(())
    }

    /// Drops what is older than the retention: whole days, and rows where there are no days.
    pub async fn drop_old(&mut self, pool: &PgPool) -> Result<(), sqlx::Error> {
        if self.retention.is_none() {
            return Ok(());
        }
        let oldest = self.oldest(Utc::now().date_naive());
        let mut connection = pool.acquire().await?;
        for table in TABLES {
            for (name, day) in days_of(&mut connection, table).await? {
                if day < oldest {
                    tracing::info!(
                        table = name,
                        "dropping a day that is older than recorder.retention_days"
                    );
                    sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE IF EXISTS {name}")))
                        .execute(&mut *connection)
                        .await?;
                }
            }
            delete_before(&mut connection, &format!("{table}_default"), oldest).await?;
        }
        for table in ["run_index", "resumes"] {
            delete_before(&mut connection, table, oldest).await?;
        }
        self.known = self.known.split_off(&oldest);
        Ok(())
    }

    fn oldest(&self, today: NaiveDate) -> NaiveDate {
        let days = self.retention.unwrap_or(PAST_DAYS);
        today.checked_sub_days(Span::new(days.into())).unwrap_or(today)
    }
}

/// Names below are made of table names from here and digits.
async fn make_day(connection: &mut PgConnection, day: NaiveDate) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK)
        .execute(&mut *transaction)
        .await?;
    let (from, to) = (day, day + Span::new(1));
    for table in TABLES {
        let name = format!("{table}_{}", day.format("%Y%m%d"));
        let exists: bool = sqlx::query("SELECT to_regclass($1) IS NOT NULL")
            .bind(&name)
            .fetch_one(&mut *transaction)
            .await?
            .try_get(0)?;
        if !exists {
            let make = format!(
                "CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
                 WITH moved AS (
                     DELETE FROM {table}_default
                     WHERE accepted_at >= '{from} 00:00:00+00' AND accepted_at < '{to} 00:00:00+00' RETURNING *
                 )
                 INSERT INTO {name} SELECT * FROM moved;
                 ALTER TABLE {table} ATTACH PARTITION {name}
                     FOR VALUES FROM ('{from} 00:00:00+00') TO ('{to} 00:00:00+00');"
            );
            sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut *transaction).await?;
        }
    }
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

async fn delete_before(connection: &mut PgConnection, table: &str, oldest: NaiveDate) -> Result<(), sqlx::Error> {
    let delete = format!("DELETE FROM {table} WHERE accepted_at < '{oldest} 00:00:00+00'");
    sqlx::raw_sql(AssertSqlSafe(delete)).execute(connection).await?;
    Ok(())
}
