//! Interrupted runs, and who goes on with them.

use base64::prelude::{BASE64_STANDARD, Engine};
use schemas::{RunResult, Timestamp, status};
use sqlx::Row;

use super::History;
use crate::{call::Decisions, problem::Problem, ring::RunKey, run};

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

/// Whether a caller may put the request on the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Mine,
    /// The same was decided before; the request lies there.
    Same(String),
    /// The same was decided a moment ago, and the brokers have not confirmed it yet.
    Unconfirmed,
    /// Something else was decided.
    Other,
}

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
    /// The last turn of a run with its status, and what it waits for if it is interrupted; `None` if it was not recorded.
    ///
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn waiting(&self, run: &RunKey) -> Result<Option<(i32, String, Option<Waiting>)>, Problem> {
        let row = sqlx::query(
            "SELECT turn, status, chain, output, state, (extract(epoch FROM accepted_at) * 1000000)::bigint AS accepted_us
             FROM runs JOIN run_index USING (tenant, request_id, accepted_at)
             WHERE tenant = $1 AND request_id = $2 ORDER BY turn DESC LIMIT 1",
        )
        .bind(&run.tenant)
        .bind(&run.request_id)
        .fetch_optional(&self.pool)
        .await;
        let read = row.and_then(|row| {
            let Some(row) = row else { return Ok(None) };
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
            Ok(Some((turn, status, waiting)))
        });
        self.told(read).await
    }

    /// Claims the turn after the one that waits. Whoever comes again with the same decisions, half a minute after a claim
    /// that the brokers never confirmed, may try once more.
    ///
    /// # Errors
    /// 503 when Postgres cannot be reached.
    pub async fn claim(&self, run: &RunKey, waiting: &Waiting, decisions: &Decisions) -> Result<Claim, Problem> {
        let decisions = serde_json::json!(decisions).to_string();
        let turn = waiting.turn + 1;
        let claimed = sqlx::query(
            "INSERT INTO resumes (tenant, request_id, turn, accepted_at, decisions)
             VALUES ($1, $2, $3, timestamptz 'epoch' + $4 * interval '1 microsecond', $5)
             ON CONFLICT (tenant, request_id, turn) DO UPDATE SET claimed_at = now()
             WHERE resumes.src IS NULL AND resumes.decisions = excluded.decisions
                 AND resumes.claimed_at < now() - interval '30 seconds'",
        )
        .bind(&run.tenant)
        .bind(&run.request_id)
        .bind(turn)
        .bind(waiting.accepted_at.0)
        .bind(&decisions)
        .execute(&self.pool)
        .await;
        if self.told(claimed).await?.rows_affected() == 1 {
            return Ok(Claim::Mine);
        }
        let other = sqlx::query_as::<_, (String, Option<String>)>(
            "SELECT decisions, src FROM resumes WHERE tenant = $1 AND request_id = $2 AND turn = $3",
        )
        .bind(&run.tenant)
        .bind(&run.request_id)
        .bind(turn)
        .fetch_optional(&self.pool)
        .await;
        Ok(match self.told(other).await? {
            Some((other, Some(src))) if other == decisions => Claim::Same(src),
            Some((other, None)) if other == decisions => Claim::Unconfirmed,
            Some(_) => Claim::Other,
            // Given back by somebody between the two looks.
            None => Claim::Unconfirmed,
        })
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

    /// The request never went on the stream.
    ///
    /// # Errors
    /// 503 when Postgres cannot be reached.
    pub async fn give_back(&self, run: &RunKey, turn: i32) -> Result<(), Problem> {
        let given =
            sqlx::query("DELETE FROM resumes WHERE tenant = $1 AND request_id = $2 AND turn = $3 AND src IS NULL")
                .bind(&run.tenant)
                .bind(&run.request_id)
                .bind(turn)
                .execute(&self.pool)
                .await;
        self.told(given).await.map(|_| ())
    }

    /// Where the request of a turn lies, if this api made it and it is confirmed.
    ///
    /// # Errors
    /// 503 when Postgres cannot be read.
    pub async fn resumed(&self, run: &RunKey, turn: i32) -> Result<Option<String>, Problem> {
        let src = sqlx::query_scalar::<_, Option<String>>(
            "SELECT src FROM resumes WHERE tenant = $1 AND request_id = $2 AND turn = $3",
        )
        .bind(&run.tenant)
        .bind(&run.request_id)
        .bind(turn)
        .fetch_optional(&self.pool)
        .await;
        Ok(self.told(src).await?.flatten())
    }
}
