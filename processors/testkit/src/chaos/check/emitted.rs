//! Check 7, topics of owners: the output of a run that completed lies there exactly once, and nothing else does. What lay in
//! a topic that its owner deleted is the owner's loss: only what was committed after it was made again must be there.

use std::collections::HashMap;

use super::{
    Check, Evidence, Findings,
    evidence::{EmittedRecord, ResultRecord},
};

/// Of the fault after which a topic is there again, and empty.
pub const MADE_AGAIN: &str = "topic_made_again";
/// The clocks of the broker and of the driver are one; a commit may have been under way, in a process that was stopped for as
/// long as its transaction may last.
const SLACK: i64 = 20_000_000;

pub fn check(evidence: &Evidence, findings: &mut Findings) {
    let mut records: HashMap<(&str, &str), Vec<&EmittedRecord>> = HashMap::new();
    for record in &evidence.logs.emitted {
        let place = (record.topic.as_str(), record.identity.src.as_str());
        records.entry(place).or_default().push(record);
    }
    for result in &evidence.logs.results {
        let Some(topic) = &result.emits_to else { continue };
        let emitted = records.remove(&(topic.as_str(), result.header.src.as_str()));
        match emitted.as_deref() {
            None if is_lost_by_its_owner(evidence, topic, result) => {}
            None => findings.found(
                Check::Emitted,
                format!("a completed run is not in {topic}"),
                [result.shown()],
            ),
            Some([record]) => {
                let is_it = record.identity == result.header
                    && record.key == result.key
                    && Some(record.output) == result.output;
                if !is_it {
                    let what = "what was emitted is not the result";
                    findings.found(Check::Emitted, what, [record.shown(), result.shown()]);
                }
            }
            Some(many) => findings.found(
                Check::Duplicate,
                "a run was emitted more than once",
                many.iter().map(|record| record.shown()),
            ),
        }
    }
    for strays in records.into_values() {
        findings.found(
            Check::Emitted,
            "something was emitted without a completed result",
            strays.iter().map(|record| record.shown()),
        );
    }
}

fn is_lost_by_its_owner(evidence: &Evidence, topic: &str, result: &ResultRecord) -> bool {
    let mut faults = evidence.faults.iter();
    faults.any(|fault| fault.kind == MADE_AGAIN && fault.target == topic && result.at_ms * 1_000 <= fault.at + SLACK)
}
