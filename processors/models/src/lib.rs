//! Model providers behind one caller: limits → write-ahead → send → classify → retry or fall back → books.
//!
//! Knows no Kafka and no SQL: whoever calls supplies [`Books`], where a paid call is written down before it leaves.
//! In reading order: the models file ([`Models`]), what is asked and answered ([`ChatRequest`], [`EmbedResponse`]), the
//! [`Caller`] that does it, and what can go wrong ([`ModelError`]).
//!
//! Three decisions shape the crate:
//! - **Codecs are pure.** A provider dialect turns a request into bytes and bytes into an answer, without I/O, so that
//!   golden files and arbitrary bytes can test it. One caller owns the connection, the clock and the money.
//! - **An attempt is never silent.** Whatever happens to it, it ends as one [`schemas::Audit`] row in [`Called`], or,
//!   when its caller went away, as `abandoned` in the books.
//! - **Nothing below the caller retries**: every send is one attempt, so attempts, audit and bill agree.

mod books;
mod budget;
mod call;
mod caller;
mod chat;
mod config;
mod content;
mod context;
mod dialect;
mod embedding;
mod error;
mod limit_wait;
mod metrics;
mod worst;

pub use books::{Books, BooksError, Unrecorded};
pub use budget::{Budget, Limit};
pub use call::Called;
pub use caller::{Caller, ClientError, Rendered, Retry};
pub use chat::{ChatRequest, ChatResponse, FinishReason, Format, Message, Method, Role, Tool, ToolCall};
pub use config::{DEFAULT_FILE, Feature, Kind, Model, Models, Position, Price, Problem};
pub use content::{Content, Detail, ImageUrl, Part};
pub use context::CallContext;
pub use dialect::openai::MAX_EMBED_INPUTS;
pub use embedding::EmbedResponse;
pub use error::{ErrorClass, ModelError};
pub use limit_wait::LimitWait;
pub use worst::Worst;
