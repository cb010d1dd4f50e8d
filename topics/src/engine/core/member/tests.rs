use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::{
    Headers, Output, Record,
    engine::core::{Batch, Committed, Fault, Full, Outcome, WINDOW},
};

fn partition() -> TopicPartition {
    TopicPartition::new("requests", 0)
}

fn record(offset: i64) -> Arc<Record> {
    Arc::new(Record {
        topic: partition().topic,
        partition: 0,
        offset,
        timestamp_ms: 0,
        append_time: true,
        key: None,
        value: Some(Bytes::from_static(b"0123456789")),
        headers: Headers::new(),
    })
}

fn member(in_flight: usize) -> Member {
    let limits = Limits {
        order: Order::Key,
        in_flight,
        waiting: 2,
        bytes: 1 << 20,
        partition_bytes: 1 << 20,
        batch: 10,
    };
    let mut member = Member::new("me", limits, Turns::new([("requests", 1)]));
    member.refresh(Some(Membership {
        generation: 1,
        member: "member".to_owned(),
        instance: None,
    }));
    member.claimed(partition(), Committed::first(0));
    member
}

/// Reads and runs the records of these offsets to their results.
fn run(member: &mut Member, offsets: impl IntoIterator<Item = i64>) {
    for offset in offsets {
        member.offer(&partition(), record(offset));
        let (assignment, record) = member.next_run().unwrap();
        member.finished(&assignment, record.offset, Arc::new([Output::default()]), false);
    }
}

fn offsets(batch: &Batch) -> Vec<i64> {
    batch
        .parts
        .iter()
        .flat_map(|part| &part.results)
        .map(|entry| entry.record.offset)
        .collect()
}

fn refused() -> Outcome {
    Outcome::Aborted(Fault::Output {
        class: "output_too_large".to_owned(),
        message: String::new(),
        topic: None,
    })
}

#[test]
fn one_bad_result_costs_the_others_a_transaction_each_and_nothing_else() {
    let mut member = member(9);
    run(&mut member, 0..3);
    assert_eq!(offsets(&member.batch().unwrap()), [0, 1, 2]);
    assert!(member.settle(&refused()).is_none(), "which one it was is not known yet");
    assert_eq!(offsets(&member.batch().unwrap()), [0]);
    member.settle(&Outcome::Committed);
    assert_eq!(offsets(&member.batch().unwrap()), [1]);
    let culprit = member.settle(&refused()).unwrap();
    assert_eq!(
        (culprit.record.offset, culprit.rejection.class.as_str()),
        (1, "output_too_large")
    );
    member.replace(&culprit, Arc::new([Output::default()]));
    assert_eq!(offsets(&member.batch().unwrap()), [1]);
    member.settle(&Outcome::Committed);
    assert_eq!(offsets(&member.batch().unwrap()), [2]);
    member.settle(&Outcome::Committed);
    assert_eq!(member.status().partitions[0].watermark, 3);
}

#[test]
fn nothing_is_committed_without_a_membership_that_brokers_check() {
    let mut member = member(9);
    run(&mut member, [0]);
    member.refresh(Some(Membership {
        generation: -1,
        member: "member".to_owned(),
        instance: None,
    }));
    assert!(member.batch().is_none());
    member.refresh(Some(Membership {
        generation: 2,
        member: "member".to_owned(),
        instance: None,
    }));
    assert_eq!(member.batch().unwrap().membership.generation, 2);
    member.settle(&Outcome::Aborted(Fault::Membership));
    assert!(member.batch().is_none(), "until the next rebalance event");
}

#[test]
fn whoever_reads_is_woken_for_many_records_not_for_each() {
    let mut member = member(1);
    let mut offset = 0;
    while member.wants(&partition()) {
        member.offer(&partition(), record(offset));
        offset += 1;
    }
    let mut ran = 0;
    while !member.is_hungry() {
        let (assignment, record) = member.next_run().unwrap();
        member.finished(&assignment, record.offset, Arc::new([]), false);
        member.batch().unwrap();
        member.settle(&Outcome::Committed);
        ran += 1;
    }
    assert!(
        ran > 9 && ran < offset,
        "{ran} of {offset}: before there is nothing left to run"
    );
}

