//! The judge of a fault run: it believes nothing that the workers say.
//!
//! [`gather`] reads the topics, the committed offsets, Postgres and the files of the [`RunFolder`](super::RunFolder) into plain
//! [`Evidence`]; [`judge`] is pure: one file for each check. So each check can be shown a history that breaks exactly it.

mod attempts;
mod audit;
mod commits;
mod dead_letters;
mod deaths;
mod decisions;
pub mod emitted;
pub mod evidence;
mod feed;
mod findings;
mod gather;
mod http;
mod intervals;
mod missing;
mod order;
mod postgres;
mod reader;
mod results;
#[cfg(test)]
mod tests;
mod torn;

use std::collections::BTreeMap;

use serde::Serialize;

pub use emitted::MADE_AGAIN;
pub use evidence::Evidence;
pub use findings::{Check, Findings, Violation};
pub use gather::{Archived, Isolation, archive, gather, scan};

/// What came of a run: the last line of `check-history`.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// That a broker acknowledged to a producer.
    pub requests: u64,
    /// In the logs: those of HTTP callers and those whose acknowledgement was lost are among them.
    pub requests_in_log: u64,
    pub results: u64,
    pub dead_letters: u64,
    /// Records of random bytes, or of texts that nobody should send; each with its failed result and its dead letter.
    pub hostile: u64,
    /// Results by tenant.
    pub tenants: BTreeMap<String, u64>,
    /// In topics of owners, as far as these have kept it.
    pub emitted: u64,
    /// Runs that waited for a person and went on.
    pub decided: u64,
    /// Results that a reader of the feed got.
    pub fed: u64,
    /// Records of all topics that were deleted when everybody had read them.
    pub deleted: u64,
    pub lost: u64,
    pub duplicates: u64,
    pub order_inversions: u64,
    pub audit_missing: u64,
    pub postgres_mismatches: u64,
    pub kills: u64,
    /// Deaths of workers that left offsets above a watermark of their own behind.
    pub kills_with_map: u64,
    /// Calls under way when their workers died.
    pub in_flight_at_kills: u64,
    /// Announced calls of which only the announcement is left.
    pub attempts_cut_off: u64,
    /// Commits whose worker did not live, or did not get the answer, to tell of them.
    pub commits_untold: u64,
    /// Commits that a dying broker acknowledged and forgot.
    pub commits_undone: u64,
    /// Calls of HTTP callers, and those that were answered with their results.
    pub http_calls: u64,
    pub http_answered: u64,
    /// Requests that have two results because a broker tore the transaction of the first.
    pub torn_requests: u64,
    pub violations_total: u64,
    pub violations: Vec<Violation>,
}

impl Verdict {
    #[must_use]
    pub fn holds(&self) -> bool {
        self.violations_total == 0
    }
}

/// All checks.
#[must_use]
pub fn judge(evidence: &Evidence) -> Verdict {
    let torn = torn::requests(evidence);
    let torn_requests = torn.len() as u64;
    let topics = evidence.logs.requests.iter().map(|request| request.topic.clone());
    let mut findings = Findings::apart_from(torn, topics.collect());
    results::check(evidence, &mut findings);
    dead_letters::check(evidence, &mut findings);
    audit::check(evidence, &mut findings);
    let attempts_cut_off = attempts::check(evidence, &mut findings);
    order::check(evidence, &mut findings);
    let commits = commits::check(evidence, &mut findings);
    reader::check(evidence, &mut findings);
    http::check(evidence, &mut findings);
    feed::check(evidence, &mut findings);
    let decided = decisions::check(evidence, &mut findings);
    emitted::check(evidence, &mut findings);
    postgres::check(evidence, &mut findings);

    let deaths = evidence.faults.iter().filter(|fault| deaths::is_death(fault));
    let left_maps = deaths.clone().filter(|death| deaths::left_a_map(evidence, death));
    let answered = evidence.http.iter().filter(|answer| answer.status == 200);
    let hostile = evidence.acknowledged.iter().filter(|said| said.request_id.is_empty());
    let mut tenants: BTreeMap<String, u64> = BTreeMap::new();
    for result in &evidence.logs.results {
        *tenants.entry(result.body.tenant.clone()).or_default() += 1;
    }
    let crashes = deaths.clone().filter_map(|fault| fault.crash.as_ref());
    Verdict {
        requests: evidence.acknowledged.len() as u64,
        requests_in_log: evidence.logs.requests.len() as u64,
        results: evidence.logs.results.len() as u64,
        dead_letters: evidence.logs.dead_letters.len() as u64,
        hostile: hostile.count() as u64,
        tenants,
        emitted: evidence.logs.emitted.len() as u64,
        decided,
        fed: evidence.fed.len() as u64,
        deleted: evidence.logs.archived,
        lost: findings.count(Check::Lost),
        duplicates: findings.count(Check::Duplicate),
        order_inversions: findings.count(Check::Order),
        audit_missing: findings.count(Check::AuditMissing),
        postgres_mismatches: findings.count(Check::Postgres),
        kills: deaths.count() as u64,
        kills_with_map: left_maps.count() as u64,
        in_flight_at_kills: crashes.map(|crash| crash.in_flight).sum(),
        attempts_cut_off,
        commits_untold: commits.untold,
        commits_undone: commits.undone,
        http_calls: evidence.http.len() as u64,
        http_answered: answered.count() as u64,
        torn_requests,
        violations_total: findings.total(),
        violations: findings.into_violations(),
    }
}
