//! The engine's deciding core under a seed: several processes against a model of the brokers, with crashes, pauses past
//! the session, rebalances, lost and late answers, calls that hang, members that are cut off and brokers that restart, in any
//! order. The code that decides is the very code that runs in production; only what carries it out is modelled
//! ([`process`], [`committer`]).
//!
//! After every step: a result is visible exactly if its offset is below the watermark or in the map; no result is there
//! twice; the results of a key are in the order of its records; a partition that was taken over leaves nothing open that
//! would hold up readers of the results; none is claimed of which nobody knows where it begins. At the end, when nothing goes
//! wrong any more, every record gets its result, each log is committed as read to its end, nothing stays open, and a clean stop
//! releases every partition.
//!
//! A transaction that a broker tore is excused from the first two, because nobody can know of it at once. But whoever wrote it, and
//! holds the partition still after it had looked, has made up for it in the end: done, and one result.
//!
//! A schedule is a function of its seed. One that fails is made as short as it gets and told step by step.

mod broker;
mod chance;
mod check;
mod committer;
mod group;
mod mutation;
mod process;
mod shrink;
#[cfg(test)]
mod tests;
mod world;

use self::{chance::Script, world::World};

pub use mutation::Mutation;
pub use shrink::shrink;

/// What went wrong, and where to find it again.
#[derive(Debug, thiserror::Error)]
#[error("SEED={seed}, step {step}: {what}")]
pub struct Violation {
    pub seed: u64,
    pub step: usize,
    pub what: String,
    script: Script,
}

/// What a schedule did, so that one can see that it did something.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub results: usize,
    pub crashes: usize,
    pub expulsions: usize,
    pub rebalances: usize,
    pub restarts: usize,
    pub hung: usize,
}

/// Runs one schedule.
///
/// # Errors
/// The first thing that does not hold.
pub fn run(seed: u64, mutation: Option<Mutation>) -> Result<Tally, Violation> {
    let mut world = World::new(seed, mutation);
    match world.run() {
        Ok(()) => Ok(world.tally()),
        Err(what) => Err(Violation {
            seed,
            step: world.step,
            what,
            script: world.script(),
        }),
    }
}
