//! Runs as Postgres knows them. The recorder writes these tables (`schemas/migrations`); here they are only read.

mod cursor;
mod evidence;
mod outage;
mod recorded;
mod replay;
mod resumes;
mod stats;
mod step;
mod unrecorded;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sqlx::{
    PgPool, Postgres, QueryBuilder,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use topics::{KafkaSettings, TopicPartition};

pub(crate) use cursor::Cursor;
pub(crate) use evidence::{Place, RecordPlace};
pub(crate) use replay::{Replayed, Stretch};
pub(crate) use resumes::{Claim, Claimed, HANDED_OVER, LastTurn, Waiting};
pub(crate) use stats::{Counted, Counts, OfChain, Span};
pub(crate) use step::{Step, TurnTaken};
pub(crate) use unrecorded::Unrecorded;

use recorded::HAS_BEGUN;

use crate::{
    problem::Problem,
    ring::RunKey,
    run::{IN_PROGRESS, QUEUED, Run},
};

/// How long a caller waits for a connection: when Postgres is away, that is how long it takes to say so.
const CONNECT: Duration = Duration::from_secs(1);
const CONNECTIONS: u32 = 8;

/// A clone shares the connections.
#[derive(Clone)]
pub(crate) struct History {
    pool: PgPool,
    /// `host:port`, for messages.
    place: Arc<str>,
    /// The full name of the topic that the rows of `audit` come from.
    audit_topic: Arc<str>,
    /// That of the topic whose results are recorded.
    results_topic: Arc<str>,
}

/// Which runs are asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub tenant: String,
    /// `name` or `name@version`
    pub chain: Option<String>,
    /// The record key, all of it.
    pub key: Option<String>,
    /// One of [`crate::run::STATUSES`].
    pub status: Option<String>,
    /// Where the page before ended.
    pub before: Option<Cursor>,
}

impl History {
    /// Connects when it is first needed.
    ///
    /// # Errors
    /// When the URL is not one of Postgres.
    pub fn new(url: &str, kafka: &KafkaSettings) -> Result<Self, sqlx::Error> {
        let options: PgConnectOptions = url.parse()?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT);
        Ok(Self {
            place: format!("{}:{}", options.get_host(), options.get_port()).into(),
            pool: pool.connect_lazy_with(options),
            audit_topic: kafka.topic("audit").into(),
            results_topic: kafka.topic("results").into(),
        })
    }

    /// Whether it can be read.
    ///
    /// # Errors
    /// Why not, and what to look at.
    pub async fn reach(&self) -> Result<(), String> {
        match sqlx::query("SELECT 1 FROM run_index LIMIT 1").execute(&self.pool).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.reason(error).await),
        }
    }

    /// How far the recorder is: the next offset of each partition of which it has recorded anything.
    ///
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn positions(&self) -> Result<BTreeMap<TopicPartition, i64>, Problem> {
        let rows = sqlx::query_as::<_, (String, i32, i64)>(
            r#"SELECT topic, "partition", next_offset FROM consumer_positions"#,
        )
        .fetch_all(&self.pool)
        .await;
        let positions = self.told(rows).await?.into_iter();
        Ok(positions
            .map(|(topic, partition, next)| (TopicPartition::new(topic, partition), next))
            .collect())
    }

    /// A turn of a run, or the last one, if it was recorded.
    ///
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn run(&self, run: &RunKey, turn: Option<i32>) -> Result<Option<Run>, Problem> {
        let mut query = recorded::select(true);
        query
            .push(" JOIN run_index USING (tenant, request_id, accepted_at) WHERE runs.tenant = ")
            .push_bind(&run.tenant);
        query.push(" AND runs.request_id = ").push_bind(&run.request_id);
        if let Some(turn) = turn {
            query.push(" AND runs.turn = ").push_bind(turn);
        }
        query.push(" ORDER BY runs.turn DESC LIMIT 1");
        let row = query.build().fetch_optional(&self.pool).await;
        let run = row.and_then(|row| row.as_ref().map(recorded::run).transpose());
        self.told(run).await
    }

    /// A page of runs, the latest first and without their inputs and outputs, and where the next one begins.
    ///
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn runs(&self, wanted: &Wanted, limit: u32) -> Result<(Vec<Run>, Option<Cursor>), Problem> {
        let rows = wanted.query(limit + 1).build().fetch_all(&self.pool).await;
        let runs = rows.and_then(|rows| rows.iter().map(recorded::run).collect::<Result<Vec<Run>, _>>());
        let mut runs = self.told(runs).await?;
        let has_more = runs.len() > limit as usize;
        runs.truncate(limit as usize);
        let next = runs.last().filter(|_| has_more).and_then(Cursor::after);
        Ok((runs, next))
    }

    /// The paid calls of a run in the order in which they left, with prompts and responses (they may be large) or without.
    ///
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn steps(&self, run: &RunKey, with_payloads: bool) -> Result<Vec<Step>, Problem> {
        let rows = sqlx::query(step::SELECT)
            .bind(&run.tenant)
            .bind(&run.request_id)
            .bind(with_payloads)
            .fetch_all(&self.pool)
            .await;
        let steps = rows.and_then(|rows| rows.iter().map(|row| Step::of(row, &self.audit_topic)).collect());
        self.told(steps).await
    }

    /// What each turn of a run did as a whole; a turn is there when its audit is recorded.
    ///
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn turns(&self, run: &RunKey) -> Result<Vec<TurnTaken>, Problem> {
        let rows = sqlx::query(step::TURNS)
            .bind(&run.tenant)
            .bind(&run.request_id)
            .fetch_all(&self.pool)
            .await;
        let turns = rows.and_then(|rows| rows.iter().map(TurnTaken::of).collect());
        self.told(turns).await
    }
}

