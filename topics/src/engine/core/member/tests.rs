use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::{
    Headers, Output, Record,
    engine::core::{Batch, BatchPart, Committed, Fault, Found, Full, Outcome, Refusal, WINDOW, Whose},
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
        read_ms: 0,
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

fn refused(whose: Whose) -> Outcome {
    Outcome::Aborted(Fault::Outputs(vec![Refusal {
        class: "output_too_large".to_owned(),
        message: String::new(),
        topic: Some("theirs".to_owned()),
        whose,
    }]))
}

fn output(topic: &str) -> Output {
    Output {
        topic: topic.to_owned(),
        ..Output::default()
    }
}

/// Commits what goes and refuses each batch with the bad one, which nobody names; until all is committed.
fn transactions_until_done(member: &mut Member, bad: &[i64]) -> (usize, usize) {
    let (mut committed, mut aborted) = (0, 0);
    let mut replaced = Vec::new();
    while let Some(batch) = member.batch() {
        let offsets = offsets(&batch);
        let is_bad = |offset: &i64| bad.contains(offset) && !replaced.contains(offset);
        if !offsets.iter().any(is_bad) {
            member.settle(&Outcome::Committed);
            committed += 1;
            continue;
        }
        aborted += 1;
        let whose = match offsets.len() {
            1 => Whose::Result(0),
            count => Whose::OneOf((0..count).collect()),
        };
        for culprit in member.settle(&refused(whose)) {
            replaced.push(culprit.record.offset);
            member.replace(culprit, Arc::new([Output::default()]));
        }
    }
    (committed, aborted)
}

#[test]
fn a_result_that_is_named_costs_one_transaction_and_nobody_else_waits() {
    let mut member = member(9);
    run(&mut member, 0..3);
    assert_eq!(offsets(&member.batch().unwrap()), [0, 1, 2]);
    let culprit = member.settle(&refused(Whose::Result(1))).pop().unwrap();
    assert_eq!(
        (culprit.record.offset, culprit.rejection.class.as_str()),
        (1, "output_too_large")
    );
    member.replace(culprit, Arc::new([Output::default()]));
    assert_eq!(offsets(&member.batch().unwrap()), [0, 1, 2]);
    member.settle(&Outcome::Committed);
    assert_eq!(member.status().partitions[0].watermark, 3);
}

#[test]
fn a_result_that_nobody_names_is_found_by_halves_and_those_that_come_meanwhile_do_not_wait() {
    let mut member = member(200);
    run(&mut member, 0..10);
    member.batch().unwrap();
    assert!(member.settle(&refused(Whose::OneOf((0..10).collect()))).is_empty());
    run(&mut member, 100..103);
    let trial = member.batch().unwrap();
    assert!(trial.trial && offsets(&trial) == [0, 1, 2, 3, 4]);
    member.settle(&refused(Whose::OneOf((0..5).collect())));
    assert_eq!(
        offsets(&member.batch().unwrap()),
        [100, 101, 102],
        "a turn of everybody else's"
    );
    member.settle(&Outcome::Committed);
    let (committed, aborted) = transactions_until_done(&mut member, &[3]);
    assert!(committed <= 6 && aborted <= 4, "{committed} and {aborted}");
    assert_eq!(member.status().partitions[0].watermark, 103);
}

#[test]
fn a_hundred_bad_ones_in_a_row_cost_a_transaction_each_and_a_few_more() {
    let mut member = member(200);
    run(&mut member, 0..100);
    let (_, aborted) = transactions_until_done(&mut member, &(0..100).collect::<Vec<_>>());
    assert!(aborted < 130, "{aborted}");
    assert_eq!(member.status().partitions[0].watermark, 100);
}

#[test]
fn a_result_never_overtakes_one_of_its_key_that_is_suspected() {
    let mut member = member(200);
    let keyed = |offset, key: &'static str| {
        Arc::new(Record {
            key: Some(Bytes::from_static(key.as_bytes())),
            ..(*record(offset)).clone()
        })
    };
    for (offset, key) in [(0, "a"), (1, "b"), (2, "a"), (3, "c")] {
        member.offer(&partition(), keyed(offset, key));
        while let Some((assignment, record)) = member.next_run() {
            member.finished(&assignment, record.offset, Arc::new([Output::default()]), false);
        }
    }
    member.batch().unwrap();
    // The second of its key is a suspect, so the third waits too.
    member.settle(&refused(Whose::OneOf(vec![0, 1])));
    let trial = member.batch().unwrap();
    assert_eq!(offsets(&trial), [0]);
    member.settle(&refused(Whose::OneOf(vec![0])));
    assert_eq!(offsets(&member.batch().unwrap()), [3], "2 is of the same key as 0");
    member.settle(&Outcome::Committed);
    transactions_until_done(&mut member, &[]);
    assert_eq!(member.status().partitions[0].watermark, 4);
}

