//! The few calls that go to librdkafka itself, because the wrapper has no door for them or a slow one. The only module
//! with `unsafe`.
//!
//! - headers ([`headers`]): the wrapper panics on names that are not UTF-8.
//! - queues of partitions ([`queue`]): the wrapper forgets where a partition ended.
//! - groups ([`groups`]): the wrapper panics on client ids that are not UTF-8, which any client may have.
//! - `commit_transaction` and `flush`: the wrapper's poll in 100 ms steps; librdkafka's own wait on a condition variable
//!   and skip linger.
//! - group metadata: the wrapper hides generation and member, and what has a generation below 0 must never be sent.
//! - committed metadata: the wrapper panics on metadata that is not UTF-8, which any other program may have written.
//! - cached watermarks: the wrapper only asks the broker.
//! - one partition's position: the wrapper asks for all of them.
#![expect(unsafe_code, reason = "calls into librdkafka, each with its reason")]

pub(crate) mod groups;
pub(crate) mod headers;
pub(crate) mod queue;

use std::{
    ffi::{CStr, CString, c_char},
    ptr, slice,
    time::Duration,
};

use rdkafka::{
    TopicPartitionList,
    bindings::{
        rd_kafka_commit_transaction, rd_kafka_consumer_group_metadata, rd_kafka_consumer_group_metadata_destroy,
        rd_kafka_consumer_group_metadata_generation_id, rd_kafka_consumer_group_metadata_member_id,
        rd_kafka_consumer_group_metadata_new_with_genid, rd_kafka_error_code, rd_kafka_error_destroy,
        rd_kafka_error_is_fatal, rd_kafka_error_is_retriable, rd_kafka_error_string, rd_kafka_error_t,
        rd_kafka_error_txn_requires_abort, rd_kafka_flush, rd_kafka_get_watermark_offsets, rd_kafka_position,
        rd_kafka_send_offsets_to_transaction,
    },
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::RDKafkaErrorCode,
    producer::{Producer, ProducerContext, ThreadedProducer},
};

use crate::{TopicPartition, engine::core::Membership};

/// What went wrong in a transaction, and what librdkafka says must be done about it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message} ({code:?})")]
pub struct TransactionError {
    pub code: RDKafkaErrorCode,
    /// The producer is of no use any more.
    pub fatal: bool,
    /// The same call again goes on where it stopped.
    pub retriable: bool,
    /// The transaction must be aborted.
    pub abort: bool,
    message: String,
}

/// Waits for all records of the transaction, then commits it. Without a timeout of its own: librdkafka gives up when the
/// transaction's is over.
///
/// # Errors
/// See [`TransactionError`].
pub fn commit_transaction<C: ProducerContext + 'static>(
    producer: &ThreadedProducer<C>,
) -> Result<(), TransactionError> {
    // SAFETY: the client pointer is valid while `producer` is borrowed, and librdkafka's API is thread-safe.
    take(unsafe { rd_kafka_commit_transaction(producer.client().native_ptr(), -1) })
}

/// Sends what waits to be batched, and returns when all of it has an answer or the time is over.
pub(crate) fn flush<C: ProducerContext + 'static>(producer: &ThreadedProducer<C>, timeout: Duration) {
    let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client pointer is valid while `producer` is borrowed, and librdkafka's API is thread-safe. Its error says
    // no more than that the time is over: the commit waits for the records itself.
    unsafe { rd_kafka_flush(producer.client().native_ptr(), milliseconds) };
}

/// Sends the offsets as `membership`, or as nobody (which brokers do not check) for a group that has no members.
pub(crate) fn send_offsets<C: ProducerContext + 'static>(
    producer: &ThreadedProducer<C>,
    offsets: &TopicPartitionList,
    group: &str,
    membership: Option<&Membership>,
    timeout: Duration,
) -> Result<(), TransactionError> {
    let group = text(group)?;
    let member = text(membership.map_or("", |membership| &membership.member))?;
    let instance = membership
        .and_then(|membership| membership.instance.as_deref())
        .map(text)
        .transpose()?;
    let generation = membership.map_or(-1, |membership| membership.generation);
    let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: all strings are NUL-terminated and outlive the calls, which copy them; the metadata is made here and
    // destroyed here, after its only use; client and list are valid while borrowed.
    take(unsafe {
        let metadata = rd_kafka_consumer_group_metadata_new_with_genid(
            group.as_ptr(),
            generation,
            member.as_ptr(),
            instance.as_ref().map_or(ptr::null(), |instance| instance.as_ptr()),
        );
        let error =
            rd_kafka_send_offsets_to_transaction(producer.client().native_ptr(), offsets.ptr(), metadata, milliseconds);
        rd_kafka_consumer_group_metadata_destroy(metadata);
        error
    })
}

