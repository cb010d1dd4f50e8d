//! The checker is checked: a made-up history that holds, and for each check one that breaks exactly it.

use std::collections::BTreeMap;

use schemas::{phase, status};
use serde_json::json;
use topics::engine::core::{Committed, Progress};

use super::{Check, Evidence, Verdict, evidence::*, judge};
use crate::chaos::{Crash, Fault, Seen};

const TOPIC: &str = "t.requests";
const SECOND: i64 = 1_000_000;
const POISON: usize = 3;

fn state(watermark: i64, done: &[i64], seq: u64, writer: &str) -> String {
    let mut progress = Progress::at(watermark);
    for offset in done {
        progress.complete(*offset);
    }
    let writer = Some(writer.to_owned()).filter(|writer| !writer.is_empty());
    Committed { progress, seq, writer }.encode()
}

fn commit(at: i64, watermark: i64, done: &[i64], seq: u64, writer: &str) -> Commit {
    Commit {
        at: at * SECOND,
        topic: TOPIC.to_owned(),
        partition: 0,
        watermark,
        seq,
        map: state(watermark, done, seq, writer),
        writer: if writer.is_empty() { "w-2" } else { writer }.to_owned(),
        is_claim: false,
    }
}

fn claim(at: i64, watermark: i64, done: &[i64], seq: u64, writer: &str) -> Commit {
    Commit {
        is_claim: true,
        ..commit(at, watermark, done, seq, writer)
    }
}

fn death(at: i64, target: &str) -> Fault {
    Fault {
        at: at * SECOND,
        kind: "kill_worker".to_owned(),
        target: target.to_owned(),
        detail: String::new(),
        crash: Some(Crash {
            point: None,
            in_flight: 2,
            map: 1,
        }),
    }
}

fn attempt(id: usize, phase: &str, cost: i64) -> AttemptRecord {
    AttemptRecord {
        partition: 0,
        offset: i64::try_from(id).unwrap(),
        attempt_id: format!("a-{id}"),
        phase: phase.to_owned(),
        src: format!("{TOPIC}/0/{id}"),
        cost,
        at: 10 * SECOND,
    }
}

/// Six requests of two keys in one partition: the first worker does 0, 1 and 5 and is killed while it works on 2, which the
/// second does again with all the rest; request 3 is poison.
fn history() -> Evidence {
    let process = |worker: &str, pid| ProcessName {
        worker: worker.to_owned(),
        pid,
    };
    let mut evidence = Evidence {
        committed: vec![CommittedState {
            topic: TOPIC.to_owned(),
            partition: 0,
            offset: Some(6),
            metadata: state(6, &[], 5, ""),
        }],
        faults: vec![death(30, "one")],
        ..Evidence::default()
    };
    for id in 0..6 {
        run(&mut evidence, id, [20, 20, 40, 40, 40, 20][id] * SECOND);
    }
    let (logs, tables) = (&mut evidence.logs, &mut evidence.tables);
    for id in [0, 1, 2, 4, 5] {
        let caller = if [2, 4].contains(&id) { ("two", 12) } else { ("one", 11) };
        let call = (process(caller.0, caller.1), 10 * SECOND);
        evidence.workers.calls.insert(format!("a-{id}"), call);
    }
    // The call that the first worker made for request 2, before it was killed.
    logs.attempts.push(attempt(102, phase::STARTED, 7));
    tables.attempts.push(AttemptRow {
        attempt_id: "a-102".to_owned(),
        phase: phase::STARTED.to_owned(),
        estimate: Some(7),
        cost: None,
    });
    let workers = &mut evidence.workers;
    workers
        .calls
        .insert("a-102".to_owned(), (process("one", 11), 25 * SECOND));
    workers.last_words = [(process("one", 11), 29 * SECOND), (process("two", 12), 60 * SECOND)].into();
    workers.commits = vec![
        claim(1, 0, &[], 1, "w-1"),
        commit(21, 2, &[5], 2, "w-1"),
        claim(36, 2, &[5], 3, "w-2"),
        commit(41, 6, &[], 4, "w-2"),
        commit(59, 6, &[], 5, ""),
    ];
    for (topic, records) in [(TOPIC, 6), ("t.results", 6), ("t.audit", 10)] {
        logs.ends.push(LogEnd {
            topic: topic.to_owned(),
            partition: 0,
            next: records,
            end: records + 1,
            stable_end: records + 1,
        });
        tables.positions.insert((topic.to_owned(), 0), records);
    }
    evidence
}

