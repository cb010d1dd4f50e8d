//! A consumer group: what the brokers know of it, and what the instances that own its partitions report.

use schemas::{Instance, InstancePartition, Timestamp};
use serde::Serialize;
use topics::standing::{CommittedStanding, GroupStanding, PartitionStanding};

use crate::{
    cluster::{lag, partition_lag},
    run::{rfc_3339, rfc_3339_of},
};

#[derive(Serialize)]
pub(super) struct Group<'t> {
    group: &'t str,
    state: &'t str,
    lag: i64,
    in_flight: Option<i64>,
    waiting_for_limits: Option<i64>,
    partitions: Vec<GroupPartition<'t>>,
}

#[derive(Serialize)]
struct GroupPartition<'t> {
    topic: &'t str,
    partition: i32,
    owner: Option<&'t str>,
    instance: Option<&'t str>,
    here: bool,
    watermark: Option<i64>,
    highest_done: Option<i64>,
    done_above: Option<usize>,
    log_end: i64,
    lag: Option<i64>,
    commits: Option<u64>,
    window: Option<i64>,
    in_flight: Option<i64>,
    ledger: Option<i64>,
    oldest: Option<Oldest>,
    #[serde(serialize_with = "rfc_3339")]
    full_since: Option<Timestamp>,
    problem: Option<&'t str>,
}

#[derive(Serialize)]
struct Oldest {
    offset: i64,
    #[serde(serialize_with = "rfc_3339_of")]
    at: Timestamp,
}

impl<'t> Group<'t> {
    /// `alive` begins with this process.
    pub fn of(standing: &'t GroupStanding, alive: &[&'t Instance]) -> Self {
        let runs = || {
            let groups = alive.iter().flat_map(|instance| &instance.groups);
            groups.filter(|group| group.group == standing.group)
        };
        let sum = |numbers: &mut dyn Iterator<Item = i64>| numbers.reduce(|sum, number| sum + number);
        Self {
            group: &standing.group,
            state: &standing.state,
            lag: lag(standing),
            in_flight: sum(&mut runs().map(|group| group.in_flight)),
            waiting_for_limits: sum(&mut runs().map(|group| group.waiting_for_limits)),
            partitions: standing
                .partitions
                .iter()
                .map(|partition| GroupPartition::of(&standing.group, partition, alive))
                .collect(),
        }
    }
}

impl<'t> GroupPartition<'t> {
    fn of(group: &str, standing: &'t PartitionStanding, alive: &[&'t Instance]) -> Self {
        let committed: Option<&CommittedStanding> = standing.committed.as_ref().ok().and_then(Option::as_ref);
        let held = holder(group, standing, alive);
        let (instance, report) = held.unzip();
        Self {
            topic: &standing.partition.topic,
            partition: standing.partition.partition,
            owner: committed.and_then(|it| it.writer.as_deref()),
            instance,
            here: instance.is_some() && instance == alive.first().map(|own| own.instance_id.as_str()),
            watermark: committed.map(|it| it.watermark),
            highest_done: committed.map(|it| it.highest_done),
            done_above: committed.map(|it| it.done_above),
            log_end: standing.log_end,
            lag: partition_lag(standing),
            commits: committed.map(|it| it.seq),
            window: report.map(|it| it.window),
            in_flight: report.map(|it| it.in_flight),
            ledger: report.map(|it| it.ledger),
            oldest: report.and_then(oldest),
            full_since: report.and_then(|it| it.full_since),
            problem: standing.committed.as_ref().err().map(String::as_str),
        }
    }
}

/// Who owns a partition, and what it says of it. While one moves, two may: this process knows best of itself, and of the
/// others whoever reported last.
fn holder<'t>(
    group: &str,
    standing: &PartitionStanding,
    alive: &[&'t Instance],
) -> Option<(&'t str, &'t InstancePartition)> {
    let of = |instance: &'t Instance| {
        let partition = &standing.partition;
        let is_it = |held: &&InstancePartition| {
            held.group == group && held.topic == *partition.topic && held.partition == partition.partition
        };
        let held = instance.partitions.iter().find(is_it)?;
        Some((instance, held))
    };
    let (own, others) = alive.split_first()?;
    let last = || {
        let held = others.iter().filter_map(|instance| of(instance));
        held.max_by_key(|(instance, _)| instance.reported_at)
    };
    let (instance, held) = of(own).or_else(last)?;
    Some((&instance.instance_id, held))
}

fn oldest(held: &InstancePartition) -> Option<Oldest> {
    let (offset, at) = held.oldest_offset.zip(held.oldest_at)?;
    Some(Oldest { offset, at })
}

#[cfg(test)]
mod tests {
    use topics::TopicPartition;

    use super::*;

    fn instance(id: &str, reported_at: i64, window: i64) -> Instance {
        let held = InstancePartition {
            group: "g".to_owned(),
            topic: "t".to_owned(),
            partition: 1,
            window,
            ..InstancePartition::default()
        };
        Instance {
            instance_id: id.to_owned(),
            reported_at: Timestamp(reported_at),
            partitions: vec![held],
            ..Instance::default()
        }
    }

    #[test]
    fn of_two_owners_this_process_is_believed_and_then_the_last_report() {
        let standing = |partition| PartitionStanding {
            partition: TopicPartition::new("t", partition),
            log_end: 0,
            committed: Ok(None),
        };
        let (own, idle) = (instance("own", 1, 7), Instance::default());
        let (old, new) = (instance("old", 2, 8), instance("new", 3, 9));
        let held = standing(1);
        let window = |alive: &[&Instance]| holder("g", &held, alive).map(|(id, held)| (id.to_owned(), held.window));
        assert_eq!(window(&[&own, &old, &new]), Some(("own".to_owned(), 7)));
        assert_eq!(window(&[&idle, &new, &old]), Some(("new".to_owned(), 9)));
        assert_eq!(window(&[&idle]), None);
        let shown = GroupPartition::of("g", &held, &[&idle, &old]);
        assert_eq!(
            (shown.instance, shown.here, shown.window),
            (Some("old"), false, Some(8))
        );
        let elsewhere = standing(2);
        let shown = GroupPartition::of("g", &elsewhere, &[&own, &old]);
        assert_eq!((shown.instance, shown.here, shown.window), (None, false, None));
    }
}
