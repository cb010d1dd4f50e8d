//! A trickle of requests after the introduction, so that there is something to watch: what a few services and people would
//! send. It goes through Kafka, with keys, as a stranger's producer would.

use std::time::Duration;

use anyhow::Context;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use schemas::{Encoder, Registry, RegistrySettings, Request, Timestamp, headers};
use serde_json::json;
use testkit::Parts;
use topics::{Headers, KafkaSettings, Output, Producer, ProducerSettings};
use uuid::Uuid;

/// On average; a steady beat looks like a machine.
const EVERY: Duration = Duration::from_millis(1_500);
/// One of so many is a request that cannot run: dead letters are part of the picture.
const POISON: u32 = 25;
const CUSTOMERS: u32 = 7;

const QUESTIONS: [&str; 12] = [
    "What is a lane?",
    "What is the ledger?",
    "What happens before a paid call?",
    "When is a record a dead letter?",
    "How does a synchronous caller get its answer?",
    "What happens to a request whose deadline is over?",
    "How many runs are there at once?",
    "What is the map of completed offsets?",
    "What does a crash cost?",
    "Where does the money of a call go?",
    "Which records have no order?",
    "How is a moved partition taken over?",
];

const TEXTS: [&str; 3] = [
    "The parcel came on Tuesday with a dent. The lamp inside was whole, its shade was not. I would like a new shade, not my money back.",
    "Quarterly figures: revenue rose by four percent, costs by one. The new plant opens in May. The board proposes no dividend.",
    "The train to the coast is replaced by buses between nine and four. Tickets stay valid. Bicycles cannot be taken.",
];

pub struct Traffic {
    producer: Producer,
    encoder: Encoder<Request>,
    topic: String,
}

impl Traffic {
    pub async fn connect(parts: &Parts) -> anyhow::Result<Self> {
        let kafka = KafkaSettings {
            bootstrap_servers: parts.bootstrap.clone(),
            prefix: "millrace.".to_owned(),
            client: Default::default(),
        };
        let registry = Registry::new(&RegistrySettings {
            url: parts.registry_url.clone(),
            username: None,
            password: None,
        })?;
        let topic = kafka.topic("requests");
        Ok(Self {
            producer: Producer::new(&kafka, ProducerSettings::new("demo-traffic"))?,
            encoder: registry.encoder(&topic).await.context("cannot encode requests")?,
            topic,
        })
    }

    /// Until it is dropped, or the brokers are gone.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut rng = SmallRng::seed_from_u64(u64::from(std::process::id()));
        loop {
            tokio::time::sleep(EVERY.mul_f64(rng.random_range(0.2..1.8))).await;
            self.send(&mut rng).await?;
        }
    }

    async fn send(&self, rng: &mut SmallRng) -> anyhow::Result<()> {
        let (chain, input) = if rng.random_ratio(1, POISON) {
            ("answer", json!({"qestion": "a field with a typing error"}))
        } else if rng.random_ratio(1, 4) {
            ("summarize", json!({"text": TEXTS[rng.random_range(0..TEXTS.len())]}))
        } else {
            (
                "answer",
                json!({"question": QUESTIONS[rng.random_range(0..QUESTIONS.len())]}),
            )
        };
        let id = Uuid::now_v7().to_string();
        let request = Request {
            request_id: Some(id.clone()),
            chain: chain.to_owned(),
            input: input.to_string(),
            created_at: Timestamp::now(),
            ..Request::default()
        };
        let key = format!("customer-{}", rng.random_range(1..=CUSTOMERS));
        let output = Output {
            topic: self.topic.clone(),
            partition: None,
            key: Some(key.into()),
            value: Some(self.encoder.encode(&request)?),
            headers: Headers::new().with(headers::REQUEST_ID, id),
        };
        self.producer
            .send(output)
            .await
            .context("cannot send a sample request")?;
        Ok(())
    }
}
