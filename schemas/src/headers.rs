//! Names of the record headers that Millrace reads and writes. Values are UTF-8 text.

/// The id of the run; wins over the field of the record.
pub const REQUEST_ID: &str = "request-id";
pub const TENANT: &str = "tenant";
/// `topic/partition/offset` of the request that led to this record.
pub const SRC: &str = "src";
/// W3C Trace Context, version 00.
pub const TRACEPARENT: &str = "traceparent";
