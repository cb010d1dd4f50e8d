//! A made-up history that holds.

use schemas::{phase, status};
use serde_json::json;
use topics::engine::core::{Committed, Progress};

use crate::chaos::{Crash, Fault, Seen, check::evidence::*};

pub const TOPIC: &str = "t.requests";
pub const SECOND: i64 = 1_000_000;
pub const POISON: usize = 3;
/// Its chain emits.
pub const EMITS: usize = 0;
pub const OWNERS: &str = "owner.refunds";

/// Six requests of two keys in one partition: the first worker does 0, 1 and 5 and is killed while it works on 2, which the
/// second does again with all the rest; request 3 is poison.
pub fn history() -> Evidence {
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
            is_pending: false,
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
    evidence.calls.push(call(2, 25));
    let workers = &mut evidence.workers;
    workers
        .calls
        .insert("a-102".to_owned(), (process("one", 11), 25 * SECOND));
    workers.last_words = [(process("one", 11), 29 * SECOND), (process("two", 12), 60 * SECOND)].into();
    workers.writers = [
        ("w-1".to_owned(), process("one", 11)),
        ("w-2".to_owned(), process("two", 12)),
    ]
    .into();
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
            stable_end: Some(records + 1),
            is_stuck: false,
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
        emits_to: (id == EMITS).then(|| OWNERS.to_owned()),
        row,
    });
    if id == EMITS {
        logs.emitted.push(EmittedRecord {
            topic: OWNERS.to_owned(),
            partition: 0,
            offset: 0,
            key,
            identity: identity.clone(),
            output: json_fingerprint(&json!({"a": 1, "b": [id]})),
        });
    }
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
    } else {
        audit(Some(format!("a-{id}")));
        logs.attempts.push(attempt(id, phase::STARTED, 9));
        tables.attempts.push(AttemptRow {
            attempt_id: format!("a-{id}"),
            phase: phase::STARTED.to_owned(),
            estimate: Some(9),
            cost: None,
        });
        evidence.calls.push(call(id, 11));
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
        request_src: Some(identity.src.clone()),
        result_src: Some(identity.src),
        row,
    });
}

pub fn commit(at: i64, watermark: i64, done: &[i64], seq: u64, writer: &str) -> Commit {
    Commit {
        at: at * SECOND,
        topic: TOPIC.to_owned(),
        partition: 0,
        watermark,
        seq,
        map: state(watermark, done, seq, writer),
        writer: if writer.is_empty() { "w-2" } else { writer }.to_owned(),
        is_claim: false,
        is_release: false,
    }
}

pub fn claim(at: i64, watermark: i64, done: &[i64], seq: u64, writer: &str) -> Commit {
    Commit {
        is_claim: true,
        ..commit(at, watermark, done, seq, writer)
    }
}

pub fn state(watermark: i64, done: &[i64], seq: u64, writer: &str) -> String {
    let mut progress = Progress::at(watermark);
    for offset in done {
        progress.complete(*offset);
    }
    let writer = Some(writer.to_owned()).filter(|writer| !writer.is_empty());
    Committed {
        progress,
        seq,
        writer,
        partitions: 0,
    }
    .encode()
}

/// One that the model got.
pub fn call(id: usize, at: i64) -> ModelCall {
    ModelCall {
        at: at * SECOND,
        request_id: format!("r-{id}"),
        door: "one".to_owned(),
    }
}

fn attempt(id: usize, phase: &str, cost: i64) -> AttemptRecord {
    AttemptRecord {
        partition: 0,
        offset: i64::try_from(id).unwrap(),
        attempt_id: format!("a-{id}"),
        phase: phase.to_owned(),
        src: format!("{TOPIC}/0/{id}"),
        request_id: format!("r-{}", id % 100),
        cost,
        at: 10 * SECOND,
    }
}

pub fn broker_death(at: i64) -> Fault {
    Fault {
        at: at * SECOND,
        kind: "kill_broker".to_owned(),
        target: "broker-1".to_owned(),
        detail: String::new(),
        crash: None,
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
