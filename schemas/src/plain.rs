//! Records whose schema is their owner's: any Avro record ↔ JSON.

mod decode;
mod encode;
mod json_schema;
mod scalar;
mod union;

pub use decode::{Plain, PlainDecoder};
pub use encode::PlainEncoder;
pub(crate) use encode::default_value;
