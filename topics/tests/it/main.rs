//! The doors of this crate, on a real broker.

#![cfg(test)]

mod admin;
mod engine;
mod follower;
mod lookup;
mod outage;
mod producer;
mod space;
mod tail;
