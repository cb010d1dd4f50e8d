//! A corner of the real parts with Millrace's topics, schemas and tables, one chain, and a hand that plays the
//! orchestrator.

use api::{
    ApiSettings,
    health::{Health, Readiness},
};
use metrics_exporter_prometheus::PrometheusHandle;
use schemas::{
    ChainRecord, Decoder, Encoder, Registry, RegistrySettings, Request, RunResult, Shape, Timestamp, headers, status,
};
use serde_json::json;
use sqlx::PgPool;
use testkit::{Space, until};
use tokio::{sync::Mutex, time::timeout};
use topics::{
    Catalog, Headers, KafkaSettings, Output, Producer, ProducerSettings, Record, Tail, TailEvent, TailSettings,
    admin::{Admin, Options, plan},
};

use crate::{
    SOON,
    reports::Reports,
    running::{Api, free_address},
};

pub struct Stage {
    kafka: KafkaSettings,
    registry: Registry,
    postgres: PgPool,
    postgres_url: String,
    requests: Mutex<Tail>,
    decoder: Decoder<Request>,
    producer: Producer,
    results: Encoder<RunResult>,
}

/// A request as the orchestrator reads it.
pub struct Asked {
    pub record: Record,
    pub request: Request,
}

/// What a test chooses of an api.
pub struct Start {
    pub max_waiters: usize,
    pub ring_results: usize,
    /// Instead of the one that has the tables.
    pub postgres_url: Option<String>,
    pub grace_seconds: u64,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            max_waiters: 100,
            ring_results: 20_000,
            postgres_url: None,
            grace_seconds: 0,
        }
    }
}

impl Stage {
    pub async fn set(name: &str) -> Self {
        let space = Space::new(name).await;
        let settings = json!({"bootstrap_servers": space.parts.bootstrap, "prefix": space.prefix});
        let kafka: KafkaSettings = serde_json::from_value(settings).unwrap();
        let admin = Admin::new(&kafka).unwrap();
        let catalog = Catalog::embedded().unwrap();
        let seen = admin.observe(&catalog).await.unwrap();
        admin
            .apply(&plan(&catalog, &kafka, &seen, Options::default()))
            .await
            .unwrap();

        let settings: RegistrySettings = serde_json::from_value(json!({"url": space.parts.registry_url})).unwrap();
        let registry = Registry::new(&settings).unwrap();
        for (topic, definition) in schemas::topics() {
            if ["requests.interactive", "results", "audit", "chains", "instances"].contains(&topic) {
                registry.register(&kafka.topic(topic), definition).await.unwrap();
            }
        }
        let postgres = PgPool::connect(&space.postgres_url).await.unwrap();
        let tail = TailSettings {
            client_id: "stage".to_owned(),
            topics: vec![kafka.topic("requests.interactive")],
            start: topics::Start::Beginning,
            buffer_bytes: 1 << 20,
        };
        let stage = Self {
            requests: Mutex::new(Tail::open(&kafka, tail).unwrap()),
            decoder: registry.decoder().unwrap(),
            producer: Producer::new(&kafka, ProducerSettings::new("stage")).unwrap(),
            results: registry.encoder(&kafka.topic("results")).await.unwrap(),
            postgres_url: space.postgres_url,
            postgres,
            registry,
            kafka,
        };
        for (_, _, migration) in schemas::MIGRATIONS {
            stage.sql(migration).await;
        }
        stage.publish("echo").await;
        stage
    }

    async fn publish(&self, name: &str) {
        let chain = ChainRecord {
            name: name.to_owned(),
            version: 1,
            digest: "0".repeat(64),
            graph: "{}".to_owned(),
            input_schema: "{}".to_owned(),
            output_schema: "true".to_owned(),
            published_at: Timestamp::now(),
            ..ChainRecord::default()
        };
        let encoder = self.registry.encoder(&self.topic("chains")).await.unwrap();
        let output = Output {
            key: Some(format!("{name}@1").into()),
            value: Some(encoder.encode(&chain).unwrap()),
            ..Output::default()
        };
        self.send("chains", output).await;
    }

    /// Writes a record of a registered type. Where it lies: `topic/partition/offset`.
    pub async fn write<S: Shape>(&self, topic: &str, record: &S) -> String {
        let encoder = self.registry.encoder(&self.topic(topic)).await.unwrap();
        let value = Some(encoder.encode(record).unwrap());
        let output = Output {
            key: Some("key".into()),
            value,
            ..Output::default()
        };
        self.send(topic, output).await
    }

    /// Writes any record. Where it lies: `topic/partition/offset`.
    pub async fn send(&self, topic: &str, output: Output) -> String {
        let topic = self.topic(topic);
        let output = Output {
            topic: topic.clone(),
            ..output
        };
        let (partition, offset) = self.producer.send(output).await.unwrap();
        format!("{topic}/{partition}/{offset}")
    }

    /// The full name of a topic.
    pub fn topic(&self, name: &str) -> String {
        self.kafka.topic(name)
    }

