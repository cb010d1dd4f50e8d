//! Fault runs: real processes under load, things that break, and a judge that believes nobody.
//!
//! The driver (`bin/chaos`) and the judge (`bin/check-history`) are separate programs. They meet in a [`RunFolder`] only: the
//! driver writes what it did and saw, the judge reads it beside the topics, the committed offsets and Postgres.

pub mod check;
mod run_folder;
pub mod schedule;

pub use run_folder::{Crash, Decision, Fault, Fed, Plan, RunFolder, Seen, Summary};
