//! People who decide where a run waits: mostly two at once over HTTP, who want different things and ask until they are told
//! which counts; now and then one who writes the resume to the topic.

use std::{
    fs::File,
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use schemas::{Decoder, Encoder, Registry, RegistrySettings, Request, RunResult, Timestamp, request_kind, status};
use serde_json::{Value, json};
use testkit::chaos::Decision;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use topics::{History, KafkaSettings, Output, Producer, ProducerSettings, history::Event};

use super::producer::DELIVERED_WITHIN;
use crate::world::{World, now};

/// Of the step that waits.
const STEP: &str = "approval";
/// For the last runs that ask, and for a definite answer.
const PATIENCE: Duration = Duration::from_secs(120);
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

pub struct Deciders(JoinHandle<anyhow::Result<()>>);

impl Deciders {
    /// Until `end`, and then until all that was asked is decided.
    pub async fn start(world: &Arc<World>, end: CancellationToken) -> anyhow::Result<Self> {
        let registry = Registry::new(&RegistrySettings {
            url: world.plan.registry_url.clone(),
            username: None,
            password: None,
        })?;
        let kafka = KafkaSettings {
            bootstrap_servers: world.proxied_bootstrap.clone(),
            prefix: world.plan.prefix.clone(),
            client: [].into(),
        };
        let settings = ProducerSettings {
            timeout: DELIVERED_WITHIN,
            ..ProducerSettings::new("driver-deciders")
        };
        let path = world.folder.decisions();
        let deciding = Deciding {
            world: Arc::clone(world),
            decoder: registry.decoder()?,
            encoder: registry.encoder(&world.topic("requests")).await?,
            history: History::open(Some(&world.folder.driver("deciders")))?,
            producer: Producer::new(&kafka, settings)?,
            file: File::create(&path).with_context(|| format!("cannot create {}", path.display()))?,
        };
        Ok(Self(tokio::spawn(Arc::new(deciding).run(end))))
    }

    pub async fn stop(self) -> anyhow::Result<()> {
        self.0.await?
    }
}

struct Deciding {
    world: Arc<World>,
    decoder: Decoder<RunResult>,
    encoder: Encoder<Request>,
    history: History,
    producer: Producer,
    file: File,
}

impl Deciding {
    async fn run(self: Arc<Self>, end: CancellationToken) -> anyhow::Result<()> {
        let (mut decisions, mut number) = (JoinSet::new(), 0);
        let mut last = None;
        loop {
            while let Some(result) = self.world.board.to_decide() {
                number += 2;
                decisions.spawn(Arc::clone(&self).decide(result, number));
            }
            if end.is_cancelled() {
                let since = last.get_or_insert_with(Instant::now);
                if self.world.board.to_ask() == 0 || since.elapsed() > PATIENCE {
                    break;
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
        while let Some(ended) = decisions.join_next().await {
            ended??;
        }
        self.producer.close().await;
        Ok(())
    }

    /// `number` and the next one are what is wanted.
    async fn decide(self: Arc<Self>, result: Vec<u8>, number: u64) -> anyhow::Result<()> {
        const BY_TOPIC: u64 = 8;
        let result = self.decoded(&result).await?;
        if result.status != status::INTERRUPTED {
            return Ok(());
        }
        if number.is_multiple_of(BY_TOPIC) {
            return self.resume(result, number).await;
        }
        let (one, other) = tokio::join!(self.ask(&result, number), self.ask(&result, number + 1));
        one.and(other)
    }

    async fn decoded(&self, bytes: &[u8]) -> anyhow::Result<RunResult> {
        let began = Instant::now();
        loop {
            match self.decoder.decode(bytes).await {
                // the registry comes and goes
                Err(error) if error.is_transient() && began.elapsed() < PATIENCE => {
                    sleep(Duration::from_millis(500)).await;
                }
                decoded => return Ok(decoded?),
            }
        }
    }

    /// Past the api.
    async fn resume(&self, result: RunResult, number: u64) -> anyhow::Result<()> {
        let chain = result.chain.as_deref().and_then(|chain| chain.split('#').next());
        let request = Request {
            request_id: Some(result.request_id.clone()),
            kind: request_kind::RESUME.to_owned(),
            chain: chain.unwrap_or_default().to_owned(),
            input: json!({STEP: wanted(number)}).to_string(),
            turn: result.turn + 1,
            state: result.state.clone(),
            created_at: Timestamp::now(),
            ..Request::default()
        };
        let topic = self.world.topic("requests");
        let output = Output {
            topic: topic.clone(),
            key: Some(Bytes::from(result.request_id.clone())),
            value: Some(self.encoder.encode(&request)?),
            ..Output::default()
        };
        match self.producer.send(output).await {
            Ok((partition, offset)) => {
                self.history.note(|| Event::Acknowledged {
                    request_id: &result.request_id,
                    topic: &topic,
                    partition,
                    offset,
                });
                self.world.board.decided(&result.request_id);
                self.said(&result.request_id, number, 202, String::new())
            }
            Err(error) => {
                tracing::warn!(%error, id = result.request_id, "a resume is not acknowledged");
                // it may be there all the same
                self.said(&result.request_id, number, 0, error.to_string())
            }
        }
    }

    /// Until it is told whether this counts.
    async fn ask(&self, result: &RunResult, number: u64) -> anyhow::Result<()> {
        let url = format!("http://{}/runs/{}/resume", self.world.api_address, result.request_id);
        let began = Instant::now();
        let (mut status, mut why) = (0, String::new());
        while began.elapsed() < PATIENCE {
            let asked = self.world.http.post(&url).timeout(ANSWERS_WITHIN).json(&wanted(number));
            if let Ok(answer) = asked.send().await {
                status = answer.status().as_u16();
                let problem: Value = answer.json().await.unwrap_or_default();
                problem["detail"].as_str().unwrap_or_default().clone_into(&mut why);
                // the api has not seen yet that the run waits: the witness reads the brokers without it
                let is_early = status == 409 && (why.ends_with(" is queued") || why.ends_with(" is in_progress"));
                if !is_early && !matches!(status, 408 | 429 | 500..) {
                    break;
                }
            }
            status = 0;
            sleep(Duration::from_millis(300)).await;
        }
        if matches!(status, 200 | 202) {
            self.world.board.decided(&result.request_id);
        }
        self.said(&result.request_id, number, status, why)
    }

    fn said(&self, id: &str, number: u64, status: u16, problem: String) -> anyhow::Result<()> {
        let decision = Decision {
            at: now(),
            request_id: id.to_owned(),
            output: json!({"n": number}),
            status,
            problem,
        };
        let line = serde_json::to_string(&decision)? + "\n";
        (&self.file)
            .write_all(line.as_bytes())
            .context("cannot write a decision")
    }
}

fn wanted(number: u64) -> Value {
    json!({"approved": true, "value": {"n": number}, "by": "somebody"})
}
