//! Whoever may write a topic decides about every byte of its records: here they are random, or texts that nobody should send,
//! or large. Sent by Millrace's own producer, because the wrapper's takes header names as text only; that they are in the log is
//! for the judge to see.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use schemas::{Encoder, Registry, RegistrySettings, Request, Timestamp, headers};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use topics::{Headers, History, KafkaSettings, Output, Producer, ProducerSettings, history::Event};

use super::producer::DELIVERED_WITHIN;
use crate::world::World;

/// Of a large value: random, so that no compression makes it small.
const LARGE: usize = 600_000;
/// Texts that are UTF-8 and no text: tables, logs and terminals choke on them.
const TEXTS: [&str; 6] = [
    "\0",
    "a\0b",
    "\u{fffe}\u{ffff}",
    "{\"question\": \"\\ud800 half of a pair\"}",
    "\u{202e}one\u{feff}",
    "'; DROP TABLE runs; --",
];

pub struct Hostile(JoinHandle<anyhow::Result<()>>);

impl Hostile {
    /// `rate` records a second until `end`.
    pub async fn start(world: &Arc<World>, seed: u64, rate: u64, end: CancellationToken) -> anyhow::Result<Self> {
        let registry = Registry::new(&RegistrySettings {
            url: world.plan.registry_url.clone(),
            username: None,
            password: None,
        })?;
        let kafka = KafkaSettings {
            bootstrap_servers: world.proxied_bootstrap.clone(),
            prefix: world.plan.prefix.clone(),
            client: [("topic.metadata.refresh.interval.ms".to_owned(), "3000".to_owned())].into(),
        };
        let settings = ProducerSettings {
            timeout: DELIVERED_WITHIN,
            ..ProducerSettings::new("driver-hostile")
        };
        let sending = Sending {
            topic: world.topic("requests"),
            encoder: registry.encoder(&world.topic("requests")).await?,
            history: History::open(Some(&world.folder.driver("hostile")))?,
            producer: Producer::new(&kafka, settings)?,
            random: StdRng::seed_from_u64(seed.wrapping_add(2)),
        };
        Ok(Self(tokio::spawn(sending.run(rate, end))))
    }

    /// Returns when everything it sent is acknowledged.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.0.await?
    }
}

struct Sending {
    topic: String,
    encoder: Encoder<Request>,
    history: History,
    producer: Producer,
    random: StdRng,
}

impl Sending {
    async fn run(mut self, rate: u64, end: CancellationToken) -> anyhow::Result<()> {
        let mut sends = JoinSet::new();
        let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate).unwrap_or(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while end.run_until_cancelled(ticks.tick()).await.is_some() {
            let record = self.draw()?;
            sends.spawn(send(self.producer.clone(), self.history.clone(), record));
        }
        while let Some(sent) = sends.join_next().await {
            sent?;
        }
        self.producer.close().await;
        Ok(())
    }

    fn draw(&mut self) -> anyhow::Result<Output> {
        let topic = self.topic.clone();
        let bare = Output {
            topic,
            ..Output::default()
        };
        Ok(match self.random.random_range(0..8) {
            0..3 => Output {
                key: self.some_bytes(40),
                value: self.some_bytes(300),
                headers: self.headers(),
                ..bare
            },
            // a frame of its schema, with texts that no request should have
            3..5 => {
                let odd = self.odd();
                Output {
                    value: Some(self.encoder.encode(&odd)?),
                    headers: self.headers(),
                    ..bare
                }
            }
            // it names itself in a way that nobody can
            5 => {
                let request = Request {
                    chain: "one".to_owned(),
                    input: r#"{"question": "who am I?"}"#.to_owned(),
                    ..Request::default()
                };
                let name = *[headers::REQUEST_ID, headers::TENANT]
                    .choose(&mut self.random)
                    .unwrap_or(&headers::TENANT);
                Output {
                    value: Some(self.encoder.encode(&request)?),
                    headers: self.headers().with(name, [&b"\xff"[..], &self.bytes(8)[..]].concat()),
                    ..bare
                }
            }
            6 => Output {
                value: Some(self.exactly(LARGE)),
                ..bare
            },
            _ => Output {
                key: self.some_bytes(10),
                value: self.random.random_bool(0.5).then(Bytes::new),
                headers: self.headers(),
                ..bare
            },
        })
    }

    /// Poison, whatever else it is: there is no such chain or kind, or the input is no JSON.
    fn odd(&mut self) -> Request {
        let random = &mut self.random;
        let mut any = || TEXTS.choose(random).copied().unwrap_or_default().to_owned();
        let mut request = Request {
            chain: "one".to_owned(),
            input: any(),
            conversation: Some(any()),
            metadata: [(any(), any())].into(),
            ..Request::default()
        };
        let (chain, kind, params) = (any(), any(), any());
        match self.random.random_range(0..3) {
            0 => request.chain = chain,
            1 => request.kind = kind,
            _ => request.params = params,
        }
        request.turn = *[i32::MIN, -1, 0, i32::MAX].choose(&mut self.random).unwrap_or(&0);
        request.created_at = Timestamp(*[i64::MIN, 0, i64::MAX].choose(&mut self.random).unwrap_or(&0));
        request
    }

    fn headers(&mut self) -> Headers {
        let mut headers = Headers::new();
        for _ in 0..self.random.random_range(0..5) {
            let name = self.bytes(20);
            let value = self.some_bytes(60);
            headers.push(name, value);
        }
        headers
    }

    /// Or none at all.
    fn some_bytes(&mut self, most: usize) -> Option<Bytes> {
        self.random.random_bool(0.8).then(|| self.bytes(most))
    }

    fn bytes(&mut self, most: usize) -> Bytes {
        let length = self.random.random_range(0..=most);
        self.exactly(length)
    }

    fn exactly(&mut self, length: usize) -> Bytes {
        let mut bytes = vec![0; length];
        self.random.fill(&mut bytes[..]);
        bytes.into()
    }
}

/// Who names itself is found by its place.
async fn send(producer: Producer, history: History, record: Output) {
    let topic = record.topic.clone();
    match producer.send(record).await {
        Ok((partition, offset)) => history.note(|| Event::Acknowledged {
            request_id: "",
            topic: &topic,
            partition,
            offset,
        }),
        Err(error) => tracing::warn!(%error, "a hostile record is not acknowledged"),
    }
}
