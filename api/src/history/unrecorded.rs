//! What lies in topics, or lay there, and is in no table where it belongs.

use serde::Serialize;

use super::History;

/// `Unrecorded` of `schemas/openapi.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Unrecorded {
    /// Rows of `quarantine`, counted to 10,000.
    pub quarantined: i64,
    /// Rows of `gaps` that nobody has accepted.
    pub gaps: i64,
}

const SELECT: &str = "
    SELECT (SELECT count(*) FROM (SELECT 1 FROM quarantine LIMIT 10000) AS counted) AS quarantined,
           (SELECT count(*) FROM gaps WHERE accepted_at IS NULL) AS gaps";

impl History {
    /// # Errors
    /// Why Postgres cannot be read, and what to look at.
    pub async fn unrecorded(&self) -> Result<Unrecorded, String> {
        match sqlx::query_as(SELECT).fetch_one(&self.pool).await {
            Ok((quarantined, gaps)) => Ok(Unrecorded { quarantined, gaps }),
            Err(error) => Err(self.reason(error).await),
        }
    }
}

impl Unrecorded {
    pub fn is_nothing(self) -> bool {
        let Self { quarantined, gaps } = self;
        quarantined == 0 && gaps == 0
    }
}
