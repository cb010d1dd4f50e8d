//! Broker and registry of the test run, and orchestrators between them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use models::{Books, Caller, Unrecorded};
use orchestrator::{Dependencies, Error, Resources, Services, Settings};
use retrieval::{Pinecone, PineconeSettings};
use schemas::{
    Audit, DeadLetter, Decoder, Definition, Encoder, Registry, RegistrySettings, Request, RunResult, audit_kind,
    status, topics as shapes,
};
use serde_json::Value;
use testkit::Space;
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use topics::{
    Catalog, Headers, History, KafkaSettings, Output, Producer, ProducerSettings, Record, Start, Tail, TailEvent,
    TailSettings,
    admin::{Admin, Options, plan},
    engine::EngineTuning,
};

use crate::resources::resources;

const PATIENCE: Duration = Duration::from_secs(60);

/// `TICKETS` and `EVENTS` are topics that are not Millrace's own. Results are small, so that one can be too large.
const CATALOG: &str = "
topics:
  - {name: requests, key: any, schema: Request, partitions: 2, retention: 7d, max_message: 2MiB, timestamp: append, writers: [clients], readers: [orchestrator]}
  - {name: results, key: the request's, schema: Result, partitions: 2, retention: 7d, max_message: 1MiB, writers: [orchestrator], readers: [clients]}
  - {name: audit, key: the request's, schema: Audit, partitions: 1, retention: 7d, max_message: 1MiB, writers: [orchestrator], readers: [clients]}
  - {name: dead-letters, key: the request's, schema: DeadLetter, partitions: 1, retention: 7d, max_message: 3MiB, writers: [orchestrator], readers: [clients]}
  - {name: chains, key: name@version, schema: Chain, partitions: 1, cleanup: compact, max_message: 1MiB, writers: [orchestrator], readers: [orchestrator]}
  - {name: instances, key: the instance id, schema: Instance, partitions: 1, retention: 1h, max_message: 1MiB, timestamp: append, writers: [orchestrator], readers: [orchestrator]}
groups:
  - name: orchestrator
    inputs:
      - {topic: requests}
      - {topic: TICKETS, chain: echo, value: avro, tenant: acme}
      - {topic: EVENTS, chain: echo@1, value: json}
";

const TICKET: Definition = Definition {
    name: "Ticket",
    avsc: r#"{"type": "record", "name": "Ticket", "namespace": "acme", "fields": [
        {"name": "subject", "type": "string"},
        {"name": "urgent", "type": ["null", "boolean"], "default": null},
        {"name": "opened", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}"#,
};

pub struct World {
    pub kafka: KafkaSettings,
    pub registry: Registry,
    pub registry_url: String,
    pub requests: Encoder<Request>,
    /// For orchestrators that are started from now on.
    pub oversized: Option<PathBuf>,
    /// For orchestrators that are started from now on.
    pub pinecone: PineconeSettings,
    /// For orchestrators that are started from now on.
    pub books: Arc<dyn Books>,
    catalog: Catalog,
    producer: Producer,
    tail: Tail,
    results: Decoder<RunResult>,
    audit: Decoder<Audit>,
    dead_letters: Decoder<DeadLetter>,
}

/// A role that runs.
pub struct Running {
    ready: watch::Receiver<Result<(), String>>,
    shutdown: CancellationToken,
    role: JoinHandle<Result<(), Error>>,
}

/// Everything that was committed for one request, and the record that carried the result.
#[derive(Debug)]
pub struct Committed {
    pub result: RunResult,
    pub record: Record,
    pub attempts: Vec<Audit>,
    pub run: Audit,
    pub dead_letter: Option<DeadLetter>,
}

impl World {
    pub async fn new(name: &str) -> Self {
        let space = Space::new(name).await;
        let kafka = KafkaSettings {
            bootstrap_servers: space.parts.bootstrap.clone(),
            prefix: space.prefix.clone(),
            client: std::collections::BTreeMap::default(),
        };
        let (tickets, events) = (kafka.topic("tickets"), kafka.topic("events"));
        for topic in [&tickets, &events] {
            testkit::kafka::create_topic(&kafka.bootstrap_servers, topic, 1)
                .await
                .unwrap();
        }
        let catalog = CATALOG.replace("TICKETS", &tickets).replace("EVENTS", &events);
        let catalog = Catalog::parse(&catalog, Path::new("topics.yaml")).unwrap();
        let admin = Admin::new(&kafka).unwrap();
        let state = admin.observe(&catalog).await.unwrap();
        admin
            .apply(&plan(&catalog, &kafka, &state, Options::default()))
            .await
            .unwrap();

        let registry = RegistrySettings {
            url: space.parts.registry_url.clone(),
            username: None,
            password: None,
        };
        let registry = Registry::new(&registry).unwrap();
        for (topic, shape) in shapes().into_iter().filter(|(topic, _)| catalog.topic(topic).is_some()) {
            registry.register(&kafka.topic(topic), shape).await.unwrap();
        }
        registry.register(&tickets, TICKET).await.unwrap();
        let tail = TailSettings {
            client_id: "test".to_owned(),
            topics: ["results", "audit", "dead-letters"]
                .map(|topic| kafka.topic(topic))
                .to_vec(),
            start: Start::Beginning,
            buffer_bytes: 1 << 20,
        };
        Self {
            oversized: None,
            pinecone: PineconeSettings::default(),
            books: Arc::new(Unrecorded),
            requests: registry.encoder(&kafka.topic("requests")).await.unwrap(),
            producer: Producer::new(&kafka, ProducerSettings::new("test")).unwrap(),
            tail: Tail::open(&kafka, tail).unwrap(),
            results: registry.decoder().unwrap(),
            audit: registry.decoder().unwrap(),
            dead_letters: registry.decoder().unwrap(),
            catalog,
            registry,
            registry_url: space.parts.registry_url.clone(),
            kafka,
        }
    }

    /// From here on orchestrators believe that a topic takes records of that size.
    pub fn misjudge(&mut self, topic: &str, max_message_bytes: u64) {
        let topics = &mut self.catalog.topics;
        let topic = topics.iter_mut().find(|other| other.name == topic).unwrap();
        topic.max_message_bytes = max_message_bytes;
    }

    /// Starts an orchestrator with the chains that ship.
    pub fn start(&self) -> Running {
        self.start_with(Path::new(env!("CARGO_MANIFEST_DIR")).join("../chains"))
    }

    pub fn start_with(&self, chains: PathBuf) -> Running {
        self.start_at(chains, self.registry.clone())
    }

    pub fn start_at(&self, chains: PathBuf, registry: Registry) -> Running {
        self.start_tuned(chains, registry, resources(), EngineTuning::default())
    }

    pub fn start_tuned(
        &self,
        chains: PathBuf,
        registry: Registry,
        resources: Resources,
        engine: EngineTuning,
    ) -> Running {
        let settings = Settings {
            kafka: self.kafka.clone(),
            catalog: self.catalog.clone(),
            engine,
            history: History::default(),
            chains: vec![chains],
            oversized_outputs: self.oversized.clone(),
        };
        let caller = Caller::new(Arc::clone(&resources.models), Arc::clone(&self.books)).unwrap();
        let pinecone = Pinecone::new(&self.pinecone).unwrap();
        let services = Services::new(resources, Arc::new(caller), pinecone).unwrap();
        let dependencies = Dependencies { registry, services };
        let (sender, ready) = watch::channel(Err("starting".to_owned()));
        let shutdown = CancellationToken::new();
        let role = tokio::spawn(orchestrator::run(settings, dependencies, sender, shutdown.clone()));
        Running { ready, shutdown, role }
    }

    /// Returns `topic/partition/offset`.
    pub async fn ask(&self, request: &Request, headers: Headers) -> String {
        let value = self.requests.encode(request).unwrap();
        self.send("requests", Some(value), headers).await
    }

    pub async fn ticket(&self, ticket: &Value) -> String {
        let encoder = self.registry.plain_encoder(&self.kafka.topic("tickets")).await.unwrap();
        self.send("tickets", Some(encoder.encode(ticket).unwrap()), Headers::new())
            .await
    }

    pub async fn send(&self, topic: &str, value: Option<Bytes>, headers: Headers) -> String {
        self.send_keyed(topic, Some(Bytes::from_static(b"key")), value, headers)
            .await
    }

    /// Without a key a record waits for no other.
    pub async fn send_keyed(&self, topic: &str, key: Option<Bytes>, value: Option<Bytes>, headers: Headers) -> String {
        let topic = self.kafka.topic(topic);
        let output = Output {
            topic: topic.clone(),
            partition: None,
            key,
            value,
            headers,
        };
        let (partition, offset) = self.producer.send(output).await.unwrap();
        format!("{topic}/{partition}/{offset}")
    }

    /// Waits for what is committed for the record at `src`; what fails in these tests is poison and has a dead letter.
    /// What is there for others is passed over, so wait for records in the order of their partition.
    pub async fn committed(&mut self, src: &str) -> Committed {
        self.committed_with(src, |result| result.status == status::FAILED).await
    }

    /// The same for a run that may fail on its own, which is no dead letter.
    pub async fn ended(&mut self, src: &str) -> Committed {
        self.committed_with(src, |_| false).await
    }

    async fn committed_with(&mut self, src: &str, is_dead: impl Fn(&RunResult) -> bool) -> Committed {
        let (mut result, mut attempts, mut run, mut dead_letter) =
            (None::<(RunResult, Record)>, Vec::new(), None, None);
        loop {
            result = match result {
                Some((result, record)) if run.is_some() && (!is_dead(&result) || dead_letter.is_some()) => {
                    return Committed {
                        result,
                        record,
                        attempts,
                        run: run.unwrap_or_default(),
                        dead_letter,
                    };
                }
                waiting => waiting,
            };
            let event = timeout(PATIENCE, self.tail.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("not all for {src}: {result:?} {run:?} {dead_letter:?}"));
            let TailEvent::Record(record) = event.unwrap() else {
                continue;
            };
            if record.headers.text("src") != Some(src) {
                continue;
            }
            let value = record.value.clone().unwrap();
            if *record.topic == self.kafka.topic("results") {
                result = Some((self.results.decode(&value).await.unwrap(), record));
            } else if *record.topic == self.kafka.topic("dead-letters") {
                dead_letter = Some(self.dead_letters.decode(&value).await.unwrap());
            } else {
                let row = self.audit.decode(&value).await.unwrap();
                match row.kind.as_str() {
                    audit_kind::RUN => run = Some(row),
                    _ => attempts.push(row),
                }
            }
        }
    }
}

impl Running {
    pub async fn ready(&mut self) {
        let ready = timeout(PATIENCE, self.ready.wait_for(Result::is_ok)).await;
        ready
            .expect("the orchestrator was not ready in time")
            .unwrap()
            .as_ref()
            .unwrap();
    }

    /// Waits until it says that it cannot work for this reason.
    pub async fn waiting_for(&mut self, reason: &str) {
        let waits = |ready: &Result<(), String>| ready.as_ref().is_err_and(|why| why.contains(reason));
        let seen = timeout(PATIENCE, self.ready.wait_for(waits)).await;
        seen.expect("the orchestrator did not say so in time")
            .unwrap()
            .as_ref()
            .unwrap_err();
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.ended().await.unwrap();
    }

    pub async fn ended(self) -> Result<(), Error> {
        timeout(PATIENCE, self.role)
            .await
            .expect("the orchestrator did not end in time")
            .unwrap()
    }
}

/// A folder with one chain, which gives back `answer`.
pub fn folder_with(name: &str, version: i32, answer: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = format!(
        "apiVersion: chain/v1\nkind: Chain\nmetadata: {{name: {name}, version: {version}}}\ninput: {{schema: {{}}}}\n\
         steps: [{{id: a, transform: {answer}}}]\noutput: {{value: \"{{{{ steps.a }}}}\"}}\n"
    );
    fs::write(folder.path().join("chain.yaml"), source).unwrap();
    folder
}