impl Wanted {
    fn query(&self, limit: u32) -> QueryBuilder<Postgres> {
        let mut query = recorded::select(false);
        query.push(" WHERE runs.tenant = ").push_bind(self.tenant.clone());
        if let Some(chain) = &self.chain {
            // `name@version#digest` once it ran
            let up_to = if chain.contains('@') { "#" } else { "@" };
            query
                .push(" AND split_part(coalesce(runs.chain, runs.requested_chain), ")
                .push_bind(up_to);
            query.push(", 1) = ").push_bind(chain.clone());
        }
        if let Some(key) = &self.key {
            // The text is what the index has; it is not all of a key that is long, and others look like it that are no text.
            query.push(" AND runs.key = left(").push_bind(key.clone());
            query.push(", 256) AND coalesce(runs.key_bytes, convert_to(runs.key, 'UTF8')) = ");
            query.push_bind(key.clone().into_bytes());
        }
        if let Some(status) = &self.status {
            match status.as_str() {
                QUEUED => query.push(" AND runs.status = 'queued' AND NOT ").push(HAS_BEGUN),
                IN_PROGRESS => query.push(" AND runs.status = 'queued' AND ").push(HAS_BEGUN),
                _ => query.push(" AND runs.status = ").push_bind(status.clone()),
            };
        }
        if let Some(Cursor {
            accepted_at,
            request_id,
            turn,
        }) = &self.before
        {
            // A number times an interval goes through a float: microseconds of far years are not exact there, seconds are.
            query.push(" AND (runs.accepted_at, runs.request_id, runs.turn) < (timestamptz 'epoch' + ");
            let (seconds, micros) = (accepted_at.0.div_euclid(1_000_000), accepted_at.0.rem_euclid(1_000_000));
            query.push_bind(seconds).push(" * interval '1 second' + ");
            query.push_bind(micros).push(" * interval '1 microsecond', ");
            query
                .push_bind(request_id.clone())
                .push(", ")
                .push_bind(*turn)
                .push(")");
        }
        query.push(" ORDER BY runs.accepted_at DESC, runs.request_id DESC, runs.turn DESC LIMIT ");
        query.push_bind(i64::from(limit));
        query
    }
}
