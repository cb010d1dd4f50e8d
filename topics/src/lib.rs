//! EDGES: everything that moves a record. The only crate that knows rdkafka, and it knows bytes, not Avro.
//!
//! In reading order: what a record is, how to reach the brokers, which topics exist, and the four ways to touch them:
//! the exactly-once [`engine`], the acknowledged [`producer`], the groupless [`tail`] and the [`follower`] whose
//! positions live elsewhere.

mod record;
mod settings;

pub mod engine;

pub use record::{Headers, Output, Record};
pub use settings::KafkaSettings;
