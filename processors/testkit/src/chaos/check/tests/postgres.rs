use schemas::phase;

use super::{
    history::{POISON, TOPIC},
    verdict,
};
use crate::chaos::check::{
    Check,
    evidence::{AuditRow, Tables},
};

#[test]
fn postgres_says_what_the_topics_say() {
    type Break = fn(&mut Tables);
    let breaks: [Break; 18] = [
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
        |tables| tables.runs[POISON].request_src = None,
        |tables| tables.gaps.push("t.requests/0 from 1 to 3".to_owned()),
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
