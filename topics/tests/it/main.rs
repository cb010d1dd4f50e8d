//! The doors of this crate, on a real broker.

#![cfg(test)]

mod admin;
mod engine;
mod follower;
mod outage;
mod producer;
mod space;
mod tail;
