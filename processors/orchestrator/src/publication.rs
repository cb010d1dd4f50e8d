//! The `chains` topic: where orchestrators tell each other, and the api, which chains there are.
//!
//! It is read to its end before the first request is dispatched, and then on: a request may name a chain that another
//! process has published a moment ago. Read first, write second, so that a version which is taken is refused and not
//! overwritten.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use schemas::{ChainRecord, ChainReference, Decoder, Encoder, Timestamp};
use topics::{
    Headers, KafkaSettings, Output, Producer, Record, Start, Tail, TailError, TailEvent, TailSettings, TopicPartition,
};

use crate::{
    barrier::Questions,
    chain::{self, Chain, Resources},
    chains::Chains,
    emission::Emission,
    error::Error,
};

const TOPIC: &str = "chains";
const BUFFER_BYTES: usize = 16 << 20;
/// Questions about the end of the topic that come within it are one.
const GATHER: Duration = Duration::from_millis(100);
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
    kafka: KafkaSettings,
    tail: Tail,
    /// The next record of each partition: what a look for the end has read is not read twice.
    next: BTreeMap<TopicPartition, i64>,
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
        let tail = open(kafka, "millrace-chains", Start::Beginning).map_err(Error::ReadChains)?;
        let mut publication = Self {
            kafka: kafka.clone(),
            tail,
            next: BTreeMap::new(),
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

    /// Learns what others publish, and answers those that miss a chain. Ends with the tail.
    pub(crate) async fn follow(mut self, mut questions: Questions) -> Error {
        loop {
            tokio::select! {
                event = self.tail.recv() => match event {
                    Ok(TailEvent::Record(record)) => self.take(&record).await,
                    Ok(TailEvent::CaughtUp) => {}
                    Err(error) => return Error::ReadChains(error),
                },
                first = questions.next() => {
                    tokio::time::sleep(GATHER).await;
                    let rest = questions.rest();
                    self.read_to_the_end().await;
                    for answer in rest.into_iter().chain([first]) {
                        // Whoever asked may be gone.
                        let _gone = answer.send(());
                    }
                }
            }
        }
    }

    /// Learns everything that is committed when this begins. A tail of its own looks for the end, because the one that is open
    /// is told of its end once.
    async fn read_to_the_end(&mut self) {
        let mut start = Start::Offsets(self.next.clone());
        while let Err(error) = self.read_from(start).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the end of the topic of chains cannot be read: trying again"
            );
            tokio::time::sleep(PAUSE).await;
            start = Start::Beginning;
        }
    }

    async fn read_from(&mut self, start: Start) -> Result<(), TailError> {
        let mut tail = open(&self.kafka, "millrace-chains-end", start)?;
        loop {
            match tail.recv().await? {
                TailEvent::Record(record) => self.take(&record).await,
                TailEvent::CaughtUp => return Ok(()),
            }
        }
    }

    async fn take(&mut self, record: &Record) {
        if let Err(error) = self.learn(record).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a chain was published over another"
            );
        }
    }

    fn withdraw(&mut self, key: Option<&[u8]>) {
        let key = String::from_utf8_lossy(key.unwrap_or_default()).into_owned();
        if let Some(ChainReference {
            name,
            version: Some(version),
        }) = ChainReference::parse(&key)
        {
            self.published.remove(&key);
            self.chains.withdraw(name, version);
            tracing::info!(chain = key, "chain withdrawn");
        }
    }

    /// A record that cannot be read is somebody else's mistake, and no reason not to work.
    async fn learn(&mut self, record: &Record) -> Result<(), Error> {
        let place = TopicPartition::new(Arc::clone(&record.topic), record.partition);
        let next = self.next.entry(place).or_default();
        if record.offset < *next {
            return Ok(());
        }
        *next = record.offset + 1;
        let Some(value) = record.value.as_deref() else {
            self.withdraw(record.key.as_deref());
            return Ok(());
        };
        let appended_at = record.appended_ms().map(Timestamp::from_millis);
        loop {
            match self.decoder.decode(value).await {
                Ok(published) => {
                    if let Err(mistake) = published
                        .check(record.key.as_deref())
                        .and_then(|()| chain::is_of(&published))
                    {
                        tracing::error!(src = record.src(), "this is no chain, and is passed over: {mistake}");
                        return Ok(());
                    }
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

fn open(kafka: &KafkaSettings, client_id: &str, start: Start) -> Result<Tail, TailError> {
    let settings = TailSettings {
        client_id: client_id.to_owned(),
        topics: vec![kafka.topic(TOPIC)],
        start,
        buffer_bytes: BUFFER_BYTES,
    };
    Tail::open(kafka, settings)
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
