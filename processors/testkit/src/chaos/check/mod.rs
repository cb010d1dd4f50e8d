//! The judge of a fault run: it believes nothing that the workers say.
//!
//! [`gather`] reads the topics, the committed offsets, Postgres and the files of the [`RunFolder`](super::RunFolder) into plain
//! [`Evidence`]; [`judge`] is pure: one file for each check. So each check can be shown a history that breaks exactly it.

mod attempts;
mod audit;
mod commits;
mod dead_letters;
mod deaths;
pub mod evidence;
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

use serde::Serialize;

pub use evidence::Evidence;
pub use findings::{Check, Findings, Violation};
pub use gather::{Isolation, gather, scan};

/// What came of a run: the last line of `check-history`.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// That a broker acknowledged to a producer.
    pub requests: u64,
    /// In the logs: those of HTTP callers and those whose acknowledgement was lost are among them.
    pub requests_in_log: u64,
    pub results: u64,
    pub dead_letters: u64,
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
    postgres::check(evidence, &mut findings);

    let deaths = evidence.faults.iter().filter(|fault| deaths::is_death(fault));
    let left_maps = deaths.clone().filter(|death| deaths::left_a_map(evidence, death));
    let answered = evidence.http.iter().filter(|answer| answer.status == 200);
    let crashes = deaths.clone().filter_map(|fault| fault.crash.as_ref());
    Verdict {
        requests: evidence.acknowledged.len() as u64,
        requests_in_log: evidence.logs.requests.len() as u64,
        results: evidence.logs.results.len() as u64,
        dead_letters: evidence.logs.dead_letters.len() as u64,
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
