//! Documents go in at a real topic, and what comes of them is read from the index, `audit` and `dead-letters`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod stories;
mod world;
