//! SHAPES: what the records are, on the wire (Avro in Confluent's framing, ids from a schema registry) and in Rust.
//! The only crate that knows apache-avro and the registry's API. The shapes at rest are `migrations/*.sql`.
//!
//! One file per record type. [`Registry`] makes the [`Encoder`] and [`Decoder`] of each; [`identity`] derives who a
//! request is, once for all roles.

mod attempt;
mod audit;
mod brief;
mod chain;
mod codec;
mod codecs;
mod dead_letter;
mod document;
mod instance;
mod migrations;
mod money;
mod request;
mod result;
mod shape;
mod timestamp;
mod token;

pub mod decoder;
pub mod encoder;
pub mod headers;
pub mod identity;
pub mod json;
pub mod plain;
pub mod registry;
pub mod wire;

pub use attempt::{Attempt, phase};
pub use audit::{Audit, RetrievedDocument, StepTaken, audit_kind};
pub use brief::brief;
pub use chain::{ChainRecord, ChainReference, is_name as is_chain_name};
pub use codec::{Corruption, Misfit};
pub use dead_letter::{DeadLetter, LeftOut, RawHeader};
pub use decoder::{DecodeError, Decoder};
pub use document::Document;
pub use encoder::{EncodeError, Encoder};
pub use instance::{
    Instance, InstanceChain, InstanceGroup, InstanceLimit, InstancePartition, InstanceRecorded, InstanceRole,
};
pub use migrations::MIGRATIONS;
pub use money::Money;
pub use plain::{Plain, PlainDecoder, PlainEncoder};
pub use registry::{Check, Registry, RegistryError, RegistrySettings};
pub use request::{Request, request_kind};
pub use result::{RunError, RunResult, Timings, Usage, status, usage_source};
pub use shape::{Definition, Shape, topics};
pub use timestamp::Timestamp;
pub use token::Token;
