use std::{
    env,
    time::{Duration, Instant},
};

use super::{Mutation, run, shrink};

const SCHEDULES: u64 = 1_000;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|value| value.parse().ok())
}

/// `SEED=` runs one schedule, `SCHEDULES=` that many of them.
fn seeds() -> std::ops::Range<u64> {
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SCHEDULES").unwrap_or(SCHEDULES),
    }
}

fn per_minute(schedules: u64, took: Duration) -> u64 {
    (schedules as f64 * 60.0 / took.as_secs_f64()) as u64
}

#[test]
fn every_schedule_keeps_the_invariant() {
    let start = Instant::now();
    let (mut results, mut crashes, mut expulsions, mut rebalances, mut restarts, mut hung) = (0, 0, 0, 0, 0, 0);
    for seed in seeds() {
        match run(seed, None) {
            Ok(tally) => {
                results += tally.results;
                crashes += tally.crashes;
                expulsions += tally.expulsions;
                rebalances += tally.rebalances;
                restarts += tally.restarts;
                hung += tally.hung;
            }
            Err(violation) => panic!("{violation}\n{}", shrink(&violation, None)),
        }
    }
    let schedules = seeds().end - seeds().start;
    println!(
        "{schedules} schedules, {} a minute: {results} results, {rebalances} rebalances, {crashes} crashes, {expulsions} \
         expulsions, {restarts} broker restarts, {hung} hung calls",
        per_minute(schedules, start.elapsed())
    );
}

#[test]
fn every_mistake_is_found() {
    let mut missed = Vec::new();
    println!("{:<26}{:>12}  what was seen", "mistake", "found after");
    for mutation in Mutation::ALL {
        let name = format!("{mutation:?}");
        // That it is not given back in good order is seen in every schedule, and proves little.
        let fails = |seed| {
            run(seed, Some(mutation))
                .err()
                .filter(|failed| !failed.what.contains("not released"))
        };
        match (0..10_000).find_map(fails) {
            Some(violation) => println!("{name:<26}{:>12}  {violation}", violation.seed + 1),
            None => missed.push(mutation),
        }
    }
    assert!(missed.is_empty(), "missed: {missed:?}");
}

#[test]
fn a_schedule_that_fails_becomes_a_short_story() {
    let mutation = Some(Mutation::ClaimFirst);
    let violation = (0..10_000).find_map(|seed| run(seed, mutation).err()).unwrap();
    let again = run(violation.seed, mutation).unwrap_err();
    assert_eq!(
        (again.step, &again.what),
        (violation.step, &violation.what),
        "a function of its seed"
    );

    let story = shrink(&violation, mutation);

    println!("{story}");
    let decisions: usize = story.split(' ').next().unwrap().parse().unwrap();
    assert!(
        decisions * 3 < violation.script.len(),
        "{decisions} of {}",
        violation.script.len()
    );
    assert!(story.contains(" dies") && story.contains(" claims "), "{story}");
}
