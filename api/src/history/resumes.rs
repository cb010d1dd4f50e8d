//! Interrupted runs, and who goes on with them: no decision goes on the stream twice, whatever is lost on the way.
//!
//! A decision is claimed in `resumes` before its request is produced, and confirmed with the place of the request when the
//! brokers have it. What may be lost is the confirmation, or the brokers' answer, or the process between the two; so a claim
//! without a place says nothing about the stream. Decision: whoever comes again with the same decision after
//! [`CLAIM_LASTS`] does not trust it, and asks the recorder. By then the request has reached its topic or never will: it is
//! handed to the client only while its claim is young ([`HANDED_OVER`]), and the client gives it up 10 s later. So
//! the ends of the request topics are taken, the recorder is waited for until it has passed them, and then the row of the
//! turn either is there, and is joined, or the request is not, and the claim is taken over, by one of all who try
//! (compare-and-set on `claimed_at`). A recorder that is away makes the caller come back, never a second request.
//!
//! Not a transaction for each decision, which would fence its predecessor: one whose end the brokers lose (KAFKA-20734)
//! stops the request topic for everybody. What remains is a process that sleeps for half a minute between its last look at
//! the clock and the client's queue, and a broker that sleeps with the request in its socket.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use schemas::{RunResult, Timestamp, status};
use sqlx::{AssertSqlSafe, Row, postgres::PgRow};

use super::History;
use crate::{
    call::Decisions,
    problem::Problem,
    ring::RunKey,
    run::{self, QUEUED},
};

/// A claim that is older and has no place yet may be taken over.
const CLAIM_LASTS: Duration = Duration::from_secs(30);
/// After its claim, a request is handed to the client within this time or not at all.
pub(crate) const HANDED_OVER: Duration = Duration::from_secs(10);

/// An interrupted run: what it waits for, and what a resume takes with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Waiting {
    pub turn: i32,
    /// `name@version#sha256`
    pub chain: String,
    /// JSON
    pub output: serde_json::Value,
    pub state: String,
    pub accepted_at: Timestamp,
}

/// The last turn of a run that is recorded.
#[derive(Debug)]
pub(crate) struct LastTurn {
    pub turn: i32,
    pub status: String,
    /// What it waits for; or what the turn before it has waited for, if this one has not ended: who decides the same joins.
    pub waiting: Option<Waiting>,
}

/// Whether a caller may put the request on the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Mine(Claimed),
    /// The same was decided before; the request lies there.
    Same(String),
    /// The same was decided a moment ago, and the brokers have not confirmed it yet.
    Unconfirmed,
    /// The same was decided, and nobody will confirm it any more.
    Stale(Claimed),
    /// Something else was decided.
    Other,
    /// The turn was begun past the api.
    Begun,
}

/// A claim at one moment: `claimed_at`, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claimed(i64);

/// Parameters: tenant, request id, turn. Where the request of a turn lies, if it is recorded.
const BEGUN: &str = "SELECT request_src, result_src FROM runs JOIN run_index USING (tenant, request_id, accepted_at) \
     WHERE tenant = $1 AND request_id = $2 AND turn = $3";
const CLAIMED_US: &str = "(extract(epoch FROM claimed_at) * 1000000)::bigint";

impl Waiting {
    /// `None` for a result that is not interrupted.
    pub fn of(result: RunResult) -> Option<Self> {
        let is_interrupted = result.status == status::INTERRUPTED;
        Some(Self {
            turn: result.turn,
            chain: result.chain?,
            output: run::json(&result.output?),
            state: result.state?,
            accepted_at: result.accepted_at,
        })
        .filter(|_| is_interrupted)
    }
}

impl Waiting {
    /// That of the request, which its state keeps.
    pub fn key(&self) -> Option<Vec<u8>> {
        let state: serde_json::Value = serde_json::from_str(&self.state).ok()?;
        BASE64_STANDARD.decode(state["key"].as_str()?).ok()
    }
}

impl History {
    /// The last turn of a run; `None` if it was not recorded.
    ///
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn last_turn(&self, run: &RunKey) -> Result<Option<LastTurn>, Problem> {
        let rows = sqlx::query(
            "SELECT turn, status, chain, output, state, (extract(epoch FROM accepted_at) * 1000000)::bigint AS accepted_us
             FROM runs JOIN run_index USING (tenant, request_id, accepted_at)
             WHERE tenant = $1 AND request_id = $2 ORDER BY turn DESC LIMIT 2",
        )
        .bind(&run.tenant)
        .bind(&run.request_id)
        .fetch_all(&self.pool)
        .await;
        let read = rows.and_then(|rows| {
            let turns = rows.iter().map(turn).collect::<Result<Vec<_>, _>>()?;
            let mut turns = turns.into_iter();
            let Some(last) = turns.next() else { return Ok(None) };
            let before = turns.next().filter(|_| last.status == QUEUED);
            Ok(Some(LastTurn {
                waiting: last.waiting.or(before.and_then(|before| before.waiting)),
                ..last
            }))
        });
        self.told(read).await
    }

