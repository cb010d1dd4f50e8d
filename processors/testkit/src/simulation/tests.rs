use std::{env, time::Instant};

use super::{Mutation, run};

const SCHEDULES: u64 = 1_000;

/// `SEED=` runs one schedule, `SCHEDULES=` that many of them.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SCHEDULES").unwrap_or(SCHEDULES),
    }
}

#[test]
fn every_schedule_keeps_the_invariant() {
    let start = Instant::now();
    let (mut results, mut crashes, mut expulsions, mut rebalances) = (0, 0, 0, 0);
    for seed in seeds() {
        match run(seed, None) {
            Ok(tally) => {
                results += tally.results;
                crashes += tally.crashes;
                expulsions += tally.expulsions;
                rebalances += tally.rebalances;
            }
            Err(violation) => panic!("{violation}"),
        }
    }
    println!(
        "{} schedules in {:?}: {results} results, {rebalances} rebalances, {crashes} crashes, {expulsions} expulsions",
        seeds().count(),
        start.elapsed()
    );
}

#[test]
fn every_mistake_is_found() {
    let found = |mutation| (0..10_000).find(|seed| run(*seed, Some(mutation)).is_err());
    let missed: Vec<Mutation> = Mutation::ALL
        .into_iter()
        .filter(|mutation| {
            let seed = found(*mutation);
            println!(
                "{mutation:?}: {}",
                seed.map_or("missed".to_owned(), |seed| format!("found by seed {seed}"))
            );
            seed.is_none()
        })
        .collect();
    assert!(missed.is_empty(), "{missed:?}");
}
