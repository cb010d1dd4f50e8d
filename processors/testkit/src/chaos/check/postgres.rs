//! Check 6, at rest: Postgres says what the topics say, row by row.

use std::collections::{HashMap, HashSet};

use schemas::phase;

use super::{
    Check, Evidence, Findings,
    evidence::{AttemptRecord, ResultRecord, RunRow},
};

pub fn check(evidence: &Evidence, findings: &mut Findings) {
    runs(evidence, findings);
    audit(evidence, findings);
    attempts(evidence, findings);
    dead_letters(evidence, findings);
    positions(evidence, findings);
    gaps(evidence, findings);
    quarantine(evidence, findings);
}

type Run<'a> = (&'a str, &'a str, i32);

/// The first result of a run that was recorded is its result, any other one is kept beside it: there is more than one only
/// when its request was produced more than once.
fn runs(evidence: &Evidence, findings: &mut Findings) {
    let tables = &evidence.tables;
    let mut rows: HashMap<Run<'_>, Vec<&RunRow>> = HashMap::new();
    let mut main: HashSet<Run<'_>> = HashSet::new();
    for row in &tables.runs {
        rows.entry(run(row)).or_default().push(row);
        if !main.insert(run(row)) {
            findings.found(Check::Postgres, "a run has two rows", [shown(row)]);
        }
        if row.result_src.is_none() {
            findings.found(
                Check::Postgres,
                "a run is still waiting for its result in Postgres",
                [shown(row)],
            );
        }
    }
    for row in &tables.duplicate_results {
        rows.entry(run(row)).or_default().push(row);
    }
    let mut expected: HashMap<Run<'_>, Vec<&ResultRecord>> = HashMap::new();
    for result in &evidence.logs.results {
        let key = (
            result.body.tenant.as_str(),
            result.body.request_id.as_str(),
            result.turn,
        );
        expected.entry(key).or_default().push(result);
    }
    for (key, results) in &expected {
        let rows = rows.remove(key).unwrap_or_default();
        let mut recorded: Vec<_> = rows.iter().map(|row| (row.result_src.as_deref(), row.row)).collect();
        let mut said: Vec<_> = results
            .iter()
            .map(|result| (Some(result.body.src.as_str()), result.row))
            .collect();
        recorded.sort_unstable();
        said.sort_unstable();
        if recorded != said || !main.contains(key) {
            let results = results.iter().map(|result| result.shown());
            findings.found(
                Check::Postgres,
                "the rows of a run are not its results",
                results.chain(rows.iter().map(|row| shown(row))),
            );
        }
    }
    for strays in rows.into_values() {
        findings.found(
            Check::Postgres,
            "a row of a run that has no result",
            strays.iter().map(|row| shown(row)),
        );
    }
    requests(evidence, findings);
}

