//! Broker and registry of the test run, a twin of its own, and an indexer between them.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use indexer::{Dependencies, Error, Settings, Splitting};
use models::{Caller, DEFAULT_FILE, Models, Unrecorded};
use retrieval::{
    ApiKey, Index, IndexSpec, Metric, Pinecone, PineconeSettings,
    twin::{Twin, TwinSettings},
};
use schemas::{
    Audit, DeadLetter, Decoder, Document, Encoder, Registry, RegistrySettings, audit_kind, topics as shapes,
};
use tempfile::TempDir;
use testkit::Space;
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use topics::{
    Catalog, Headers, History, KafkaSettings, Output, Producer, ProducerSettings, Record, Start, Tail, TailEvent,
    TailSettings,
    admin::{Admin, Options, plan},
    engine::EngineTuning,
};

const CATALOG: &str = "
topics:
  - {name: documents, key: the document id, schema: Document, partitions: 2, retention: 7d, max_message: 1MiB, writers: [clients], readers: [indexer]}
  - {name: audit, key: the request's, schema: Audit, partitions: 1, retention: 7d, max_message: 1MiB, writers: [indexer], readers: [clients]}
  - {name: dead-letters, key: the request's, schema: DeadLetter, partitions: 1, retention: 7d, max_message: 2MiB, writers: [indexer], readers: [clients]}
groups:
  - {name: indexer, inputs: [{topic: documents}]}
";
const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub kafka: KafkaSettings,
    pub spec: IndexSpec,
    catalog: Catalog,
    registry: Registry,
    twin: Option<Twin>,
    twin_at: SocketAddr,
    twin_data: TempDir,
    producer: Producer,
    documents: Encoder<Document>,
    tail: Tail,
    audit: Decoder<Audit>,
    dead_letters: Decoder<DeadLetter>,
}

/// A role that runs.
pub struct Running {
    pub ready: watch::Receiver<Result<(), String>>,
    shutdown: CancellationToken,
    role: JoinHandle<Result<(), Error>>,
}

/// Everything that was committed for one document.
#[derive(Debug)]
pub struct Committed {
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
        let catalog = Catalog::parse(CATALOG, Path::new("topics.yaml")).unwrap();
        let admin = Admin::new(&kafka).unwrap();
        let state = admin.observe(&catalog).await.unwrap();
        admin
            .apply(&plan(&catalog, &kafka, &state, Options::default()))
            .await
            .unwrap();
        let registry = Registry::new(&RegistrySettings {
            url: space.parts.registry_url.clone(),
            username: None,
            password: None,
        });
        let registry = registry.unwrap();
        for (topic, shape) in shapes().into_iter().filter(|(topic, _)| catalog.topic(topic).is_some()) {
            registry.register(&kafka.topic(topic), shape).await.unwrap();
        }
        let tail = TailSettings {
            client_id: "test".to_owned(),
            topics: vec![kafka.topic("audit"), kafka.topic("dead-letters")],
            start: Start::Beginning,
            buffer_bytes: 1 << 20,
        };
        let twin_data = tempfile::tempdir().unwrap();
        let twin = twin(twin_data.path(), "127.0.0.1:0".parse().unwrap()).await;
        Self {
            twin_at: twin.url().strip_prefix("http://").unwrap().parse().unwrap(),
            twin: Some(twin),
            twin_data,
            spec: IndexSpec {
                name: "docs".to_owned(),
                index: "docs".to_owned(),
                embedding: "embedding".to_owned(),
                dimension: 384,
                metric: Metric::Cosine,
                text_key: "text".to_owned(),
                fields: std::collections::BTreeMap::new(),
            },
            producer: Producer::new(&kafka, ProducerSettings::new("test")).unwrap(),
            documents: registry.encoder(&kafka.topic("documents")).await.unwrap(),
            audit: registry.decoder().unwrap(),
            dead_letters: registry.decoder().unwrap(),
            tail: Tail::open(&kafka, tail).unwrap(),
            catalog,
            registry,
            kafka,
        }
    }

    /// Starts the role. Its end is told by [`Running::stop`].
    pub fn start_indexer(&self) -> Running {
        let settings = Settings {
            kafka: self.kafka.clone(),
            catalog: self.catalog.clone(),
            engine: EngineTuning::default(),
            history: History::default(),
            splitting: Splitting::default(),
            patience: PATIENCE,
        };
        let models = Arc::new(Models::load(DEFAULT_FILE, "models.yaml").unwrap());
        let dependencies = Dependencies {
            registry: self.registry.clone(),
            caller: Arc::new(Caller::new(models, Arc::new(Unrecorded)).unwrap()),
            pinecone: self.pinecone(),
            index: self.spec.clone(),
        };
        let (sender, ready) = watch::channel(Err("starting".to_owned()));
        let shutdown = CancellationToken::new();
        let role = tokio::spawn(indexer::run(settings, dependencies, sender, shutdown.clone()));
        Running { ready, shutdown, role }
    }

    pub async fn stop_twin(&mut self) {
        self.twin.take().unwrap().stop().await;
    }

    /// At the same address, with the same data.
    pub async fn start_twin(&mut self) {
        self.twin = Some(twin(self.twin_data.path(), self.twin_at).await);
    }

    pub fn pinecone(&self) -> Pinecone {
        Pinecone::new(&PineconeSettings {
            control_url: format!("http://{}", self.twin_at),
            api_key: ApiKey::new("any"),
            call_timeout_ms: 1_000,
            ..PineconeSettings::default()
        })
        .unwrap()
    }

    pub async fn index(&self) -> Index {
        self.pinecone().index("docs").await.unwrap()
    }

    /// Returns `topic/partition/offset`.
    pub async fn send(&self, document: &Document) -> String {
        self.send_raw(&document.document_id, &self.encoded(document)).await
    }

    pub fn encoded(&self, document: &Document) -> Vec<u8> {
        self.documents.encode(document).unwrap().to_vec()
    }

    pub async fn send_raw(&self, key: &str, value: &[u8]) -> String {
        let topic = self.kafka.topic("documents");
        let output = Output {
            topic: topic.clone(),
            partition: None,
            key: Some(key.as_bytes().to_vec().into()),
            value: Some(value.to_vec().into()),
            headers: Headers::new(),
        };
        let (partition, offset) = self.producer.send(output).await.unwrap();
        format!("{topic}/{partition}/{offset}")
    }

    /// Waits for what is committed for the record at `src`, and passes over what is there for others.
    pub async fn committed(&mut self, src: &str) -> Committed {
        let (mut attempts, mut run, mut dead_letter) = (Vec::new(), None, None);
        loop {
            let event = timeout(PATIENCE, self.tail.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("no audit of {src} in time"));
            let TailEvent::Record(record) = event.unwrap() else {
                continue;
            };
            if record.headers.text("src") != Some(src) {
                continue;
            }
            if *record.topic == self.kafka.topic("audit") {
                let row = self.audit.decode(value(&record)).await.unwrap();
                if row.kind == audit_kind::ATTEMPT {
                    attempts.push(row);
                } else {
                    run = Some(row);
                }
            } else {
                dead_letter = Some(self.dead_letters.decode(value(&record)).await.unwrap());
            }
            match run.take() {
                Some(row) if row.outcome == "ok" || dead_letter.is_some() => {
                    return Committed {
                        attempts,
                        run: row,
                        dead_letter,
                    };
                }
                other => run = other,
            }
        }
    }
}

impl Running {
    pub async fn ready(&mut self) {
        let ready = timeout(PATIENCE, self.ready.wait_for(Result::is_ok)).await;
        ready.expect("the indexer was not ready in time").unwrap();
    }

    pub async fn stop(self) -> Result<(), Error> {
        self.shutdown.cancel();
        self.ended().await
    }

    pub async fn ended(self) -> Result<(), Error> {
        timeout(PATIENCE, self.role)
            .await
            .expect("the indexer did not end in time")
            .unwrap()
    }
}

async fn twin(data: &Path, listen: SocketAddr) -> Twin {
    let data_dir = data.to_owned();
    Twin::start(TwinSettings { listen, data_dir }).await.unwrap()
}

fn value(record: &Record) -> &[u8] {
    record.value.as_deref().unwrap()
}
