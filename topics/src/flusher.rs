//! Ends the lingering of a producer: what it has been given is sent at once.
//!
//! A batch is what a broker works on, and small ones cost it twice the processor, so producers linger; but what comes alone,
//! or as the last of a transaction, is not to wait for company that does not come. It is a thread because librdkafka's flush
//! blocks until all is acknowledged.

use std::{
    sync::{
        Arc,
        mpsc::{self, SyncSender},
    },
    thread,
    time::Duration,
};

use rdkafka::producer::{ProducerContext, ThreadedProducer};

use crate::native;

/// Ends with its owner.
pub(crate) struct Flusher(SyncSender<()>);

impl Flusher {
    /// `within`: from then on what is still not acknowledged lingers again.
    pub(crate) fn start<C: ProducerContext + 'static>(producer: &Arc<ThreadedProducer<C>>, within: Duration) -> Self {
        let (produced, is_produced) = mpsc::sync_channel(1);
        let producer = Arc::clone(producer);
        let flush = move || {
            for () in is_produced {
                native::flush(&producer, within);
            }
        };
        if let Err(error) = thread::Builder::new().name("flusher".to_owned()).spawn(flush) {
            tracing::error!(%error, "cannot start a thread: records wait until they do not linger any more");
        }
        Self(produced)
    }

    /// Does not block.
    pub(crate) fn flush(&self) {
        // Full: it is about to flush anyway.
        let _ = self.0.try_send(());
    }
}
