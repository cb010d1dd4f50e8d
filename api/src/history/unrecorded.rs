//! What lies in topics, or lay there, and is in no table where it belongs.

use serde::Serialize;
use sqlx::FromRow;

use super::History;

/// `Unrecorded` of `schemas/openapi.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, FromRow)]
pub(crate) struct Unrecorded {
    /// Rows of `quarantine`, counted to 10,000.
    pub quarantined: i64,
    /// Rows of `gaps` that nobody has accepted.
    pub gaps: i64,
}

const SELECT: &str = "
    SELECT (SELECT count(*) FROM (SELECT 1 FROM quarantine LIMIT 10000) AS some) AS quarantined,
           (SELECT count(*) FROM gaps WHERE accepted_at IS NULL) AS gaps";

impl History {
    /// `None` when Postgres cannot be read: why not, [`Self::reach`] says.
    pub async fn unrecorded(&self) -> Option<Unrecorded> {
        sqlx::query_as(SELECT).fetch_one(&self.pool).await.ok()
    }
}

impl Unrecorded {
    pub fn is_nothing(self) -> bool {
        let Self { quarantined, gaps } = self;
        quarantined == 0 && gaps == 0
    }
}
