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
    /// A run that waits for a person.
    Decision,
    /// The api's feed.
    Feed,
    /// A topic of an owner's that chains emit to.
    Emitted,
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
    /// Requests whose transaction a broker tore: what is found of nobody but them is its doing.
    torn: HashSet<String>,
    request_topics: HashSet<String>,
}

impl Findings {
    pub fn apart_from(torn: HashSet<String>, request_topics: HashSet<String>) -> Self {
        Self {
            torn,
            request_topics,
            ..Self::default()
        }
    }

    pub fn found(&mut self, check: Check, what: impl Into<String>, evidence: impl IntoIterator<Item = String>) {
        let evidence: Vec<String> = evidence.into_iter().collect();
        if self.is_of_torn(&evidence) {
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

    /// Whether it names some of them and no other request.
    fn is_of_torn(&self, evidence: &[String]) -> bool {
        if self.torn.is_empty() {
            return false;
        }
        let words = evidence.iter().flat_map(|shown| shown.split([' ', ',', ':']));
        let mut requests = words.filter(|word| self.is_request(word)).peekable();
        requests.peek().is_some() && requests.all(|request| self.torn.contains(request))
    }

    /// `topic/partition/offset` of one of the topics of requests.
    fn is_request(&self, word: &str) -> bool {
        let topic = word.rsplitn(3, '/').nth(2);
        topic.is_some_and(|topic| self.request_topics.contains(topic))
    }

    #[must_use]
    pub fn is_torn(&self, request: &str) -> bool {
        self.torn.contains(request)
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
