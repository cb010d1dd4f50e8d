//! Sends what a transaction has produced while its offsets are sent.
//!
//! Decision: the producer lingers long, so that a large transaction is a few large batches (a batch is what a broker works
//! on: small ones cost it twice the processor), and this thread ends the lingering as soon as all of a transaction is
//! produced, so that a small one waits for nothing. Its round trip to the partitions' leaders runs beside those to the
//! coordinator; the commit waits for both.

use std::{
    sync::{
        Arc,
        mpsc::{self, SyncSender},
    },
    thread,
    time::Duration,
};

use rdkafka::producer::ThreadedProducer;

use super::events::ProducerEvents;
use crate::native;

/// Longer than [`super::clients`] lets a record linger: after it nothing lingers any more.
const WITHIN: Duration = Duration::from_millis(500);

/// Ends with its transactions.
pub(super) struct Flusher(SyncSender<()>);

impl Flusher {
    pub(super) fn start(producer: &Arc<ThreadedProducer<ProducerEvents>>) -> Self {
        let (produced, is_produced) = mpsc::sync_channel(1);
        let producer = Arc::clone(producer);
        let flush = move || {
            for () in is_produced {
                native::flush(&producer, WITHIN);
            }
        };
        if let Err(error) = thread::Builder::new().name("flusher".to_owned()).spawn(flush) {
            tracing::error!(%error, "cannot start a thread: transactions wait until nothing lingers");
        }
        Self(produced)
    }

    /// All of a transaction is produced.
    pub(super) fn flush(&self) {
        // Full: it is about to flush anyway.
        let _ = self.0.try_send(());
    }
}