    /// Claims the turn after the one that waits, or says who did.
    ///
    /// # Errors
    /// 503 when Postgres cannot be reached.
    pub async fn claim(&self, run: &RunKey, waiting: &Waiting, decisions: &Decisions) -> Result<Claim, Problem> {
        let decisions = serde_json::json!(decisions).to_string();
        let turn = waiting.turn + 1;
        let claimed = sqlx::query_scalar::<_, i64>(AssertSqlSafe(format!(
            "INSERT INTO resumes (tenant, request_id, turn, accepted_at, decisions)
             SELECT $1, $2, $3, timestamptz 'epoch' + $4 * interval '1 microsecond', $5 WHERE NOT EXISTS ({BEGUN})
             ON CONFLICT DO NOTHING RETURNING {CLAIMED_US}"
        )))
        .bind(&run.tenant)
        .bind(&run.request_id)
        .bind(turn)
        .bind(waiting.accepted_at.0)
        .bind(&decisions)
        .fetch_optional(&self.pool)
        .await;
        if let Some(claimed) = self.told(claimed).await? {
            return Ok(Claim::Mine(Claimed(claimed)));
        }
        let other = sqlx::query_as::<_, (String, Option<String>, i64, bool)>(AssertSqlSafe(format!(
            "SELECT decisions, src, {CLAIMED_US}, claimed_at < now() - $4 * interval '1 second'
             FROM resumes WHERE tenant = $1 AND request_id = $2 AND turn = $3"
        )))
        .bind(&run.tenant)
        .bind(&run.request_id)
        .bind(turn)
        .bind(CLAIM_LASTS.as_secs() as i64)
        .fetch_optional(&self.pool)
        .await;
        let begun = match self.told(other).await? {
            Some((other, ..)) if other != decisions => return Ok(Claim::Other),
            Some((_, Some(src), ..)) => return Ok(Claim::Same(src)),
            Some((_, None, claimed, is_old)) => (self.begun(run, turn).await?, Some((claimed, is_old))),
            None => (self.begun(run, turn).await?, None),
        };
        Ok(match begun {
            (Some(src), Some(_)) => {
                self.confirm(run, turn, &src).await?;
                Claim::Same(src)
            }
            (None, Some((claimed, true))) => Claim::Stale(Claimed(claimed)),
            (Some(_), None) => Claim::Begun,
            // Or it was given back by somebody between the two looks.
            (None, Some((_, false)) | None) => Claim::Unconfirmed,
        })
    }

    /// Takes over a claim whose request is not on the stream. `None`: somebody was faster, or it was there.
    ///
    /// # Errors
    /// 503 when Postgres cannot be reached.
    pub async fn take_over(&self, run: &RunKey, turn: i32, stale: Claimed) -> Result<Option<Claimed>, Problem> {
        let taken = sqlx::query_scalar::<_, i64>(AssertSqlSafe(format!(
            "UPDATE resumes SET claimed_at = now() WHERE tenant = $1 AND request_id = $2 AND turn = $3 AND src IS NULL
                 AND {CLAIMED_US} = $4 AND NOT EXISTS ({BEGUN}) RETURNING {CLAIMED_US}"
        )))
        .bind(&run.tenant)
        .bind(&run.request_id)
        .bind(turn)
        .bind(stale.0)
        .fetch_optional(&self.pool)
        .await;
        Ok(self.told(taken).await?.map(Claimed))
    }

    async fn begun(&self, run: &RunKey, turn: i32) -> Result<Option<String>, Problem> {
        let src = sqlx::query_as::<_, (Option<String>, Option<String>)>(BEGUN)
            .bind(&run.tenant)
            .bind(&run.request_id)
            .bind(turn)
            .fetch_optional(&self.pool)
            .await;
        Ok(self.told(src).await?.and_then(|(request, result)| request.or(result)))
    }

    /// The brokers have the request.
    ///
    /// # Errors
    /// 503 when Postgres cannot be reached.
    pub async fn confirm(&self, run: &RunKey, turn: i32, src: &str) -> Result<(), Problem> {
        let confirmed = sqlx::query("UPDATE resumes SET src = $4 WHERE tenant = $1 AND request_id = $2 AND turn = $3")
            .bind(&run.tenant)
            .bind(&run.request_id)
            .bind(turn)
            .bind(src)
            .execute(&self.pool)
            .await;
        self.told(confirmed).await.map(|_| ())
    }

    /// The request never went on the stream: the claim is free, if nobody has taken it over.
    ///
    /// # Errors
    /// 503 when Postgres cannot be reached.
    pub async fn give_back(&self, run: &RunKey, turn: i32, claimed: Claimed) -> Result<(), Problem> {
        let given = sqlx::query(AssertSqlSafe(format!(
            "DELETE FROM resumes
             WHERE tenant = $1 AND request_id = $2 AND turn = $3 AND src IS NULL AND {CLAIMED_US} = $4"
        )))
        .bind(&run.tenant)
        .bind(&run.request_id)
        .bind(turn)
        .bind(claimed.0)
        .execute(&self.pool)
        .await;
        self.told(given).await.map(|_| ())
    }

    /// Whether a turn was decided on, and where its request lies, if that is confirmed.
    ///
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn resumed(&self, run: &RunKey, turn: i32) -> Result<Option<Option<String>>, Problem> {
        let src = sqlx::query_scalar::<_, Option<String>>(
            "SELECT src FROM resumes WHERE tenant = $1 AND request_id = $2 AND turn = $3",
        )
        .bind(&run.tenant)
        .bind(&run.request_id)
        .bind(turn)
        .fetch_optional(&self.pool)
        .await;
        self.told(src).await
    }
}

fn turn(row: &PgRow) -> Result<LastTurn, sqlx::Error> {
    let text = |column| row.try_get::<Option<String>, _>(column);
    let (turn, status) = (row.try_get("turn")?, row.try_get::<String, _>("status")?);
    let waiting = match (text("chain")?, text("output")?, text("state")?) {
        (Some(chain), Some(output), Some(state)) if status == status::INTERRUPTED => Some(Waiting {
            turn,
            chain,
            output: run::json(&output),
            state,
            accepted_at: Timestamp(row.try_get("accepted_us")?),
        }),
        _ => None,
    };
    Ok(LastTurn { turn, status, waiting })
}