/// Generation and member as they are now. To be called in a rebalance event only.
pub(crate) fn membership<C: ConsumerContext>(consumer: &BaseConsumer<C>, instance: Option<&str>) -> Option<Membership> {
    // SAFETY: the client pointer is valid while `consumer` is borrowed; the metadata is a copy that is ours until it is
    // destroyed here, and the member id in it is NUL-terminated and copied before.
    unsafe {
        let metadata = rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
        if metadata.is_null() {
            return None;
        }
        let membership = Membership {
            generation: rd_kafka_consumer_group_metadata_generation_id(metadata),
            member: string(rd_kafka_consumer_group_metadata_member_id(metadata)),
            instance: instance.map(str::to_owned),
        };
        rd_kafka_consumer_group_metadata_destroy(metadata);
        Some(membership)
    }
}

/// One partition of an answer to a read of committed offsets.
pub(crate) struct CommittedOffset {
    pub partition: TopicPartition,
    /// Offset and metadata, if there is a commit; or why this partition could not be read.
    pub committed: Result<Option<(i64, String)>, RDKafkaErrorCode>,
}

pub(crate) fn committed_offsets(list: &TopicPartitionList) -> Vec<CommittedOffset> {
    // SAFETY: the list is valid while borrowed and holds `cnt` elements, each with a NUL-terminated topic name and
    // `metadata_size` bytes of metadata (none if the pointer is null).
    let elements = unsafe {
        let list = &*list.ptr();
        match usize::try_from(list.cnt) {
            Ok(count) if count > 0 => slice::from_raw_parts(list.elems, count),
            _ => &[],
        }
    };
    let read = |element: &rdkafka::bindings::rd_kafka_topic_partition_t| {
        // SAFETY: as above.
        let (topic, metadata) = unsafe {
            let metadata: &[u8] = if element.metadata.is_null() {
                &[]
            } else {
                slice::from_raw_parts(element.metadata.cast(), element.metadata_size)
            };
            (string(element.topic), String::from_utf8_lossy(metadata).into_owned())
        };
        let committed = match RDKafkaErrorCode::from(element.err) {
            RDKafkaErrorCode::NoError => Ok((element.offset >= 0).then_some((element.offset, metadata))),
            error => Err(error),
        };
        CommittedOffset {
            partition: TopicPartition::new(topic, element.partition),
            committed,
        }
    };
    elements.iter().map(read).collect()
}

/// The end of the partition's log as the last fetch told it; nothing is asked.
pub(crate) fn known_end<C: ConsumerContext>(consumer: &BaseConsumer<C>, partition: &TopicPartition) -> Option<i64> {
    let topic = CString::new(&*partition.topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    // SAFETY: client and topic name are valid for the call, which writes to the two integers.
    unsafe {
        rd_kafka_get_watermark_offsets(
            consumer.client().native_ptr(),
            topic.as_ptr(),
            partition.partition,
            &raw mut low,
            &raw mut high,
        );
    }
    (high >= 0).then_some(high)
}

/// The offset behind all that this consumer was given of a partition, markers included: the wrapper only tells it of all
/// partitions at once. None before the first.
pub(crate) fn position<C: ConsumerContext>(consumer: &BaseConsumer<C>, partition: &TopicPartition) -> Option<i64> {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(&partition.topic, partition.partition);
    // SAFETY: client and list are valid for the call, which writes an offset into the one element of the list.
    unsafe { rd_kafka_position(consumer.client().native_ptr(), list.ptr()) };
    list.elements().first()?.offset().to_raw().filter(|offset| *offset >= 0)
}

fn take(error: *mut rd_kafka_error_t) -> Result<(), TransactionError> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: a non-null error is ours: it is read and then destroyed, once.
    unsafe {
        let taken = TransactionError {
            code: rd_kafka_error_code(error).into(),
            fatal: rd_kafka_error_is_fatal(error) != 0,
            retriable: rd_kafka_error_is_retriable(error) != 0,
            abort: rd_kafka_error_txn_requires_abort(error) != 0,
            message: string(rd_kafka_error_string(error)),
        };
        rd_kafka_error_destroy(error);
        Err(taken)
    }
}

/// # Safety
/// `text` must be null or NUL-terminated.
unsafe fn string(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn text(text: &str) -> Result<CString, TransactionError> {
    CString::new(text).map_err(|error| TransactionError {
        code: RDKafkaErrorCode::InvalidArgument,
        fatal: false,
        retriable: false,
        abort: false,
        message: error.to_string(),
    })
}
