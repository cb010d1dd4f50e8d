//! The recorder against a real broker, registry and Postgres.

mod stories;
mod world;
