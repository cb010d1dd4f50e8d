//! A producer of requests on the raw client: Millrace's own would be its own witness.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use rdkafka::{
    ClientConfig, ClientContext, Message,
    config::FromClientConfigAndContext,
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
};
use schemas::{Encoder, Registry, RegistrySettings, Request, headers};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;
use topics::{History, history::Event};

use super::request::{Drawn, Requests};
use crate::world::World;

/// An outage must not make a request that nobody knows the fate of: it is tried for so long.
pub const DELIVERED_WITHIN: Duration = Duration::from_secs(240);

pub struct RequestProducer(JoinHandle<anyhow::Result<()>>);

/// Writes down what the broker has.
struct Deliveries(History);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<String>;

    fn delivery(&self, result: &DeliveryResult<'_>, id: Box<String>) {
        match result {
            Ok(message) => self.0.note(|| Event::Acknowledged {
                request_id: &id,
                topic: message.topic(),
                partition: message.partition(),
                offset: message.offset(),
            }),
            Err((error, _)) => tracing::warn!(%error, id = *id, "not acknowledged"),
        }
    }
}

impl RequestProducer {
    /// `rate` requests a second until `end`.
    pub async fn start(
        world: &Arc<World>,
        name: &str,
        seed: u64,
        rate: u64,
        end: CancellationToken,
    ) -> anyhow::Result<Self> {
        let history = History::open(Some(&world.folder.driver(name)))?;
        let registry = Registry::new(&RegistrySettings {
            url: world.plan.registry_url.clone(),
            username: None,
            password: None,
        })?;
        let sending = Sending {
            history: history.clone(),
            encoder: registry.encoder(&world.topic("requests")).await?,
            interactive: registry.encoder(&world.topic("requests.interactive")).await?,
            producer: producer(world, name, history)?,
            world: Arc::clone(world),
        };
        let requests = Requests::new(name, seed);
        Ok(Self(tokio::spawn(sending.run(requests, rate, end))))
    }

    /// Returns when everything it sent is acknowledged.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.0.await?
    }
}

struct Sending {
    world: Arc<World>,
    history: History,
    encoder: Encoder<Request>,
    interactive: Encoder<Request>,
    producer: ThreadedProducer<Deliveries>,
}

impl Sending {
    async fn run(self, mut requests: Requests, rate: u64, end: CancellationToken) -> anyhow::Result<()> {
        const TICK: Duration = Duration::from_millis(20);
        let (began, mut sent) = (Instant::now(), 0);
        while end.run_until_cancelled(sleep(TICK)).await.is_some() {
            let due = began.elapsed().as_secs_f64() * rate as f64;
            while (sent as f64) < due {
                self.send(&requests.draw())?;
                sent += 1;
            }
        }
        let flushed = tokio::task::spawn_blocking(move || self.producer.flush(DELIVERED_WITHIN));
        flushed.await?.context("requests are not acknowledged")
    }

    fn send(&self, drawn: &Drawn) -> anyhow::Result<()> {
        let (topic, encoder) = if drawn.is_interactive {
            (self.world.topic("requests.interactive"), &self.interactive)
        } else {
            (self.world.topic("requests"), &self.encoder)
        };
        let frame = encoder.encode(&drawn.request)?;
        let value = drawn
            .damage
            .as_ref()
            .map_or_else(|| frame.to_vec(), |damage| damage.to(&frame));
        self.history.note(|| Event::Produced {
            request_id: &drawn.id,
            topic: &topic,
            key: drawn.key.as_deref(),
        });
        let mut headers = OwnedHeaders::new().insert(Header {
            key: headers::REQUEST_ID,
            value: Some(&drawn.id),
        });
        if let Some(tenant) = drawn.tenant {
            headers = headers.insert(Header {
                key: headers::TENANT,
                value: Some(tenant),
            });
        }
        let mut record: BaseRecord<'_, String, Vec<u8>, Box<String>> =
            BaseRecord::with_opaque_to(&topic, Box::new(drawn.id.clone()))
                .headers(headers)
                .payload(&value);
        record.key = drawn.key.as_ref();
        self.producer
            .send(record)
            .map_err(|(error, _)| error)
            .context("cannot send a request")
    }
}

fn producer(world: &World, name: &str, history: History) -> anyhow::Result<ThreadedProducer<Deliveries>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &world.proxied_bootstrap)
        .set("client.id", format!("driver-{name}"))
        .set("enable.idempotence", "true")
        .set("message.timeout.ms", DELIVERED_WITHIN.as_millis().to_string())
        .set("request.timeout.ms", "5000")
        .set("socket.timeout.ms", "10000")
        .set("reconnect.backoff.max.ms", "1000")
        .set("linger.ms", "5")
        // a partition that is added is written to
        .set("topic.metadata.refresh.interval.ms", "3000")
        .set("partitioner", "murmur2_random");
    ThreadedProducer::from_config_and_context(&config, Deliveries(history)).context("cannot make a producer")
}
