//! Confluent's wire format: a zero byte, the schema id as four bytes big-endian, the Avro datum.
//! <https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>

const MAGIC: u8 = 0;
const HEADER: usize = 5;

/// The bytes do not begin with a zero byte and a schema id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value is not in Confluent's wire format: {0}")]
pub struct NotFramed(&'static str);

/// The header of a record written with this schema; the datum goes behind it.
#[must_use]
pub fn header(schema_id: u32) -> [u8; HEADER] {
    let [a, b, c, d] = schema_id.to_be_bytes();
    [MAGIC, a, b, c, d]
}

/// The id of the writer's schema, and the datum.
///
/// # Errors
/// [`NotFramed`] when the bytes are too short or begin otherwise, as those of a plain JSON producer do.
pub fn unframe(bytes: &[u8]) -> Result<(u32, &[u8]), NotFramed> {
    match bytes {
        [MAGIC, a, b, c, d, datum @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum)),
        [MAGIC, ..] | [] => Err(NotFramed("shorter than its five bytes of header")),
        [b'{' | b'[', ..] => Err(NotFramed(
            "it looks like JSON text; write it with an Avro serializer that knows the schema registry",
        )),
        [_, ..] => Err(NotFramed("the first byte is not 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_framed_is_found_again() {
        let mut bytes = header(0x0102_0304).to_vec();
        assert_eq!(bytes, [0, 1, 2, 3, 4]);
        bytes.extend(b"datum");
        assert_eq!(unframe(&bytes), Ok((0x0102_0304, &b"datum"[..])));
    }

    #[test]
    fn anything_else_says_why_it_is_not() {
        for bytes in [&b""[..], b"\0", b"\0\0\0\0", b"{\"a\":1}"] {
            assert!(unframe(bytes).is_err(), "{bytes:?}");
        }
    }
}
