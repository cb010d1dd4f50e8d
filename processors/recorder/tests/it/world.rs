//! What the stories have in common: topics and schemas of their own, records to write, questions to Postgres.

use std::time::Duration;

use bytes::Bytes;
use recorder::{Dependencies, RecorderError, RecorderSettings};
use schemas::{Attempt, Audit, Encoder, Registry, RegistrySettings, Request, RunResult, Shape, Timestamp, status};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use testkit::{Parts, kafka::TransactionalWriter, until};
use tokio::{
    sync::{OnceCell, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use topics::{
    Catalog, Headers, KafkaSettings, Output,
    admin::{Admin, Options, plan},
};

pub const SOON: Duration = Duration::from_secs(60);

/// A topic of an owner's, whose JSON records are a chain's input.
pub const TICKETS: &str = "tickets";

/// The topics that a recorder reads, and one that is none of its business.
const TOPICS: [&str; 7] = [
    "requests",
    "requests.interactive",
    "results",
    "audit",
    "attempts",
    "dead-letters",
    "documents",
];

pub struct World {
    pub kafka: KafkaSettings,
    pub catalog: Catalog,
    pub postgres_url: String,
    pub registry_url: String,
    pub pool: PgPool,
    registry: Registry,
    writer: OnceCell<tokio::sync::Mutex<TransactionalWriter>>,
}

/// A recorder in this process.
pub struct Running {
    pub ready: watch::Receiver<Result<(), String>>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), RecorderError>>,
}

impl World {
    pub async fn new(parts: &Parts, prefix: &str, postgres_url: &str) -> Self {
        let world = Self::again(&parts.bootstrap, &parts.registry_url, prefix, postgres_url);
        testkit::kafka::create_topic(&parts.bootstrap, &world.kafka.topic(TICKETS), 1)
            .await
            .unwrap();
        let admin = Admin::new(&world.kafka).unwrap();
        // A broker that has just started may not know yet who coordinates a group.
        let state = until(SOON, async || admin.observe(&world.catalog).await.ok())
            .await
            .unwrap();
        admin
            .apply(&plan(&world.catalog, &world.kafka, &state, Options::default()))
            .await
            .unwrap();
        for (topic, definition) in schemas::topics()
            .into_iter()
            .filter(|(topic, _)| TOPICS.contains(topic))
        {
            let topic = world.kafka.topic(topic);
            world.registry.register(&topic, definition).await.unwrap();
        }
        world
    }

    /// The same world, seen from another process.
    pub fn again(bootstrap: &str, registry_url: &str, prefix: &str, postgres_url: &str) -> Self {
        let kafka = KafkaSettings {
            bootstrap_servers: bootstrap.to_owned(),
            prefix: prefix.to_owned(),
            client: Default::default(),
        };
        let settings = RegistrySettings {
            url: registry_url.to_owned(),
            username: None,
            password: None,
        };
        Self {
            writer: OnceCell::new(),
            pool: PgPoolOptions::new().max_connections(3).connect_lazy_with(
                postgres_url
                    .parse::<PgConnectOptions>()
                    .unwrap()
                    .application_name("test"),
            ),
            postgres_url: postgres_url.to_owned(),
            registry_url: registry_url.to_owned(),
            registry: Registry::new(&settings).unwrap(),
            catalog: catalog(prefix),
            kafka,
        }
    }

    pub fn recorder(&self, settings: RecorderSettings) -> Running {
        let dependencies = Dependencies {
            kafka: self.kafka.clone(),
            catalog: self.catalog.clone(),
            registry: self.registry.clone(),
            postgres_url: self.postgres_url.clone(),
        };
        let (sender, ready) = watch::channel(Err("starting".to_owned()));
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(recorder::run(settings, dependencies, sender, shutdown.clone()));
        Running { ready, shutdown, task }
    }

    pub async fn encoder<S: Shape>(&self, topic: &str) -> Encoder<S> {
        self.registry.encoder(&self.kafka.topic(topic)).await.unwrap()
    }

    /// In a transaction, as the engine does; where the record is now.
    pub async fn send(&self, topic: &str, partition: i32, value: impl Into<Bytes>, headers: Headers) -> (i32, i64) {
        let output = Output {
            headers,
            ..self.output(topic, partition, value)
        };
        self.commit(vec![output]).await[0]
    }

    pub fn output(&self, topic: &str, partition: i32, value: impl Into<Bytes>) -> Output {
        Output {
            topic: self.kafka.topic(topic),
            partition: Some(partition),
            value: Some(value.into()),
            ..Output::default()
        }
    }

    pub async fn commit(&self, outputs: Vec<Output>) -> Vec<(i32, i64)> {
        self.writer().await.lock().await.commit(outputs).await.unwrap()
    }

    /// What a sweep leaves at the end of every partition.
    pub async fn abort(&self, topics: &[&str]) {
        let partitions = topics.iter().flat_map(|topic| [(topic, 0), (topic, 1)]);
        let outputs = partitions
            .map(|(topic, partition)| self.output(topic, partition, "aborted"))
            .collect();
        self.writer().await.lock().await.abort(outputs).await.unwrap();
    }

    async fn writer(&self) -> &tokio::sync::Mutex<TransactionalWriter> {
        let begin = async || {
            let id = format!("{}writer", self.kafka.prefix);
            let writer = TransactionalWriter::begin(&self.kafka.bootstrap_servers, &id).await;
            tokio::sync::Mutex::new(writer.unwrap())
        };
        self.writer.get_or_init(begin).await
    }

    /// Until the position of each partition is the end of its log, whatever lies there.
    pub async fn until_at_the_end(&self, topics: &[&str]) {
        let behind = async || {
            for (topic, partition) in topics.iter().flat_map(|topic| [(topic, 0), (topic, 1)]) {
                let topic = self.kafka.topic(topic);
                let (_, end) = testkit::kafka::log(&self.kafka.bootstrap_servers, &topic, partition).unwrap();
                let next = format!(
                    r#"SELECT max(next_offset)::text FROM consumer_positions WHERE topic = '{topic}' AND "partition" = {partition}"#
                );
                let next = self.text(&next).await;
                if end > 0 && next != Some(end.to_string()) {
                    return Some(format!("{topic}/{partition}: {next:?} of {end}"));
                }
            }
            None
        };
        let arrived = until(SOON, async || behind().await.is_none().then_some(())).await;
        assert!(arrived.is_ok(), "{:?}", behind().await);
    }

    pub async fn send_record<S: Shape>(&self, topic: &str, partition: i32, record: &S) -> (i32, i64) {
        let encoder = self.encoder::<S>(topic).await;
        self.send(topic, partition, encoder.encode(record).unwrap(), Headers::new())
            .await
    }

    /// Requests with results, audit and attempts, spread over the partitions, as an orchestrator would leave them.
    pub async fn send_runs(&self, ids: std::ops::Range<usize>) {
        let (requests, results) = (self.encoder("requests").await, self.encoder("results").await);
        let (audit, attempts) = (self.encoder("audit").await, self.encoder("attempts").await);
        let sends = ids.flat_map(|id| {
            let partition = i32::try_from(id % 2).unwrap();
            let result = result(id);
            let (request_id, attempt_id) = (result.request_id.clone(), format!("attempt-{id}"));
            let request = Request {
                request_id: Some(request_id.clone()),
                tenant: TENANT.to_owned(),
                ..request()
            };
            let attempt = Attempt {
                attempt_id: attempt_id.clone(),
                phase: "started".to_owned(),
                request_id: request_id.clone(),
                tenant: TENANT.to_owned(),
                src: result.src.clone(),
                accepted_at: result.accepted_at,
                at: Timestamp::now(),
                ..Attempt::default()
            };
            let row = Audit {
                kind: "attempt".to_owned(),
                attempt_id: Some(attempt_id),
                request_id,
                tenant: TENANT.to_owned(),
                src: result.src.clone(),
                accepted_at: result.accepted_at,
                started_at: Timestamp::now(),
                ..Audit::default()
            };
            [
                ("requests", partition, requests.encode(&request).unwrap()),
                ("attempts", partition, attempts.encode(&attempt).unwrap()),
                ("results", partition, results.encode(&result).unwrap()),
                ("audit", partition, audit.encode(&row).unwrap()),
            ]
        });
        let outputs: Vec<_> = sends
            .map(|(topic, partition, value)| self.output(topic, partition, value))
            .collect();
        for transaction in outputs.chunks(200) {
            self.commit(transaction.to_vec()).await;
        }
    }

    pub async fn count(&self, what: &str) -> i64 {
        let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {what}"));
        sqlx::query_scalar(count).fetch_one(&self.pool).await.unwrap_or(-1)
    }

    pub async fn text(&self, query: &str) -> Option<String> {
        let query = sqlx::AssertSqlSafe(query.to_owned());
        sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
    }

    pub async fn until_count(&self, what: &str, count: i64) {
        let seen = until(SOON, async || (self.count(what).await == count).then_some(())).await;
        if seen.is_err() {
            panic!("{what}: {} instead of {count}", self.count(what).await);
        }
    }

    pub async fn execute(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.pool).await.unwrap();
    }
}