/// One request with all that it leads to. Row fingerprints are made up: the same number on both sides.
fn run(evidence: &mut Evidence, id: usize, at: i64) {
    let (offset, row) = (i64::try_from(id).unwrap(), id as u64);
    let is_poison = id == POISON;
    let key = Some(row % 2).filter(|_| id != 5);
    let identity = Identity {
        src: format!("{TOPIC}/0/{id}"),
        request_id: format!("r-{id}"),
        tenant: "acme".to_owned(),
    };
    let Evidence { logs, tables, .. } = evidence;
    logs.requests.push(RequestRecord {
        topic: TOPIC.to_owned(),
        partition: 0,
        offset,
        key,
        bytes: row,
        request_id: identity.request_id.clone(),
        tenant: identity.tenant.clone(),
        form: if is_poison { Form::Undecodable } else { Form::Request },
    });
    evidence.acknowledged.push(Acknowledged {
        request_id: identity.request_id.clone(),
        topic: TOPIC.to_owned(),
        partition: 0,
        offset,
    });
    let status = if is_poison { status::FAILED } else { status::COMPLETED };
    logs.results.push(ResultRecord {
        partition: 0,
        offset,
        key,
        at_ms: at / 1_000,
        header: identity.clone(),
        body: identity.clone(),
        turn: 0,
        status: status.to_owned(),
        has_chain: !is_poison,
        attempts: i32::from(!is_poison),
        cost: if is_poison { 0 } else { 7 },
        output: (!is_poison).then(|| json_fingerprint(&json!({"a": 1, "b": [id]}))),
        row,
    });
    evidence.seen.push(Seen {
        at,
        partition: 0,
        offset,
        request_id: identity.request_id.clone(),
        src: identity.src.clone(),
    });
    let mut audit = |attempt_id: Option<String>| {
        let offset = i64::try_from(logs.audit.len()).unwrap();
        logs.audit.push(AuditRecord {
            partition: 0,
            offset,
            is_run: attempt_id.is_none(),
            attempt_id,
            src: identity.src.clone(),
            request_id: identity.request_id.clone(),
            turn: 0,
            cost: if is_poison { 0 } else { 7 },
            row,
        });
        tables.audit.push(AuditRow {
            partition: 0,
            offset,
            row,
        });
    };
    audit(None);
    if is_poison {
        logs.dead_letters.push(DeadLetterRecord {
            partition: 0,
            offset: 0,
            src: identity.src.clone(),
            bytes: row,
            row,
        });
        tables.dead_letters.push((identity.src.clone(), row));
        tables.quarantine.push((identity.src.clone(), "no Avro".to_owned()));
    } else {
        audit(Some(format!("a-{id}")));
        logs.attempts.push(attempt(id, phase::STARTED, 9));
        tables.attempts.push(AttemptRow {
            attempt_id: format!("a-{id}"),
            phase: phase::STARTED.to_owned(),
            estimate: Some(9),
            cost: None,
        });
        evidence.http.push(HttpAnswer {
            at,
            request_id: identity.request_id.clone(),
            status: 200,
            body: json!({"output": {"b": [id], "a": 1}, "metadata": {}}),
        });
    }
    tables.runs.push(RunRow {
        tenant: identity.tenant,
        request_id: identity.request_id,
        turn: 0,
        status: status.to_owned(),
        request_src: (!is_poison).then(|| identity.src.clone()),
        result_src: Some(identity.src),
        row,
    });
}

fn verdict(breaks: impl FnOnce(&mut Evidence)) -> Verdict {
    let mut evidence = history();
    breaks(&mut evidence);
    judge(&evidence)
}

/// What was violated, and how often each.
#[track_caller]
fn finds(expected: &[(Check, usize)], breaks: impl FnOnce(&mut Evidence)) {
    let verdict = verdict(breaks);
    let mut found: BTreeMap<Check, usize> = BTreeMap::new();
    for violation in &verdict.violations {
        assert!(!violation.evidence.is_empty(), "{violation:?} shows nothing");
        *found.entry(violation.check).or_default() += 1;
    }
    let expected: BTreeMap<Check, usize> = expected.iter().copied().collect();
    assert_eq!(found, expected, "{:#?}", verdict.violations);
}

