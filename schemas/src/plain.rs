//! Records whose schema is their owner's: any Avro record ↔ JSON.

mod decode;
mod encode;

pub use decode::PlainDecoder;
pub use encode::PlainEncoder;