/// Each request stands in the row of its run, also one that nobody can read.
fn requests(evidence: &Evidence, findings: &mut Findings) {
    let mut sources: HashMap<(&str, &str), HashSet<String>> = HashMap::new();
    for request in &evidence.logs.requests {
        sources
            .entry((&request.tenant, &request.request_id))
            .or_default()
            .insert(request.src());
    }
    for row in &evidence.tables.runs {
        let known = sources.get(&(row.tenant.as_str(), row.request_id.as_str()));
        let is_right = match (&row.request_src, known) {
            (Some(src), Some(known)) => known.contains(src),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !is_right {
            let known = known.into_iter().flatten().map(|src| format!("request {src}"));
            findings.found(
                Check::Postgres,
                "the row of a run names another request",
                std::iter::once(shown(row)).chain(known),
            );
        }
    }
}

fn audit(evidence: &Evidence, findings: &mut Findings) {
    let mut rows = HashMap::with_capacity(evidence.tables.audit.len());
    for row in &evidence.tables.audit {
        if rows.insert((row.partition, row.offset), row.row).is_some() {
            let shown = format!("row of audit {}/{}", row.partition, row.offset);
            findings.found(Check::Postgres, "an audit record has two rows", [shown]);
        }
    }
    for record in &evidence.logs.audit {
        match rows.remove(&(record.partition, record.offset)) {
            None => findings.found(Check::Postgres, "an audit record has no row", [record.shown()]),
            Some(row) if row != record.row => {
                findings.found(
                    Check::Postgres,
                    "an audit row differs from its record",
                    [record.shown()],
                );
            }
            Some(_) => {}
        }
    }
    for (partition, offset) in rows.into_keys() {
        let shown = format!("row of audit {partition}/{offset}");
        findings.found(Check::Postgres, "an audit row without a record", [shown]);
    }
}

fn attempts(evidence: &Evidence, findings: &mut Findings) {
    let mut records: HashMap<&str, Vec<&AttemptRecord>> = HashMap::new();
    for record in &evidence.logs.attempts {
        records.entry(&record.attempt_id).or_default().push(record);
    }
    for row in &evidence.tables.attempts {
        let shown = format!("row of attempt {}: {}", row.attempt_id, row.phase);
        let Some(records) = records.remove(row.attempt_id.as_str()) else {
            findings.found(
                Check::Postgres,
                "a row of an attempt without a record, or the second of one",
                [shown],
            );
            continue;
        };
        let (started, ended): (Vec<&AttemptRecord>, Vec<&AttemptRecord>) = records
            .iter()
            .copied()
            .partition(|record| record.phase == phase::STARTED);
        let estimate = match row.estimate {
            None => started.is_empty(),
            Some(estimate) => started.iter().any(|record| record.cost == estimate),
        };
        let end = match row.cost {
            None => ended.is_empty() && row.phase == phase::STARTED,
            Some(cost) => ended
                .iter()
                .any(|record| record.phase == row.phase && record.cost == cost),
        };
        if !(estimate && end) {
            findings.found(
                Check::Postgres,
                "a row of an attempt differs from its records",
                std::iter::once(shown).chain(records.iter().map(|record| record.shown())),
            );
        }
    }
    for missing in records.into_values() {
        findings.found(
            Check::Postgres,
            "an attempt has no row",
            missing.iter().map(|record| record.shown()),
        );
    }
}

fn dead_letters(evidence: &Evidence, findings: &mut Findings) {
    let tables = &evidence.tables;
    let mut rows: HashMap<&str, u64> = HashMap::new();
    for (src, row) in &tables.dead_letters {
        if rows.insert(src, *row).is_some() {
            findings.found(Check::Postgres, "a dead letter has two rows", [src.clone()]);
        }
    }
    for letter in &evidence.logs.dead_letters {
        let shown = format!("dead letter {}/{}: {}", letter.partition, letter.offset, letter.src);
        match rows.remove(letter.src.as_str()) {
            None => findings.found(Check::Postgres, "a dead letter has no row", [shown]),
            Some(row) if row != letter.row => {
                findings.found(Check::Postgres, "a row differs from its dead letter", [shown]);
            }
            Some(_) => {}
        }
    }
    for src in rows.into_keys() {
        findings.found(
            Check::Postgres,
            "a row of a dead letter without a record",
            [src.to_owned()],
        );
    }
}

fn positions(evidence: &Evidence, findings: &mut Findings) {
    for end in &evidence.logs.ends {
        let position = evidence.tables.positions.get(&(end.topic.clone(), end.partition));
        let next = position.copied().unwrap_or_default();
        if next < end.next || next > end.end {
            let shown = format!(
                "{}/{}: recorded up to {position:?}, last record before {}, end {}",
                end.topic, end.partition, end.next, end.end
            );
            findings.found(Check::Postgres, "the recorder is not at the end of a topic", [shown]);
        }
    }
}

/// What is deleted in a run was recorded before.
fn gaps(evidence: &Evidence, findings: &mut Findings) {
    for gap in &evidence.tables.gaps {
        let what = "the recorder says that records are missing, and all that was deleted was recorded";
        findings.found(Check::Postgres, what, [gap.clone()]);
    }
}

/// Requests have a place in the tables whatever they are, and so does what Millrace writes.
fn quarantine(evidence: &Evidence, findings: &mut Findings) {
    for (place, reason) in &evidence.tables.quarantine {
        let shown = format!("{place}: {reason}");
        findings.found(
            Check::Postgres,
            "quarantine holds a record that has a place in a table",
            [shown],
        );
    }
}

fn run(row: &RunRow) -> Run<'_> {
    (&row.tenant, &row.request_id, row.turn)
}

fn shown(row: &RunRow) -> String {
    format!(
        "row of run {}/{}/{}: {}, request {}, result {}",
        row.tenant,
        row.request_id,
        row.turn,
        row.status,
        row.request_src.as_deref().unwrap_or("-"),
        row.result_src.as_deref().unwrap_or("-")
    )
}
