//! The groups of the cluster as the brokers show them, for whoever looks: asked once a second at most, however many look,
//! and not at all when nobody does.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusHandle;
use schemas::Timestamp;
use tokio::time::Instant;
use topics::standing::{GroupStanding, PartitionStanding, Standing};

use crate::gauges::Gauges;

/// A look is good for this long.
const FRESH: Duration = Duration::from_secs(1);
/// Between two samples, while somebody asks for them.
const SAMPLE: Duration = Duration::from_secs(1);
/// Nobody asked for this long: nobody looks any more.
const UNWANTED: Duration = Duration::from_secs(60);
/// Samples that are kept: an hour.
const KEPT: usize = 3_600;

pub(crate) struct Cluster {
    standing: Standing,
    looked: tokio::sync::Mutex<Option<(Instant, Look)>>,
    samples: Mutex<Samples>,
}

/// What was seen, or why nothing could be.
pub(crate) type Look = Result<Arc<[GroupStanding]>, String>;

#[derive(Default)]
struct Samples {
    wanted: Option<Instant>,
    taken: VecDeque<Sample>,
}

/// How much is not done, at one second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Seconds since the epoch.
    pub at: i64,
    /// Request records, of all groups; `None` when the brokers could not be asked.
    pub lag: Option<i64>,
    /// Runs that hold a slot in this process.
    pub in_flight: Option<i64>,
}

impl Cluster {
    pub fn new(standing: Standing) -> Self {
        Self {
            standing,
            looked: tokio::sync::Mutex::default(),
            samples: Mutex::default(),
        }
    }

    pub async fn look(&self) -> Look {
        let mut looked = self.looked.lock().await;
        if let Some((at, look)) = &*looked
            && at.elapsed() < FRESH
        {
            return look.clone();
        }
        let look = self
            .standing
            .look()
            .await
            .map(Arc::from)
            .map_err(|error| error.to_string());
        *looked = Some((Instant::now(), look.clone()));
        look
    }

    /// Samples once a second while somebody asks. Runs until it is dropped.
    pub async fn sample(&self, counted: &PrometheusHandle) {
        let mut beat = tokio::time::interval(SAMPLE);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            if self.samples().wanted.is_none_or(|wanted| wanted.elapsed() > UNWANTED) {
                continue;
            }
            let look = self.look().await;
            let text = counted.render();
            let gauges = Gauges::of(&text);
            let sample = Sample {
                at: Timestamp::now().0.div_euclid(1_000_000),
                lag: look.ok().map(|groups| groups.iter().map(lag).sum()),
                in_flight: gauges.sum("millrace_in_flight"),
            };
            let mut samples = self.samples();
            samples.taken.push_back(sample);
            while samples.taken.len() > KEPT {
                samples.taken.pop_front();
            }
        }
    }

    /// The samples from a second on, in their order; asking is what keeps them coming.
    pub fn samples_from(&self, from: i64) -> Vec<Sample> {
        let mut samples = self.samples();
        samples.wanted = Some(Instant::now());
        samples
            .taken
            .iter()
            .filter(|sample| sample.at >= from)
            .copied()
            .collect()
    }

    fn samples(&self) -> MutexGuard<'_, Samples> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Request records of a group that are not done.
pub(crate) fn lag(group: &GroupStanding) -> i64 {
    group.partitions.iter().filter_map(partition_lag).sum()
}

/// `None` when the partition has no commit, or one that cannot be read.
pub(crate) fn partition_lag(partition: &PartitionStanding) -> Option<i64> {
    let committed = partition.committed.as_ref().ok()?.as_ref()?;
    Some((partition.log_end - committed.watermark - committed.done_above as i64).max(0))
}
