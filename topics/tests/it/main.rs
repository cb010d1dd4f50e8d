//! The doors of this crate, on a real broker.

mod admin;
mod engine;
mod follower;
mod outage;
mod producer;
mod space;
mod tail;