#[test]
fn a_topic_that_takes_nothing_condemns_all_that_is_for_it_at_once_and_spares_the_rest() {
    let mut member = member(9);
    for (offset, topic) in [(0, "theirs"), (1, "results"), (2, "theirs")] {
        member.offer(&partition(), record(offset));
        let (assignment, record) = member.next_run().unwrap();
        let outputs = Arc::new([output("results"), output(topic)]);
        member.finished(&assignment, record.offset, outputs, false);
    }
    member.batch().unwrap();
    let culprits = member.settle(&refused(Whose::All));
    assert_eq!(
        culprits.iter().map(|culprit| culprit.record.offset).collect::<Vec<_>>(),
        [0, 2]
    );
    for culprit in culprits {
        assert_eq!(
            (&*culprit.spared[0].topic, &*culprit.refused[0].topic),
            ("results", "theirs")
        );
        member.replace(culprit, Arc::new([output("results")]));
    }
    assert_eq!(
        member.take_discarded().len(),
        2,
        "what was paid for them can be settled"
    );
    assert_eq!(offsets(&member.batch().unwrap()), [0, 1, 2]);
}

#[test]
fn what_goes_to_a_topic_that_is_away_waits_and_takes_no_slot_of_the_others() {
    let mut member = member(1);
    member.hold_back(["theirs".to_owned()].into());
    for offset in 0..9 {
        member.offer(&partition(), record(offset));
        let (assignment, record) = member.next_run().expect("a slot");
        let topic = if offset == 8 { "results" } else { "theirs" };
        member.finished(&assignment, record.offset, Arc::new([output(topic)]), false);
        if let Some(batch) = member.batch() {
            assert_eq!(offsets(&batch), [8]);
            member.settle(&Outcome::Committed);
        }
    }
    assert_eq!(member.status().partitions[0].ready_results, 8);
    member.hold_back(BTreeSet::new());
    assert_eq!(member.batch().unwrap().results(), 8);
}

#[test]
fn hot_partitions_leave_each_other_partition_its_share_of_the_bytes() {
    let partitions: Vec<_> = (0..5).map(|number| TopicPartition::new("requests", number)).collect();
    let (hot, fifth) = (&partitions[..4], &partitions[4]);
    let mut member = member(9);
    member.limits.bytes = 4 << 20;
    for other in &partitions[1..] {
        member.claimed(other.clone(), Committed::first(0));
    }
    let large = |partition: &TopicPartition, offset| {
        Arc::new(Record {
            key: Some(Bytes::from_static(b"hot")),
            value: Some(Bytes::from(vec![0; 64 << 10])),
            partition: partition.partition,
            ..(*record(offset)).clone()
        })
    };
    for offset in 0..1_000 {
        for partition in hot {
            if member.wants(partition) {
                member.offer(partition, large(partition, offset));
            }
        }
    }
    assert!(hot.iter().all(|partition| !member.wants(partition)));
    assert!(member.wants(fifth), "{} bytes are held", member.bytes());
    let mut offset = 0;
    while member.wants(fifth) {
        member.offer(fifth, large(fifth, offset));
        offset += 1;
    }
    assert!(offset > 4, "{offset}");
    assert!(member.bytes() <= (4 << 20) + 5 * (65 << 10), "{}", member.bytes());
    let full = member
        .status()
        .partitions
        .into_iter()
        .filter(|status| status.full == Some(Full::Bytes));
    assert_eq!(full.count(), 5, "and it is told");
}