    pub async fn sql(&self, statements: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements))
            .execute(&self.postgres)
            .await
            .unwrap();
    }

    /// As if the recorder had passed all requests that are there.
    pub async fn pass_requests(&self) {
        for topic in ["requests", "requests.interactive"] {
            self.pass(topic, 1_000_000).await;
        }
    }

    /// As if the recorder were at this offset of every partition.
    pub async fn pass(&self, topic: &str, next_offset: i64) {
        let topic = self.topic(topic);
        self.sql(&format!(
            "INSERT INTO consumer_positions (topic, partition, next_offset)
                 SELECT '{topic}', part, {next_offset} FROM generate_series(0, 11) AS part
             ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset"
        ))
        .await;
    }

    /// The first column of the first row, as text.
    pub async fn ask(&self, query: &str) -> Option<String> {
        let found = sqlx::query_scalar::<_, Option<String>>(sqlx::AssertSqlSafe(query));
        found.fetch_optional(&self.postgres).await.unwrap().flatten()
    }

    /// What the orchestrator would get next.
    pub async fn next_request(&self) -> Asked {
        let mut requests = self.requests.lock().await;
        loop {
            let event = timeout(SOON, requests.recv()).await.expect("no request came").unwrap();
            if let TailEvent::Record(record) = event {
                let request = self.decoder.decode(record.value.as_deref().unwrap()).await.unwrap();
                return Asked { record, request };
            }
        }
    }

    pub fn completed() -> RunResult {
        RunResult {
            status: status::COMPLETED.to_owned(),
            output: Some("\"done\"".to_owned()),
            ..RunResult::default()
        }
    }

    /// A result of a request that nobody here has seen.
    pub fn result_of(request_id: &str) -> RunResult {
        RunResult {
            request_id: request_id.to_owned(),
            tenant: "default".to_owned(),
            src: format!("requests/0/{request_id}"),
            accepted_at: Timestamp::now(),
            chain: Some("echo@1#abc".to_owned()),
            completed_at: Timestamp::now(),
            ..Self::completed()
        }
    }

    /// Commits results with their keys.
    pub async fn commit(&self, results: impl IntoIterator<Item = (Option<&str>, RunResult)>) {
        let sent = results.into_iter().map(|(key, result)| {
            let output = Output {
                topic: self.kafka.topic("results"),
                // spread over the partitions, whatever the key
                partition: result.request_id.bytes().last().map(|byte| i32::from(byte % 6)),
                key: key.map(|key| key.to_owned().into()),
                value: Some(self.results.encode(&result).unwrap()),
                headers: Headers::new()
                    .with(headers::REQUEST_ID, result.request_id.clone())
                    .with(headers::TENANT, result.tenant.clone())
                    .with(headers::SRC, result.src.clone()),
            };
            self.producer.send(output)
        });
        for sent in futures::future::join_all(sent).await {
            sent.unwrap();
        }
    }

    /// Commits a result as the orchestrator would.
    pub async fn answer(&self, asked: &Asked, result: RunResult) {
        let request_id = asked.request.request_id.clone().unwrap();
        let src = asked.record.src();
        let value = self.results.encode(&RunResult {
            request_id: request_id.clone(),
            tenant: asked.request.tenant.clone(),
            src: src.clone(),
            accepted_at: Timestamp::from_millis(asked.record.timestamp_ms),
            chain: Some("echo@1#abc".to_owned()),
            completed_at: Timestamp::now(),
            ..result
        });
        let output = Output {
            topic: self.kafka.topic("results"),
            key: asked.record.key.clone(),
            value: Some(value.unwrap()),
            headers: Headers::new()
                .with(headers::REQUEST_ID, request_id)
                .with(headers::TENANT, asked.request.tenant.clone())
                .with(headers::SRC, src),
            ..Output::default()
        };
        self.producer.send(output).await.unwrap();
    }

    /// An api that is ready.
    pub async fn start(&self, start: Start) -> Api {
        let listen = free_address();
        let settings = ApiSettings {
            listen,
            max_waiters: start.max_waiters,
            ring_results: start.ring_results,
            grace_seconds: start.grace_seconds,
            ..ApiSettings::default()
        };
        let postgres_url = start.postgres_url.unwrap_or_else(|| self.postgres_url.clone());
        let api = Api::start(settings, self.kafka.clone(), self.registry.clone(), postgres_url);
        let ready = async || api.is_ready().await.then_some(());
        until(SOON, ready).await.expect("the api did not become ready");
        api
    }

    /// Nothing listens there.
    fn kafka_away(&self) -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: "127.0.0.1:9".to_owned(),
            ..self.kafka.clone()
        }
    }

    /// The reports of another process.
    pub fn report(&self, roles: Vec<(&'static str, Readiness)>, metrics: PrometheusHandle) -> Reports {
        Reports::begin(self.kafka.clone(), self.registry.clone(), Health::new(roles, metrics))
    }

    /// Those of one that finds no broker.
    pub fn report_without_brokers(&self, metrics: PrometheusHandle) -> Reports {
        let health = Health::new(Vec::new(), metrics);
        Reports::begin(self.kafka_away(), self.registry.clone(), health)
    }

    /// An api that reads the tables of this stage and finds no broker.
    pub async fn start_without_brokers(&self) -> Api {
        let settings = ApiSettings {
            listen: free_address(),
            grace_seconds: 0,
            ..ApiSettings::default()
        };
        let api = Api::start(
            settings,
            self.kafka_away(),
            self.registry.clone(),
            self.postgres_url.clone(),
        );
        let listens = async || api.listens().await.then_some(());
        until(SOON, listens).await.expect("the api does not listen");
        api
    }
}
