//! The `chains` topic: where orchestrators tell each other, and the api, which chains there are.
//!
//! It is read to its end before the first request is dispatched, and then on: a request may name a chain that another
//! process has published a moment ago. Read first, write second, so that a version which is taken is refused and not
//! overwritten.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use schemas::{ChainRecord, Decoder, Encoder, Timestamp};
use topics::{Headers, KafkaSettings, Output, Producer, Record, Start, Tail, TailEvent, TailSettings};

use crate::{
    chain::{Chain, Resources},
    chains::Chains,
    emission::Emission,
    error::Error,
};

const TOPIC: &str = "chains";
const BUFFER_BYTES: usize = 16 << 20;
/// Between two questions to a registry that is down.
const PAUSE: Duration = Duration::from_millis(500);

/// Writes chains to the topic.
pub(crate) struct Publisher {
    pub(crate) topic: String,
    pub(crate) encoder: Encoder<ChainRecord>,
    pub(crate) producer: Producer,
}

impl Publisher {
    /// Returns when the brokers have it.
    pub(crate) async fn publish(&self, chain: &Chain) -> Result<(), Error> {
        let value = self
            .encoder
            .encode(&record_of(chain))
            .map_err(|source| Error::EncodeChain {
                chain: chain.key(),
                source,
            })?;
        let output = Output {
            topic: self.topic.clone(),
            partition: None,
            key: Some(chain.key().into()),
            value: Some(value),
            headers: Headers::new(),
        };
        self.producer.send(output).await.map_err(|source| Error::PublishChain {
            chain: chain.key(),
            source: Box::new(source),
        })?;
        tracing::info!(chain = chain.id, "chain published");
        Ok(())
    }
}

pub(crate) struct Publication {
    tail: Tail,
    decoder: Decoder<ChainRecord>,
    chains: Arc<Chains>,
    resources: Resources,
    emission: Emission,
    /// `name@version` of what has been read.
    published: BTreeSet<String>,
}

impl Publication {
    /// Reads what is published into `chains`. Waits for brokers and registry.
    pub(crate) async fn read(
        kafka: &KafkaSettings,
        decoder: Decoder<ChainRecord>,
        chains: Arc<Chains>,
        resources: Resources,
        emission: Emission,
    ) -> Result<Self, Error> {
        let settings = TailSettings {
            client_id: "millrace-chains".to_owned(),
            topics: vec![kafka.topic(TOPIC)],
            start: Start::Beginning,
            buffer_bytes: BUFFER_BYTES,
        };
        let tail = Tail::open(kafka, settings).map_err(Error::ReadChains)?;
        let mut publication = Self {
            tail,
            decoder,
            chains,
            resources,
            emission,
            published: BTreeSet::new(),
        };
        loop {
            match publication.tail.recv().await.map_err(Error::ReadChains)? {
                TailEvent::CaughtUp => return Ok(publication),
                TailEvent::Record(record) => publication.learn(&record).await?,
            }
        }
    }

    /// Publishes what this process loaded and nobody published, and reads it back: of processes that start together and
    /// bring one version with two contents, the first one wins and the others end.
    pub(crate) async fn publish(&mut self, own: &[Arc<Chain>], publisher: &Publisher) -> Result<(), Error> {
        for chain in own.iter().filter(|chain| !self.published.contains(&chain.key())) {
            publisher.publish(chain).await?;
        }
        while !own.iter().all(|chain| self.published.contains(&chain.key())) {
            if let TailEvent::Record(record) = self.tail.recv().await.map_err(Error::ReadChains)? {
                self.learn(&record).await?;
            }
        }
        Ok(())
    }

    /// Learns what others publish. Ends with the tail.
    pub(crate) async fn follow(mut self) -> Error {
        loop {
            match self.tail.recv().await {
                Ok(TailEvent::Record(record)) => match self.learn(&record).await {
                    Ok(()) => {}
                    Err(error) => tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a chain was published over another"
                    ),
                },
                Ok(TailEvent::CaughtUp) => {}
                Err(error) => return Error::ReadChains(error),
            }
        }
    }

    /// A record that cannot be read is somebody else's mistake, and no reason not to work.
    async fn learn(&mut self, record: &Record) -> Result<(), Error> {
        let Some(value) = record.value.as_deref() else {
            return Ok(());
        };
        let appended_at = record.appended_ms().map(Timestamp::from_millis);
        loop {
            match self.decoder.decode(value).await {
                Ok(published) => {
                    self.published
                        .insert(format!("{}@{}", published.name, published.version));
                    while self.emission.ask_for(&published.source).await.is_err() {
                        tokio::time::sleep(PAUSE).await;
                    }
                    return self.chains.learn(&published, &self.resources).map_err(Error::Conflict);
                }
                Err(error) if error.may_pass(appended_at) => tokio::time::sleep(PAUSE).await,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        src = record.src(),
                        "unreadable chain passed over"
                    );
                    return Ok(());
                }
            }
        }
    }
}

fn record_of(chain: &Chain) -> ChainRecord {
    ChainRecord {
        name: chain.name.clone(),
        version: chain.version,
        digest: chain.digest.clone(),
        source: chain.source.clone(),
        graph: chain.graph().to_string(),
        input_schema: chain.input_schema().to_string(),
        output_schema: chain.output_schema().to_string(),
        published_at: Timestamp::now(),
    }
}
