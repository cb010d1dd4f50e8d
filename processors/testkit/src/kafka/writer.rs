#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "for tests: a hundred milliseconds more or less are nothing here"
)]

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer},
};
use topics::Output;

use super::{PATIENCE, client};

/// Writes as Kafka Streams, Flink and Millrace do: in transactions, whose markers lie in the logs behind the records.
pub struct TransactionalWriter(FutureProducer);

impl TransactionalWriter {
    /// Whoever wrote under this id before is fenced.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn begin(bootstrap: &str, id: &str) -> Result<Self, KafkaError> {
        let producer: FutureProducer = client(bootstrap).set("transactional.id", id).create()?;
        let writer = Self(producer);
        writer.ask(|producer| producer.init_transactions(PATIENCE)).await?;
        Ok(writer)
    }

    /// All of them in one transaction; where each lies.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn commit(&self, outputs: Vec<Output>) -> Result<Vec<(i32, i64)>, KafkaError> {
        let places = self.write(outputs).await?;
        self.ask(|producer| producer.commit_transaction(PATIENCE)).await?;
        Ok(places)
    }

    /// Leaves offsets that hold no record for readers of what is committed.
    ///
    /// # Errors
    /// What the broker says.
    pub async fn abort(&self, outputs: Vec<Output>) -> Result<(), KafkaError> {
        self.write(outputs).await?;
        self.ask(|producer| producer.abort_transaction(PATIENCE)).await
    }

    async fn write(&self, outputs: Vec<Output>) -> Result<Vec<(i32, i64)>, KafkaError> {
        self.0.begin_transaction()?;
        let mut deliveries = Vec::new();
        for output in &outputs {
            let mut headers = OwnedHeaders::new();
            for (name, value) in output.headers.iter() {
                let key = &String::from_utf8_lossy(name);
                headers = headers.insert(Header { key, value });
            }
            let mut record = FutureRecord::<[u8], [u8]>::to(&output.topic).headers(headers);
            record.partition = output.partition;
            record.key = output.key.as_deref();
            record.payload = output.value.as_deref();
            deliveries.push(self.0.send_result(record).map_err(|(error, _)| error)?);
        }
        let mut places = Vec::new();
        for delivery in deliveries {
            let delivery = delivery.await.map_err(|_| KafkaError::Canceled)?;
            let place = delivery.map_err(|(error, _)| error)?;
            places.push((place.partition, place.offset));
        }
        Ok(places)
    }

    async fn ask(
        &self,
        ask: impl FnOnce(&FutureProducer) -> Result<(), KafkaError> + Send + 'static,
    ) -> Result<(), KafkaError> {
        let producer = self.0.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&producer));
        asked.await.map_err(|_| KafkaError::Canceled)?
    }
}

/// Where the log of a partition begins and ends.
///
/// # Errors
/// What the broker says.
pub fn log(bootstrap: &str, topic: &str, partition: i32) -> Result<(i64, i64), KafkaError> {
    let consumer: BaseConsumer = client(bootstrap).create()?;
    consumer.fetch_watermarks(topic, partition, PATIENCE)
}

/// As retention does: what lies before `offset` is gone.
///
/// # Errors
/// What the broker says.
pub async fn delete_before(bootstrap: &str, topic: &str, partition: i32, offset: i64) -> Result<(), KafkaError> {
    let admin: AdminClient<_> = client(bootstrap).create()?;
    let mut until = TopicPartitionList::new();
    until.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    let deleted = admin.delete_records(&until, &AdminOptions::new()).await?;
    deleted.elements().iter().try_for_each(|partition| partition.error())
}
