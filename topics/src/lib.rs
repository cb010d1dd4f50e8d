//! EDGES: everything that moves a record. The only crate that knows rdkafka, and it knows bytes, not Avro.
//!
//! In reading order: what a record is, how to reach the brokers, which topics exist ([`catalog`], [`admin`]), and the
//! five ways to touch them: the exactly-once [`engine`], the acknowledged [`Producer`], the groupless [`Tail`], the
//! [`Lookup`] of one record and the [`Follower`] whose positions live elsewhere. [`Ends`] says where topics end,
//! [`standing`] how far the groups are.

mod client;
mod ends;
mod flusher;
mod follower;
mod lookup;
mod native;
mod partition;
mod producer;
mod queues;
mod record;
mod settings;
mod tail;

pub mod admin;
pub mod catalog;
pub mod engine;
pub mod history;
pub mod standing;

pub use catalog::Catalog;
pub use ends::{Ends, EndsError};
pub use follower::{Batch, Follower, FollowerError, FollowerSettings, Positions};
pub use history::History;
pub use lookup::{Lookup, LookupError};
/// For the floors of `make bench`, which are raw clients: with the wrapper's commit they would be no floors.
#[doc(hidden)]
pub use native::{TransactionError, commit_transaction};
pub use partition::TopicPartition;
pub use producer::{ProduceError, Producer, ProducerSettings};
pub use record::{Headers, Output, Record};
pub use settings::KafkaSettings;
pub use tail::{Start, Tail, TailError, TailEvent, TailSettings, TailStatus};
