//! Ends what brokers left open: a transaction that carries nothing and is aborted.
//!
//! Decision: since Kafka 4.1 a transaction may end without its markers (KAFKA-20734). While a partition has no leader,
//! as all of a broker's do for a moment when it restarts after a crash, the coordinator takes it for deleted, skips its marker
//! and calls the transaction complete. In that partition it stays open, and two things follow:
//! - its read_committed readers hang, and so does every stable read of offsets that were sent in it;
//! - the next marker of the same producer id decides about it: **a later commit makes visible what was aborted.**
//!
//! So a producer that is initialised after trouble, or to fence a dead writer, first writes one empty record to every
//! partition of the output topics, sends one offset, and aborts: the markers of that abort end, in each partition, whatever an
//! earlier transaction left. Then the committed state of everything that is held is read, and whether the results of the last
//! commits are readable ([`super::torn`]): what was acknowledged but lost its markers is gone with the sweep, and is committed again.
//!
//! **Topics of others** are in nobody's way. Whoever fences a dead writer sweeps them after its claim, on the fencing producer,
//! while the work goes on: nothing of that writer's is ever committed again. Whoever replaces its own producer must not
//! write there before: outputs for a topic wait until it is swept ([`super::others`]), and nothing else does.

use rdkafka::{
    Offset, TopicPartitionList,
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, Producer as _},
};

use super::{attempt::Transactions, events::NO_RESULT};
use crate::native;

/// Tells the empty records from results, for those who read uncommitted.
const HEADER: &str = "millrace-sweep";

impl Transactions {
    /// Takes about as long as a transaction and a flush. Whoever is fenced meanwhile has nothing to sweep: the one who did it
    /// sweeps.
    pub(super) fn sweep(&self, topics: &[String]) -> Result<(), KafkaError> {
        match self.try_sweep(topics) {
            Err(error) if is_fenced(&error) => Ok(()),
            swept => swept,
        }
    }

    /// The same for one topic of others; what is in the way of it is in the way of nothing else.
    pub(super) fn sweep_of_others(&self, topic: &String) -> Result<(), KafkaError> {
        let swept = self.sweep(std::slice::from_ref(topic));
        if let Err(error) = &swept {
            tracing::warn!(
                topic,
                %error,
                "what brokers may have left open there was not ended: its readers may have to wait until it is"
            );
            self.producer.abort_transaction(self.timeout)?;
        }
        swept
    }

    fn try_sweep(&self, topics: &[String]) -> Result<(), KafkaError> {
        self.forget_outputs();
        self.producer.begin_transaction()?;
        let mut marked = None;
        for topic in topics {
            for partition in self.partitions(topic)? {
                // A compacted topic takes none without a key.
                let mark: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(topic, NO_RESULT);
                let mark = mark.partition(partition).key(HEADER.as_bytes());
                let header: Header<'_, &[u8]> = Header {
                    key: HEADER,
                    value: None,
                };
                let mark = mark.headers(OwnedHeaders::new().insert(header));
                self.producer.send(mark).map_err(|(error, _)| error)?;
                marked.get_or_insert(topic);
            }
        }
        native::flush(&self.producer, self.timeout);
        if let Some(refused) = self.refused() {
            return Err(KafkaError::MessageProduction(refused));
        }
        if let Some(topic) = marked {
            // An output topic is no input of the group: were this ever committed, nobody would read it.
            let mut offsets = TopicPartitionList::new();
            offsets.add_partition_offset(topic, 0, Offset::Offset(0))?;
            match native::send_offsets(&self.producer, &offsets, &self.group, None, self.timeout) {
                // Who may not read the topic may send no offset of it. The group is in the transaction by then, so the
                // abort marks it all the same.
                Ok(()) => {}
                Err(error) if error.code == Code::TopicAuthorizationFailed => {}
                Err(error) => return Err(KafkaError::ConsumerCommit(error.code)),
            }
        }
        self.producer.abort_transaction(self.timeout)
    }

    fn partitions(&self, topic: &str) -> Result<Vec<i32>, KafkaError> {
        let metadata = self.producer.client().fetch_metadata(Some(topic), self.timeout)?;
        let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
        Ok(partitions.map(|partition| partition.id()).collect())
    }
}

fn is_fenced(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
    )
}
