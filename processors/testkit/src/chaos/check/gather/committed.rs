//! The committed states of the workers' group.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::{patience::patiently_blocking, scan::OPEN_FOR};
use crate::{
    chaos::{Plan, check::evidence::CommittedState},
    kafka::{CommittedOffset, CommittedOffsets},
};

/// For one partition whose group answers.
const ANSWER: Duration = Duration::from_secs(5);
/// For all partitions of a topic.
const ANSWERS: Duration = Duration::from_secs(10);

/// Of each partition of the topic. A transaction that is still open gets the time that a broker takes to abort it; then the
/// state before it is told, and that it is pending.
///
/// # Errors
/// When the group's coordinator answers nobody.
pub(super) async fn committed(plan: &Plan, topic: &str) -> anyhow::Result<Vec<CommittedState>> {
    let asked = (plan.bootstrap.clone(), plan.group.clone(), topic.to_owned());
    let whom = format!("the coordinator of {}", plan.group);
    patiently_blocking(whom, move || {
        let (bootstrap, group, topic) = &asked;
        states(bootstrap, group, topic)
    })
    .await
    .with_context(|| format!("cannot read what {} has committed for {topic}", plan.group))
}

fn states(bootstrap: &str, group: &str, topic: &str) -> anyhow::Result<Vec<CommittedState>> {
    let stable = CommittedOffsets::stable(bootstrap, group)?;
    let latest = CommittedOffsets::latest(bootstrap, group)?;
    let partitions = latest.partitions(topic)?;
    let state = |is_pending: bool, at: CommittedOffset| CommittedState {
        topic: topic.to_owned(),
        partition: at.partition,
        offset: at.offset,
        metadata: at.metadata,
        is_pending,
    };
    let began = Instant::now();
    while began.elapsed() < OPEN_FOR {
        match stable.of(topic, &partitions, ANSWERS) {
            Ok(offsets) => return Ok(offsets.into_iter().map(|at| state(false, at)).collect()),
            Err(error) => tracing::warn!(topic, %error, "no stable offsets yet"),
        }
    }
    let mut states = Vec::new();
    for partition in partitions {
        let (is_pending, offsets) = match stable.of(topic, &[partition], ANSWER) {
            Ok(offsets) => (false, offsets),
            Err(_) => (true, latest.of(topic, &[partition], ANSWER)?),
        };
        states.extend(offsets.into_iter().map(|at| state(is_pending, at)));
    }
    Ok(states)
}
