//! The recorder against a real broker, registry and Postgres.

#![cfg(test)]

mod stories;
mod world;
