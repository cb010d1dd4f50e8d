//! The queue of one partition, read event by event. The wrapper's forgets at which offset a partition ended, and that is
//! how one learns of offsets that hold no record behind the last one (markers, aborted records): nothing else tells.

use std::{
    ffi::{CString, c_void},
    ptr::{self, NonNull},
    slice,
    sync::Arc,
};

use bytes::Bytes;
use rdkafka::{
    bindings::{
        RD_KAFKA_EVENT_ERROR, RD_KAFKA_EVENT_FETCH, rd_kafka_event_destroy, rd_kafka_event_error,
        rd_kafka_event_error_is_fatal, rd_kafka_event_message_next, rd_kafka_event_t, rd_kafka_event_topic_partition,
        rd_kafka_event_type, rd_kafka_message_t, rd_kafka_message_timestamp, rd_kafka_queue_cb_event_enable,
        rd_kafka_queue_destroy, rd_kafka_queue_forward, rd_kafka_queue_get_partition, rd_kafka_queue_poll,
        rd_kafka_queue_t, rd_kafka_t, rd_kafka_timestamp_type_t, rd_kafka_topic_partition_destroy,
    },
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};

use super::headers;
use crate::{Headers, Record, TopicPartition, record::now_ms};

/// What a partition's queue holds.
pub(crate) enum Event {
    Record(Record),
    /// Everything below this offset that is committed was given: from the last record on there is none.
    End(i64),
    Failed(KafkaError),
}

type Ring = Box<dyn Fn() + Send + Sync>;

pub(crate) struct PartitionQueue<C: ConsumerContext + 'static> {
    topic: Arc<str>,
    queue: NonNull<rd_kafka_queue_t>,
    /// What the queue's callback calls.
    _ring: Box<Ring>,
    /// Outlives the queue.
    _consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: a queue of librdkafka may be used from any thread, and its callback is `Send` and `Sync`.
unsafe impl<C: ConsumerContext + 'static> Send for PartitionQueue<C> {}

impl<C: ConsumerContext + 'static> PartitionQueue<C> {
    /// What is fetched of the partition from here on lies in this queue alone; `ring` is called, on threads of librdkafka,
    /// when it is no longer empty. `None` if there is no such partition.
    pub(crate) fn split(
        consumer: &Arc<BaseConsumer<C>>,
        partition: &TopicPartition,
        ring: impl Fn() + Send + Sync + 'static,
    ) -> Option<Self> {
        unsafe extern "C" fn nonempty(_: *mut rd_kafka_t, ring: *mut c_void) {
            // SAFETY: the pointer is to the `Ring` that the queue keeps until it has taken the callback back.
            unsafe { (*ring.cast::<Ring>())() };
        }

        let topic = CString::new(&*partition.topic).ok()?;
        let ring: Box<Ring> = Box::new(Box::new(ring));
        let opaque = ptr::from_ref::<Ring>(&ring).cast_mut().cast();
        // SAFETY: client and topic name are valid for the call; the queue is ours until it is destroyed; the ring lives, at
        // its place on the heap, until the queue's drop has taken the callback back.
        let queue = unsafe {
            let client = consumer.client().native_ptr();
            let queue = NonNull::new(rd_kafka_queue_get_partition(
                client,
                topic.as_ptr(),
                partition.partition,
            ))?;
            rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut());
            rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(nonempty), opaque);
            queue
        };
        Some(Self {
            topic: Arc::clone(&partition.topic),
            queue,
            _ring: ring,
            _consumer: Arc::clone(consumer),
        })
    }

    /// What lies ready.
    pub(crate) fn poll(&self) -> Option<Event> {
        loop {
            // SAFETY: the queue lives as long as `self`; the event is ours, is only read, and is destroyed once.
            unsafe {
                let event = rd_kafka_queue_poll(self.queue.as_ptr(), 0);
                if event.is_null() {
                    return None;
                }
                let taken = match rd_kafka_event_type(event) {
                    RD_KAFKA_EVENT_FETCH => self.fetched(event),
                    RD_KAFKA_EVENT_ERROR => Some(error(event)),
                    _ => None,
                };
                rd_kafka_event_destroy(event);
                if taken.is_some() {
                    return taken;
                }
            }
        }
    }

    /// # Safety
    /// The event must be one of records.
    unsafe fn fetched(&self, event: *mut rd_kafka_event_t) -> Option<Event> {
        // SAFETY: a message lives as long as its event; a fetch event of a queue that is polled holds one.
        unsafe {
            let message = rd_kafka_event_message_next(event);
            let code = RDKafkaErrorCode::from(message.as_ref()?.err);
            Some(match code {
                RDKafkaErrorCode::NoError => Event::Record(record(Arc::clone(&self.topic), message)),
                code => Event::Failed(KafkaError::MessageConsumption(code)),
            })
        }
    }
}

impl<C: ConsumerContext + 'static> Drop for PartitionQueue<C> {
    fn drop(&mut self) {
        // SAFETY: the queue is ours; without its callback it does not need the ring any more, which goes after this.
        unsafe {
            rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

/// # Safety
/// The event must be one of an error.
unsafe fn error(event: *mut rd_kafka_event_t) -> Event {
    // SAFETY: as the caller says; the partition that an event names is a copy that is ours and destroyed once.
    unsafe {
        let code = RDKafkaErrorCode::from(rd_kafka_event_error(event));
        if code == RDKafkaErrorCode::PartitionEOF {
            let place = rd_kafka_event_topic_partition(event);
            if let Some(end) = place.as_ref().map(|place| place.offset) {
                rd_kafka_topic_partition_destroy(place);
                return Event::End(end);
            }
        }
        Event::Failed(if rd_kafka_event_error_is_fatal(event) == 0 {
            KafkaError::MessageConsumption(code)
        } else {
            KafkaError::MessageConsumptionFatal(code)
        })
    }
}

/// A copy: the message may go.
pub(crate) fn detach(topic: Arc<str>, message: &BorrowedMessage<'_>) -> Record {
    // SAFETY: the message is valid while borrowed.
    unsafe { record(topic, message.ptr()) }
}

/// # Safety
/// `message` must be a record that was fetched.
unsafe fn record(topic: Arc<str>, message: *const rd_kafka_message_t) -> Record {
    // SAFETY: as the caller says; a key or value that is not null has the length beside it; the call writes to the variable.
    unsafe {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let timestamp = rd_kafka_message_timestamp(message, &raw mut kind);
        let bytes = |first: *mut c_void, length: usize| {
            (!first.is_null()).then(|| Bytes::copy_from_slice(slice::from_raw_parts(first.cast(), length)))
        };
        Record {
            topic,
            partition: (*message).partition,
            offset: (*message).offset,
            read_ms: now_ms(),
            append_time: kind == rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME,
            timestamp_ms: if timestamp == -1 { 0 } else { timestamp },
            key: bytes((*message).key, (*message).key_len),
            value: bytes((*message).payload, (*message).len),
            headers: Headers::guarded(|| headers::read(message)),
        }
    }
}
