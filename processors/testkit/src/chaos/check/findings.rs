//! What the checks found, with the records that show it: all of it counted, the first of each kind told.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;

const TOLD_OF_A_KIND: usize = 10;

/// What was broken; the words are those of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// A request without a result.
    Lost,
    /// One record of the log that led to more than one result, audit row or dead letter.
    Duplicate,
    /// A result that belongs to no request, or says two things about whose it is.
    Stray,
    /// A record that cannot be worked on and its dead letter.
    DeadLetter,
    /// A result or a paid call without its audit row.
    AuditMissing,
    /// Rows of audit and results that do not agree.
    Audit,
    /// A write-ahead that nobody settled, though its worker lived; a paid call without one.
    Attempt,
    Order,
    /// The committed states.
    Commit,
    /// A log that read_committed readers cannot read to its end.
    Hanging,
    Reader,
    Http,
    Postgres,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub check: Check,
    pub what: String,
    pub evidence: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Findings {
    counts: BTreeMap<Check, u64>,
    violations: Vec<Violation>,
    /// Requests whose transaction a broker tore: what is found of them is its doing.
    torn: HashSet<String>,
}

impl Findings {
    pub fn apart_from(torn: HashSet<String>) -> Self {
        Self {
            torn,
            ..Self::default()
        }
    }

    pub fn found(&mut self, check: Check, what: impl Into<String>, evidence: impl IntoIterator<Item = String>) {
        let evidence: Vec<String> = evidence.into_iter().collect();
        if evidence.iter().any(|shown| self.is_of_torn(shown)) {
            return;
        }
        let count = self.counts.entry(check).or_default();
        *count += 1;
        if *count <= TOLD_OF_A_KIND as u64 {
            self.violations.push(Violation {
                check,
                what: what.into(),
                evidence,
            });
        }
    }

    /// Whether it names one of them.
    fn is_of_torn(&self, shown: &str) -> bool {
        let mut words = shown.split([' ', ',', ':']);
        !self.torn.is_empty() && words.any(|word| self.torn.contains(word))
    }

    #[must_use]
    pub fn count(&self, check: Check) -> u64 {
        self.counts.get(&check).copied().unwrap_or_default()
    }

    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    #[must_use]
    pub fn into_violations(self) -> Vec<Violation> {
        self.violations
    }
}
