//! A run of one request, as its driver would leave it.

use std::{collections::BTreeMap, fs, time::Duration};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use schemas::{Audit, Definition, Registry, RegistrySettings, Request, RunResult, Shape, audit_kind, headers, status};
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use testkit::{
    Space,
    chaos::{
        Plan, RunFolder, Seen,
        check::{Isolation, Verdict, gather, judge, scan},
    },
};

const PATIENCE: Duration = Duration::from_secs(60);
const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/migrations");

/// Its worker aborted the first transaction and committed the second.
pub struct Run {
    pub space: Space,
    registry: Registry,
    producer: ThreadedProducer<DefaultProducerContext>,
    folder: tempfile::TempDir,
}

impl Run {
    pub async fn new(name: &str) -> Self {
        let space = Space::new(name).await;
        let registry = RegistrySettings {
            url: space.parts.registry_url.clone(),
            username: None,
            password: None,
        };
        let registry = Registry::new(&registry).unwrap();
        let shapes: [(&str, Definition); 5] = [
            ("requests", Definition::of::<Request>()),
            ("results", Definition::of::<RunResult>()),
            ("audit", Definition::of::<Audit>()),
            ("attempts", Definition::of::<schemas::Attempt>()),
            ("dead-letters", Definition::of::<schemas::DeadLetter>()),
        ];
        for (topic, shape) in shapes {
            let topic = space.topic(topic);
            testkit::kafka::create_topic(&space.parts.bootstrap, &topic, 1)
                .await
                .unwrap();
            registry.register(&topic, shape).await.unwrap();
        }
        let options: PgConnectOptions = space.postgres_url.parse().unwrap();
        let mut postgres = options.disable_statement_logging().connect().await.unwrap();
        let mut migrations: Vec<_> = fs::read_dir(MIGRATIONS)
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        migrations.sort();
        for migration in migrations {
            let text = fs::read_to_string(migration).unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(text))
                .execute(&mut postgres)
                .await
                .unwrap();
        }
        postgres.close().await.unwrap();

        let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
            .set("bootstrap.servers", &space.parts.bootstrap)
            .set("transactional.id", space.topic("worker"))
            .set("transaction.timeout.ms", "120000")
            .create()
            .unwrap();
        let run = Self {
            folder: tempfile::tempdir().unwrap(),
            space,
            registry,
            producer,
        };
        run.leave_plan(&run.plan());
        tokio::task::block_in_place(|| run.producer.init_transactions(PATIENCE)).unwrap();
        let request = Request {
            request_id: Some("r".to_owned()),
            ..Request::default()
        };
        run.transaction(true, async || run.send("requests", &request).await)
            .await;
        run.transaction(false, async || run.send("results", &run.result("1")).await)
            .await;
        run.transaction(true, async || {
            run.send("results", &run.result("2")).await;
            let audit = Audit {
                kind: audit_kind::RUN.to_owned(),
                request_id: "r".to_owned(),
                src: run.src(),
                ..Audit::default()
            };
            run.send("audit", &audit).await;
        })
        .await;
        run
    }

    pub fn plan(&self) -> Plan {
        Plan {
            seed: 1,
            seconds: 1,
            rate: 1,
            brokers: 1,
            bootstrap: self.space.parts.bootstrap.clone(),
            registry_url: self.space.parts.registry_url.clone(),
            postgres_url: self.space.postgres_url.clone(),
            prefix: self.space.prefix.clone(),
            group: self.space.group("orchestrator"),
            request_topics: vec![self.space.topic("requests")],
            emits: BTreeMap::new(),
            session_timeout_ms: 6_000,
            transaction_timeout_ms: 10_000,
        }
    }

    pub fn leave_plan(&self, plan: &Plan) {
        fs::write(self.folder().plan(), serde_json::to_vec(plan).unwrap()).unwrap();
        fs::write(self.folder().faults(), "").unwrap();
    }

    pub fn folder(&self) -> RunFolder {
        RunFolder::at(self.folder.path())
    }

    fn src(&self) -> String {
        format!("{}/0/0", self.space.topic("requests"))
    }

    fn result(&self, output: &str) -> RunResult {
        RunResult {
            request_id: "r".to_owned(),
            tenant: "default".to_owned(),
            src: self.src(),
            chain: Some("answer@1#00".to_owned()),
            status: status::COMPLETED.to_owned(),
            output: Some(output.to_owned()),
            ..RunResult::default()
        }
    }

    async fn transaction(&self, commits: bool, sends: impl AsyncFnOnce()) {
        self.producer.begin_transaction().unwrap();
        sends().await;
        tokio::task::block_in_place(|| {
            self.producer.flush(PATIENCE).unwrap();
            if commits {
                #[expect(clippy::disallowed_methods, reason = "a test may wait 100 ms")]
                self.producer.commit_transaction(PATIENCE).unwrap();
            } else {
                self.producer.abort_transaction(PATIENCE).unwrap();
            }
        });
    }

    async fn send<S: Shape>(&self, topic: &str, value: &S) {
        let topic = self.space.topic(topic);
        let value = self.registry.encoder::<S>(&topic).await.unwrap().encode(value).unwrap();
        let src = self.src();
        let mut said = OwnedHeaders::new();
        for (key, value) in [
            (headers::REQUEST_ID, "r"),
            (headers::TENANT, "default"),
            (headers::SRC, &src),
        ] {
            said = said.insert(Header {
                key,
                value: Some(value),
            });
        }
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&topic).headers(said).payload(&value[..]).partition(0);
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    /// A result and the state that vouches for it, in a transaction that is never ended.
    pub async fn hangs(&self) {
        self.producer.begin_transaction().unwrap();
        self.send("results", &self.result("3")).await;
        let group: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.space.parts.bootstrap)
            .set("group.id", self.space.group("orchestrator"))
            .create()
            .unwrap();
        let mut offsets = TopicPartitionList::new();
        let topic = self.space.topic("requests");
        offsets.add_partition_offset(&topic, 0, Offset::Offset(1)).unwrap();
        tokio::task::block_in_place(|| {
            self.producer.flush(PATIENCE).unwrap();
            let group = group.group_metadata().unwrap();
            self.producer
                .send_offsets_to_transaction(&offsets, &group, PATIENCE)
                .unwrap();
        });
    }

    /// Leaves behind what a reader of this isolation saw.
    pub async fn reader(&self, isolation: Isolation) {
        let mut lines = String::new();
        let topic = self.space.topic("results");
        scan(&self.space.parts.bootstrap, &topic, isolation, async |record| {
            let seen = Seen {
                at: record.at_ms * 1_000,
                partition: record.partition,
                offset: record.offset,
                request_id: record.text(headers::REQUEST_ID),
                src: record.text(headers::SRC),
            };
            lines += &format!("{}\n", serde_json::to_string(&seen).unwrap());
            Ok(())
        })
        .await
        .unwrap();
        fs::write(self.folder().reader(), lines).unwrap();
    }

    pub async fn judged(&self, isolation: Isolation) -> Verdict {
        judge(&gather(&self.folder(), isolation).await.unwrap())
    }
}
