//! Headers whose names are any bytes.
//!
//! The protocol gives a name with its length, and brokers store it as it is; librdkafka's API hands it out as a string
//! that ends at its first NUL, and the wrapper makes a `str` of that or panics. Two mends: names are bytes, and their
//! length is read where librdkafka keeps it, in the struct that the name is the end of. That struct is no part of its API:
//! it is read as of the one version that was looked at, and the test below fails with any other. (To walk the bytes of
//! the fetched batch instead would need a decoder of all compressions beside librdkafka's.)

use std::{
    ffi::{CStr, c_char, c_void},
    mem::offset_of,
    ptr, slice,
};

use bytes::Bytes;
use rdkafka::{
    bindings::{
        rd_kafka_header_add, rd_kafka_header_cnt, rd_kafka_header_get_all, rd_kafka_headers_t,
        rd_kafka_message_headers, rd_kafka_message_t, rd_kafka_version,
    },
    error::RDKafkaErrorCode,
    message::OwnedHeaders,
};

use crate::Headers;

/// librdkafka 2.12.1, final.
const LOOKED_AT: i32 = 0x020c_01ff;

/// `rd_kafka_header_t` in its `rdkafka_header.h`.
#[repr(C)]
struct Header {
    serialized_size: usize,
    value_size: usize,
    name_size: usize,
    value: *const c_void,
    /// The name, then a NUL.
    name: [u8; 0],
}

/// # Safety
/// `message` must be a record that was fetched.
pub(super) unsafe fn read(message: *const rd_kafka_message_t) -> Headers {
    let mut native = ptr::null_mut();
    // SAFETY: as the caller says; the call writes to the pointer.
    let error = unsafe { rd_kafka_message_headers(message, &raw mut native) };
    match RDKafkaErrorCode::from(error) {
        // SAFETY: without an error the pointer is to the headers of the message, and lives as long as it.
        RDKafkaErrorCode::NoError => unsafe { copy(native) },
        RDKafkaErrorCode::NoEnt => Headers::new(),
        code => Headers::lost(format!(
            "the client cannot read the headers ({code:?}): it takes up to 100,000 of them"
        )),
    }
}

/// `None` for none.
pub(crate) fn write(headers: &Headers) -> Option<OwnedHeaders> {
    let count = headers.iter().len();
    if count == 0 {
        return None;
    }
    let owned = OwnedHeaders::new_with_capacity(count);
    for (name, value) in headers.iter() {
        let (bytes, size) = value.map_or((ptr::null(), 0), |value| (value.as_ptr(), value.len()));
        // SAFETY: to the wrapper a reference to headers is their native address, and these are ours alone until they are
        // returned; name and value are valid for the call, with their lengths, and are copied. A slice is never longer than
        // `isize::MAX`. The call fails for nothing.
        unsafe {
            rd_kafka_header_add(
                native(&owned).cast_mut(),
                name.as_ptr().cast(),
                name.len() as isize,
                bytes.cast(),
                size as isize,
            );
        }
    }
    Some(owned)
}

fn native(owned: &OwnedHeaders) -> *const rd_kafka_headers_t {
    ptr::from_ref(owned.as_borrowed()).cast()
}

/// # Safety
/// `native` must be headers of librdkafka that nobody changes meanwhile.
unsafe fn copy(native: *const rd_kafka_headers_t) -> Headers {
    // SAFETY: as the caller says.
    let count = unsafe { rd_kafka_header_cnt(native) };
    let mut headers = Headers::with_capacity(count);
    for index in 0..count {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: as the caller says; the call writes to the three variables. The value it names, unless null, has `size`
        // bytes, and the name is one that librdkafka made.
        unsafe {
            rd_kafka_header_get_all(native, index, &raw mut name, &raw mut value, &raw mut size);
            let value = (!value.is_null()).then(|| Bytes::copy_from_slice(slice::from_raw_parts(value.cast(), size)));
            headers.push(bytes(name), value);
        }
    }
    headers
}

/// # Safety
/// `name` must be null or the name of a header as librdkafka hands it out, and live for `'a`.
unsafe fn bytes<'a>(name: *const c_char) -> &'a [u8] {
    if name.is_null() {
        return &[];
    }
    // SAFETY: the name is the end of a struct that is known for this version, so its length lies before it; else it ends at
    // its NUL, which librdkafka puts behind every name.
    unsafe {
        if rd_kafka_version() != LOOKED_AT {
            return CStr::from_ptr(name).to_bytes();
        }
        let before = offset_of!(Header, name) - offset_of!(Header, name_size);
        let size = name.byte_sub(before).cast::<usize>().read();
        slice::from_raw_parts(name.cast(), size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn survive(headers: &Headers) -> Headers {
        let owned = write(headers).unwrap();
        // SAFETY: `owned` lives until the end, and nobody else has it.
        unsafe { copy(native(&owned)) }
    }

    #[test]
    fn librdkafka_is_the_version_whose_headers_were_looked_at() {
        // SAFETY: asks for a constant.
        let version = unsafe { rd_kafka_version() };
        assert_eq!(
            version, LOOKED_AT,
            "compare rd_kafka_header_t in src/rdkafka_header.h with `Header`, then change LOOKED_AT"
        );
    }

    proptest! {
        #[test]
        fn names_and_values_are_any_bytes(
            all in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), prop::option::of(prop::collection::vec(any::<u8>(), 0..40))), 1..40)
        ) {
            let mut headers = Headers::new();
            for (name, value) in all {
                headers.push(name, value.map(Bytes::from));
            }
            prop_assert_eq!(survive(&headers), headers);
        }
    }

    #[test]
    fn a_nul_ends_no_name_and_an_empty_value_is_not_a_null_one() {
        let mut headers = Headers::new()
            .with(b"a\0b", "")
            .with(b"\0", "1")
            .with(b"\xff", "2")
            .with("", "3");
        headers.push(b"\0\0", None);
        assert_eq!(survive(&headers), headers);
    }
}
