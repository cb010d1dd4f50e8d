//! Documents → split → embed → Pinecone.
//!
//! In reading order: how a document is [split](Splitting); how its chunks become vectors; how an index is brought to hold
//! exactly the chunks of the document's latest record; and the node of the exactly-once engine around it. [`run`] is the
//! role, [`documents_from`] makes documents of files.
//!
//! - **The index is made to match, not added to.** A chunk's id is made of the document's id and of everything that is
//!   stored of the chunk. What the index has already is neither embedded nor written again, and what the document no
//!   longer has is deleted. So a document indexed twice is stored (and paid) once, a changed one leaves nothing behind, a
//!   deleted one leaves nothing at all, and a record that is processed again after a crash does no harm.
//! - **A document has no result record**: nobody waits for one. What became of it is in `audit`, as for any run (chain
//!   `indexer`): a row for each paid call, and one for the document. One that cannot be indexed is a dead letter besides.
//! - **What is away is waited for.** While Pinecone or the model provider is down or over its limit, documents are tried
//!   again, for as long as [`Settings::patience`] says.

mod error;
mod files;
mod markdown;
mod metrics;
mod node;
mod outputs;
mod patience;
mod reader;
mod service;
mod settings;
mod split;
mod update;
mod vectors;

pub use error::Error;
pub use files::{FilesError, documents_from};
pub use service::{Dependencies, run};
pub use settings::{GROUP, Settings};
pub use split::{Chunk, Splitting, SplittingError};
