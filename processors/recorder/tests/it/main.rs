//! The recorder against a real broker, registry and Postgres.

#![cfg(test)]

mod deaths;
mod gaps;
mod hostile;
mod judge;
mod slow;
mod stories;
mod worker;
mod world;