#[test]
fn a_record_beyond_the_window_waits_and_one_beyond_a_gap_does_not() {
    let mut member = member(9);
    run(&mut member, [WINDOW * 3]);
    assert_eq!(
        member.batch().unwrap().parts[0].offset,
        WINDOW * 3 + 1,
        "nothing was open before the gap"
    );
    member.settle(&Outcome::Committed);
    member.offer(&partition(), record(WINDOW * 3 + 1));
    let (slow, _) = member.next_run().unwrap();
    member.offer(&partition(), record(WINDOW * 4 + 1));
    assert!(member.next_run().is_none() && !member.wants(&partition()));
    assert_eq!(member.status().partitions[0].full, Some(Full::Window));
    member.finished(&slow, WINDOW * 3 + 1, Arc::new([]), false);
    member.batch().unwrap();
    member.settle(&Outcome::Committed);
    assert_eq!(member.next_run().unwrap().1.offset, WINDOW * 4 + 1);
}

#[test]
fn runs_that_wait_for_a_limit_hold_no_slot_up_to_a_bound() {
    let mut member = member(1);
    for offset in 0..9 {
        member.offer(&partition(), record(offset));
    }
    let mut started = 0;
    while member.next_run().is_some() {
        started += 1;
        member.limit_wait_begins();
    }
    assert_eq!(started, 3, "one slot, two may wait");
    member.limit_wait_ends();
    member.limit_wait_ends();
    assert!(member.next_run().is_none());
}

/// The results of that commit are visible: a release that does not name them as done would have them run again.
#[test]
fn a_partition_that_stops_during_a_commit_keeps_what_the_commit_carries() {
    for (outcome, watermark) in [(Outcome::Committed, 2), (Outcome::Aborted(Fault::Passing), 0)] {
        let mut member = member(9);
        run(&mut member, 0..2);
        member.batch().unwrap();
        run(&mut member, [2]);
        member.stop_partition(&partition(), "the log is gone".to_owned());
        member.settle(&outcome);
        assert!(
            member.batch().is_none() && member.bytes() == 0,
            "nothing more of it is committed"
        );
        member.revoke(&[partition()]);
        let release = member.batch().unwrap();
        assert_eq!((release.parts[0].offset, release.results()), (watermark, 0));
    }
}

#[test]
fn results_that_will_never_be_committed_are_told_once_it_is_certain() {
    for (outcome, discarded) in [(Outcome::Committed, 2), (Outcome::Aborted(Fault::Passing), 4)] {
        let mut member = member(9);
        run(&mut member, 0..2);
        member.batch().unwrap();
        run(&mut member, [2]);
        member.offer(&partition(), record(3));
        let (late, _) = member.next_run().unwrap();
        member.forget(&[partition()]);
        assert_eq!(member.take_discarded().len(), 1, "two are on their way");
        member.settle(&outcome);
        member.finished(&late, 3, Arc::new([Output::default()]), false);
        assert_eq!(1 + member.take_discarded().len(), discarded);
    }
}

#[test]
fn a_partition_that_leaves_with_a_result_that_nothing_can_stand_in_for_is_released_without_it() {
    let mut member = member(9);
    run(&mut member, 0..2);
    member.batch().unwrap();
    member.settle(&Outcome::Committed);
    run(&mut member, [2]);
    member.batch().unwrap();
    let culprit = member.settle(&refused()).unwrap();
    member.replace(&culprit, Arc::new([Output::default()]));
    member.revoke(&[partition()]);
    member.batch().unwrap();
    assert!(member.settle(&refused()).is_none());
    let release = member.batch().unwrap();
    assert!(release.parts[0].release && release.parts[0].offset == 2, "{release:?}");
    member.settle(&Outcome::Committed);
    assert!(member.is_drained(&[partition()]));
}

#[test]
fn the_last_commit_of_a_partition_that_leaves_names_no_writer() {
    let mut member = member(9);
    run(&mut member, [0]);
    member.revoke(&[partition()]);
    assert!(!member.is_drained(&[partition()]) && !member.wants(&partition()));
    let batch = member.batch().unwrap();
    let state = Committed::decode(batch.parts[0].offset, &batch.parts[0].metadata).unwrap();
    assert_eq!((state.progress.watermark(), state.seq, state.writer), (1, 1, None));
    member.settle(&Outcome::Committed);
    assert!(member.is_drained(&[partition()]));
}