#[test]
fn the_metadata_of_a_commit_is_bounded_and_no_partition_is_left_out_for_ever() {
    const PARTITIONS: i32 = 300;
    let mut member = member(1_000);
    for number in 0..PARTITIONS {
        let mut state = Committed::first(0);
        let mut bits = 1u64;
        for offset in 1..WINDOW - 1 {
            // Nothing that can be told in fewer words.
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if bits >> 63 == 1 {
                state.progress.complete(offset);
            }
        }
        let partition = TopicPartition::new("requests", number);
        let assignment = member.claimed(partition.clone(), state);
        let record = Arc::new(Record {
            partition: number,
            ..(*record(0)).clone()
        });
        member.offer(&partition, record);
        let (_, record) = member.next_run().unwrap();
        member.finished(&assignment, record.offset, Arc::new([]), false);
    }
    member.limits.batch = 10_000;
    let mut transactions = 0;
    while let Some(batch) = member.batch() {
        let bytes: usize = batch.parts.iter().map(|part| part.metadata.len()).sum();
        assert!(bytes < 600 << 10, "{bytes}");
        member.settle(&Outcome::Committed);
        transactions += 1;
    }
    assert_eq!(transactions, 2);
    assert!(
        member
            .status()
            .partitions
            .iter()
            .all(|status| status.ready_results == 0)
    );
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

/// What lies there are markers of transactions and what they aborted.
#[test]
fn offsets_without_records_at_the_end_of_a_log_count_as_read() {
    let mut member = member(9);
    member.offer(&partition(), record(0));
    let (slow, _) = member.next_run().unwrap();
    member.ended(&partition(), 2);
    let watermark = |member: &Member| member.status().partitions[0].watermark;
    assert_eq!(watermark(&member), 0, "what runs is not done");
    member.ended(&partition(), WINDOW * 2);
    member.finished(&slow, 0, Arc::new([]), false);
    assert_eq!(member.batch().unwrap().parts[0].offset, 2, "with the next commit");
    member.settle(&Outcome::Committed);
    assert_eq!(watermark(&member), WINDOW * 2, "beyond the window once nothing is open");
    assert!(member.batch().is_none(), "nothing is committed for it at once");
    member.commit_skips();
    let idle = member.batch().unwrap();
    assert_eq!((idle.parts[0].offset, idle.results()), (WINDOW * 2, 0));
    member.settle(&Outcome::Aborted(Fault::Passing));
    member.commit_skips();
    assert!(member.batch().is_some(), "it did not happen");
    member.settle(&Outcome::Committed);
    member.commit_skips();
    assert!(member.batch().is_none(), "once is enough");
    member.ended(&partition(), 5);
    member.offer(&partition(), record(WINDOW * 2));
    assert!(member.next_run().is_some(), "an end that is passed is none");
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
    let culprit = member.settle(&refused(Whose::Result(0))).pop().unwrap();
    member.replace(culprit, Arc::new([Output::default()]));
    member.revoke(&[partition()]);
    member.batch().unwrap();
    assert!(member.settle(&refused(Whose::Result(0))).is_empty());
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

#[test]
fn an_end_that_is_reached_during_a_commit_is_committed_by_the_next_one() {
    let mut member = member(9);
    run(&mut member, [0]);
    let first = member.batch().unwrap();
    member.ended(&partition(), 3);
    member.settle(&Outcome::Committed);
    member.commit_skips();

    let second = member.batch().unwrap();

    assert_eq!((first.parts[0].offset, second.parts[0].offset), (1, 3));
}

/// What brokers have of a partition after trouble, and what of the last commit is missing there.
fn look(member: &mut Member, offset: i64, seq: u64, part: &BatchPart, missing: &[i64]) -> Vec<Assignment> {
    let state = Committed {
        seq,
        writer: Some("me".to_owned()),
        ..Committed::first(offset)
    };
    let mut part = part.clone();
    for entry in &mut part.results {
        if !missing.contains(&entry.record.offset) {
            entry.outputs = Arc::new([]);
        }
    }
    let found = Found::from([(partition(), Some((offset, state.encode())))]);
    member.resolve(&member.unresolved(), &found, &[part])
}

#[test]
fn a_result_that_was_lost_after_its_commit_is_not_done_until_it_is_committed_again() {
    let mut member = member(9);
    run(&mut member, 0..3);
    let lost = member.batch().unwrap();
    member.settle(&Outcome::Committed);
    run(&mut member, 3..5);

    assert!(look(&mut member, 3, 1, &lost.parts[0], &[1]).is_empty());
    member.revoke(&[partition()]);

    let again = member.batch().unwrap();
    assert_eq!(offsets(&again), [1, 3, 4]);
    assert_eq!((again.parts[0].offset, again.parts[0].seq), (5, 2));
}

#[test]
fn results_that_are_readable_and_whose_commit_was_lost_are_committed_without_their_outputs() {
    let mut member = member(9);
    run(&mut member, 0..3);
    let lost = member.batch().unwrap();
    member.settle(&Outcome::Committed);

    assert!(look(&mut member, 0, 0, &lost.parts[0], &[2]).is_empty());

    let again = member.batch().unwrap();
    let outputs: Vec<_> = again.parts[0].results.iter().map(|entry| entry.outputs.len()).collect();
    assert_eq!((offsets(&again), outputs), (vec![0, 1, 2], vec![0, 0, 1]));
    assert_eq!((again.parts[0].offset, again.parts[0].seq), (3, 1));
}