impl Running {
    pub async fn until_ready(&mut self) {
        tokio::time::timeout(SOON, self.ready.wait_for(Result::is_ok))
            .await
            .unwrap()
            .unwrap();
    }

    pub async fn until_waiting_for(&mut self, what: &str) {
        let waits = |ready: &Result<(), String>| ready.as_ref().is_err_and(|why| why.contains(what));
        tokio::time::timeout(SOON, self.ready.wait_for(waits))
            .await
            .unwrap()
            .unwrap();
    }

    /// Ends in the middle of whatever it does.
    pub async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()));
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(SOON, self.task).await.unwrap().unwrap().unwrap();
    }
}

fn catalog(prefix: &str) -> Catalog {
    let mut catalog = Catalog::embedded().unwrap();
    catalog.topics.retain(|topic| TOPICS.contains(&topic.name.as_str()));
    for topic in &mut catalog.topics {
        topic.partitions = 2;
    }
    let orchestrator = catalog
        .groups
        .iter_mut()
        .find(|group| group.name == "orchestrator")
        .unwrap();
    let mut tickets = orchestrator.inputs[0].clone();
    tickets.topic = format!("{prefix}{TICKETS}");
    tickets.own = false;
    tickets.value = topics::catalog::Value::Json;
    tickets.chain = Some("triage@2".to_owned());
    tickets.tenant = Some("acme".to_owned());
    orchestrator.inputs.push(tickets);
    catalog
}

pub const TENANT: &str = "acme";

pub fn request() -> Request {
    Request {
        tenant: TENANT.to_owned(),
        chain: "answer".to_owned(),
        input: r#"{"question":"why?"}"#.to_owned(),
        ..Request::default()
    }
}

pub fn result(id: usize) -> RunResult {
    RunResult {
        request_id: format!("run-{id}"),
        tenant: TENANT.to_owned(),
        src: format!("requests/{}/{id}", id % 2),
        accepted_at: Timestamp::now(),
        chain: Some("answer@1#00".to_owned()),
        status: status::COMPLETED.to_owned(),
        output: Some(format!(r#"{{"answer":{id}}}"#)),
        completed_at: Timestamp::now(),
        ..RunResult::default()
    }
}