#[test]
fn a_history_that_holds_is_found_to_hold() {
    let verdict = verdict(|_| {});
    assert!(verdict.holds(), "{:#?}", verdict.violations);
    assert_eq!((verdict.requests, verdict.results, verdict.dead_letters), (6, 6, 1));
    assert_eq!(
        (verdict.kills, verdict.kills_with_map, verdict.in_flight_at_kills),
        (1, 1, 2)
    );
    assert_eq!((verdict.attempts_cut_off, verdict.commits_untold), (1, 0));
}

/// The same request twice is two requests, of which the second result is kept beside the first.
#[test]
fn a_request_that_its_client_sent_twice_is_no_duplicate() {
    finds(&[], |evidence| {
        evidence.logs.requests[4].request_id = "r-2".to_owned();
        evidence.logs.results[4].header.request_id = "r-2".to_owned();
        evidence.logs.results[4].body.request_id = "r-2".to_owned();
        for row in evidence.logs.audit.iter_mut().filter(|row| row.request_id == "r-4") {
            row.request_id = "r-2".to_owned();
        }
        evidence.acknowledged[4].request_id = "r-2".to_owned();
        evidence.seen[4].request_id = "r-2".to_owned();
        evidence.http.retain(|answer| answer.request_id != "r-4");
        let mut second = evidence.tables.runs.remove(4);
        (second.request_id, second.request_src) = ("r-2".to_owned(), None);
        evidence.tables.duplicate_results.push(second);
    });
}

#[test]
fn a_request_without_a_result_is_lost() {
    let lost = [
        (Check::Lost, 1),
        (Check::Audit, 2),
        (Check::Reader, 1),
        (Check::Postgres, 1),
        (Check::Http, 1),
    ];
    finds(&lost, |evidence| {
        evidence.logs.results.remove(4);
    });
    finds(&[(Check::Lost, 1)], |evidence| evidence.acknowledged[0].offset = 77);
    finds(&[(Check::Lost, 1)], |evidence| {
        evidence.acknowledged[0].request_id = "x".to_owned();
    });
    finds(&[(Check::Lost, 1)], |evidence| {
        let again = evidence.acknowledged[0].clone();
        evidence.acknowledged.push(again);
    });
}

#[test]
fn a_second_result_is_a_duplicate() {
    let twice = [
        (Check::Duplicate, 1),
        (Check::Reader, 1),
        (Check::AuditMissing, 2),
        (Check::Postgres, 1),
    ];
    finds(&twice, |evidence| {
        let mut again = evidence.logs.results[4].clone();
        again.offset = 6;
        evidence.logs.results.push(again);
    });
}

#[test]
fn a_result_belongs_to_its_request() {
    finds(&[(Check::Stray, 1)], |evidence| {
        evidence.logs.results[1].header.tenant = "another".to_owned();
    });
    finds(&[(Check::Stray, 1)], |evidence| evidence.logs.results[5].key = Some(9));
    finds(&[(Check::Stray, 1)], |evidence| {
        evidence
            .logs
            .unreadable
            .push(("t.results/0/9".to_owned(), "corrupt".to_owned()));
    });
    let orphan = [(Check::Stray, 1), (Check::Postgres, 1)];
    finds(&orphan, |evidence| {
        evidence.logs.requests.pop();
        evidence.acknowledged.pop();
    });
}

#[test]
fn poison_has_its_dead_letter_with_its_bytes() {
    finds(&[(Check::DeadLetter, 1)], |evidence| {
        evidence.logs.dead_letters[0].bytes = 99;
    });
    finds(&[(Check::DeadLetter, 1), (Check::Postgres, 1)], |evidence| {
        evidence.logs.dead_letters.clear();
    });
    finds(&[(Check::Duplicate, 1), (Check::Postgres, 1)], |evidence| {
        let again = evidence.logs.dead_letters[0].clone();
        evidence.logs.dead_letters.push(again);
    });
    finds(&[(Check::DeadLetter, 1)], |evidence| {
        evidence.logs.results[POISON].status = status::COMPLETED.to_owned();
    });
    // It says that it never ran; then there must be a dead letter.
    finds(&[(Check::DeadLetter, 1), (Check::Http, 1)], |evidence| {
        evidence.logs.results[1].status = status::FAILED.to_owned();
        evidence.logs.results[1].has_chain = false;
    });
}

