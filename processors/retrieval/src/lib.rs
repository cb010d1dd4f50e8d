//! Vector retrieval: a client of Pinecone's REST API and [`twin`], a local server that speaks the same API for
//! development and tests. No Kafka, no Avro, no models.
//!
//! Facts about the API come from Pinecone's OpenAPI documents (github.com/pinecone-io/pinecone-api, folders `2025-10`,
//! `2026-04`, `2026-07`) and from running its Python clients.
//!
//! A call that Millrace does not make yet is absent here: there is no stub that would fail at run time.

mod batch;
mod error;
mod index;
mod pinecone;
mod rerank;
mod spec;
mod transport;
mod vector;

pub mod twin;

pub use error::RetrievalError;
pub use index::{Delete, Index, IndexStats, NamespaceStats};
pub use pinecone::{API_VERSION, ApiKey, IndexDescription, Pinecone, PineconeSettings};
pub use rerank::{MAX_RERANKED, Ranked, Rerank};
pub use spec::{FieldType, IndexSpec, Metric};
pub use vector::{Match, Metadata, Query, Vector};
