//! From a schedule that fails to a short one that fails: decisions are left out, and choices replaced by the harmless one, as
//! long as something still does not hold.

use super::{Mutation, Violation, chance::Script, world::World};

/// Enough for a schedule to become as short as it gets.
const TRIES: usize = 20_000;

/// The shortest schedule found, as the story of what happens in it.
#[must_use]
pub fn shrink(violation: &Violation, mutation: Option<Mutation>) -> String {
    let seed = violation.seed;
    let mut tries = 0;
    let mut fails = |script: &Script| {
        tries += 1;
        let failed = World::scripted(seed, mutation, script.clone()).run().err();
        tries <= TRIES && failed.is_some_and(|what| kind(&what) == kind(&violation.what))
    };
    let mut script = violation.script.clone();
    let mut size = script.len() / 2;
    while size > 0 {
        let mut from = 0;
        while from < script.len() {
            let mut shorter = script.clone();
            shorter.drain(from..(from + size).min(script.len()));
            if fails(&shorter) {
                script = shorter;
            } else {
                from += size;
            }
        }
        size /= 2;
    }
    for decision in 0..script.len() {
        for choice in 0..script[decision].len() {
            let mut tamer = script.clone();
            if std::mem::take(&mut tamer[decision][choice]) > 0 && fails(&tamer) {
                script = tamer;
            }
        }
    }
    let mut world = World::scripted(seed, mutation, script.clone());
    world.broker.story = Some(Vec::new());
    let what = world.run().err().unwrap_or_default();
    let story = world.broker.story.unwrap_or_default().join("\n  ");
    format!("{} decisions are enough:\n  {story}\n  => {what}", script.len())
}

/// What does not hold, wherever it does not.
fn kind(what: &str) -> String {
    what.chars().filter(|char| !char.is_ascii_digit()).collect()
}
