//! Does it grow? What [`steady`] watches for a minute, for long.

use std::time::Duration;

use crate::figure::{Wanted, median};
use crate::kafka::Bench;
use crate::steady;

pub async fn run(bench: &Bench, time: Duration) -> anyhow::Result<()> {
    let watched = steady::watch(bench, "memory", time).await?;
    let samples = &watched.resident_mb;
    let third = samples.len() / 3;
    let of = |samples: &[f64]| median(samples.to_vec());
    let (second, last) = (of(&samples[third..2 * third]), of(&samples[2 * third..]));
    watched
        .figure("memory", "resident, last third", last, "MB")
        .against(second, (1.0, 1.0), Wanted::AtMost(1.05))
        .under("reference: the second third")
        .print()
}
