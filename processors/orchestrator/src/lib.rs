//! Requests → results, audit and dead letters: the node that runs chains.
//!
//! In reading order: a [`Chain`], which is a file that is checked before it runs; the [`Chains`] of a process, and how
//! they are published; and the node of the exactly-once engine that decodes requests, runs chains under their deadlines
//! and writes what became of them. [`run`] is the role.
//!
//! A chain can also be run by hand, without Kafka: [`Chain::accept`] and [`Chain::run`].

mod barrier;
mod chain;
mod chain_files;
mod chains;
mod emission;
mod error;
mod metrics;
mod node;
mod outputs;
mod oversized;
mod peers;
mod publication;
mod reload;
mod report;
mod request;
mod service;
mod settings;

pub use chain::{
    Accepted, Approval, Bill, Chain, Change, Context, Difference, Ending, Failure, HashKey, Others, Outcome, Position,
    Problem, Resources, SCHEMA, Services, ShortHashKey, State, Targets, Trial, Verdict,
};
pub use chain_files::{LoadError, load_one};
pub use chains::{Chains, Conflict, Missing};
pub use error::Error;
pub use service::{Dependencies, run};
pub use settings::{GROUP, Settings};