#[test]
fn each_result_has_its_audit() {
    finds(&[(Check::AuditMissing, 1), (Check::Postgres, 1)], |evidence| {
        evidence.logs.audit.remove(0);
    });
    // Without its audit row the attempt itself is unsettled too.
    let attempt = [(Check::AuditMissing, 1), (Check::Postgres, 1), (Check::Attempt, 1)];
    finds(&attempt, |evidence| {
        evidence.logs.audit.remove(8);
    });
    finds(&[(Check::Audit, 1)], |evidence| evidence.logs.audit[0].turn = 1);
    finds(&[(Check::Audit, 1)], |evidence| evidence.logs.audit[0].cost = 1);
    finds(&[(Check::Audit, 1)], |evidence| evidence.logs.audit[1].cost = 1);
    let twice = [(Check::Duplicate, 2), (Check::Audit, 1), (Check::Postgres, 2)];
    finds(&twice, |evidence| {
        for place in [0, 1] {
            let mut again = evidence.logs.audit[place].clone();
            again.offset += 50;
            evidence.logs.audit.push(again);
        }
    });
}

#[test]
fn only_a_crash_leaves_an_attempt_unsettled() {
    finds(&[(Check::Attempt, 1)], |evidence| evidence.faults.clear());
    finds(&[(Check::Attempt, 1)], |evidence| {
        evidence.faults[0].target = "two".to_owned();
    });
    // The process went on writing: another of its lives was ended.
    finds(&[(Check::Attempt, 1)], |evidence| {
        for (process, at) in &mut evidence.workers.last_words {
            if process.worker == "one" {
                *at = 50 * SECOND;
            }
        }
    });
    finds(&[], |evidence| {
        evidence.workers.calls.clear();
        evidence.faults[0].at = 11 * SECOND;
    });
    finds(&[(Check::Attempt, 1), (Check::Postgres, 1)], |evidence| {
        evidence.logs.attempts.remove(0);
    });
}

#[test]
fn results_of_a_key_follow_its_requests() {
    finds(&[(Check::Order, 1)], |evidence| {
        let results = &mut evidence.logs.results;
        (results[0].offset, results[2].offset) = (results[2].offset, results[0].offset);
        let seen = &mut evidence.seen;
        (seen[0].offset, seen[2].offset) = (seen[2].offset, seen[0].offset);
        seen.sort_by_key(|seen| seen.offset);
    });
    finds(&[(Check::Order, 1)], |evidence| {
        evidence.logs.results[4].partition = 1;
        evidence.seen[4].partition = 1;
    });
}

#[test]
fn at_the_end_all_is_done_and_nobody_writes() {
    let end = |offset, metadata: String| {
        move |evidence: &mut Evidence| {
            evidence.committed[0].offset = Some(offset);
            evidence.committed[0].metadata = metadata;
        }
    };
    finds(&[(Check::Commit, 1)], end(5, state(5, &[], 5, "")));
    finds(&[(Check::Commit, 1)], end(6, state(6, &[], 5, "w-2")));
    finds(&[(Check::Commit, 2)], end(3, state(3, &[5], 5, "")));
    finds(&[(Check::Commit, 1)], end(6, state(6, &[], 4, "")));
    finds(&[(Check::Commit, 1)], end(6, "somebody else's".to_owned()));
    finds(&[(Check::Commit, 1)], |evidence| evidence.committed[0].offset = None);
    finds(&[(Check::Hanging, 1)], |evidence| evidence.logs.ends[1].stable_end = 5);
}

#[test]
fn no_state_forgets_what_was_done() {
    // The map is stripped at the takeover: it is gone, and what comes next has a result already.
    finds(&[(Check::Commit, 2)], |evidence| {
        evidence.workers.commits[2] = claim(36, 2, &[], 3, "w-2");
    });
    // A claim that knows more than anybody committed.
    finds(&[(Check::Commit, 1)], |evidence| {
        evidence.workers.commits[2] = claim(36, 3, &[5], 3, "w-2");
    });
    finds(&[(Check::Commit, 1)], |evidence| {
        let fork = commit(41, 6, &[], 4, "w-1");
        evidence.workers.commits.push(fork);
    });
}

#[test]
fn a_state_may_be_missing_only_where_something_happened() {
    let untold = verdict(|evidence| {
        evidence.workers.commits.remove(2);
    });
    assert!(untold.holds(), "{:#?}", untold.violations);
    assert_eq!(untold.commits_untold, 1);
    finds(&[(Check::Commit, 1)], |evidence| {
        evidence.workers.commits.remove(3);
        evidence.workers.commits[2].at = 52 * SECOND;
        evidence.workers.commits[3].at = 58 * SECOND;
    });
    finds(&[], |evidence| {
        evidence.workers.commits.remove(3);
        evidence.workers.commits[2].at = 52 * SECOND;
        evidence.workers.commits[3].at = 58 * SECOND;
        evidence.workers.aborted.push((55 * SECOND, "w-2".to_owned()));
    });
}

#[test]
fn a_state_vouches_for_the_results_that_are_there() {
    // Done was committed first, and its results came later: one for each.
    finds(&[(Check::Commit, 3)], |evidence| {
        for id in [0, 1, 5] {
            evidence.logs.results[id].at_ms = 22_000;
        }
    });
    // The result was there, and the claim in front of it did not say so.
    finds(&[(Check::Commit, 1)], |evidence| {
        evidence.logs.results[4].at_ms = 20_000;
    });
}

#[test]
fn a_reader_sees_what_was_committed_and_nothing_else() {
    finds(&[(Check::Reader, 1)], |evidence| {
        evidence.seen.remove(2);
    });
    finds(&[(Check::Reader, 1)], |evidence| {
        evidence.seen.pop();
    });
    finds(&[(Check::Reader, 1)], |evidence| evidence.seen.swap(2, 3));
    // From an aborted transaction: it is committed at another place later, or never.
    finds(&[(Check::Reader, 2)], |evidence| {
        let mut aborted = evidence.seen[2].clone();
        aborted.offset = 10;
        evidence.seen.push(aborted);
    });
    finds(&[(Check::Reader, 1)], |evidence| {
        evidence.seen[2].request_id = "x".to_owned();
    });
}

#[test]
fn an_answer_is_the_committed_result() {
    finds(&[(Check::Http, 1)], |evidence| {
        evidence.http[0].body = json!({"output": "another"});
    });
    finds(&[], |evidence| {
        evidence.http[0].body = json!(evidence.http[0].body.to_string());
        evidence.http[1].status = 504;
        evidence.http[2].status = 0;
    });
    finds(&[(Check::Http, 1)], |evidence| evidence.http[0].status = 502);
}

#[test]
fn postgres_says_what_the_topics_say() {
    type Break = fn(&mut Tables);
    let breaks: [Break; 17] = [
        |tables| tables.runs[0].row = 99,
        |tables| tables.runs[0].result_src = Some("t.requests/0/1".to_owned()),
        |tables| tables.runs[0].request_src = None,
        |tables| tables.duplicate_results.push(tables.runs[0].clone()),
        |tables| tables.audit[0].row = 99,
        |tables| {
            tables.audit.pop();
        },
        |tables| tables.audit.push(tables.audit[0].clone()),
        |tables| {
            tables.audit.push(AuditRow {
                partition: 0,
                offset: 99,
                row: 0,
            });
        },
        |tables| tables.attempts[0].estimate = Some(1),
        |tables| tables.attempts[0].phase = phase::SETTLED.to_owned(),
        |tables| drop(tables.attempts.pop()),
        |tables| tables.dead_letters[0].1 = 99,
        |tables| tables.dead_letters.clear(),
        |tables| *tables.positions.get_mut(&(TOPIC.to_owned(), 0)).unwrap() = 5,
        |tables| *tables.positions.get_mut(&(TOPIC.to_owned(), 0)).unwrap() = 9,
        |tables| tables.quarantine.clear(),
        |tables| tables.quarantine.push(("t.results/0/1".to_owned(), "why".to_owned())),
    ];
    for (number, breaks) in breaks.into_iter().enumerate() {
        let verdict = verdict(|evidence| breaks(&mut evidence.tables));
        let found: Vec<Check> = verdict.violations.iter().map(|violation| violation.check).collect();
        assert_eq!(found, [Check::Postgres], "break {number}: {:#?}", verdict.violations);
        assert_eq!(verdict.postgres_mismatches, 1);
    }
    // Twice because a run cannot be both waiting and have its result.
    let waiting = verdict(|evidence| evidence.tables.runs[0].result_src = None);
    assert_eq!(waiting.postgres_mismatches, 2);
}
