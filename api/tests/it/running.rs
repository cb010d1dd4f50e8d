//! An api in this process, asked over HTTP; every answer is held to the contract.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use api::{ApiError, ApiSettings, Dependencies, health::Health};
use metrics_exporter_prometheus::PrometheusBuilder;
use schemas::Registry;
use serde_json::Value;
use tokio::{net::TcpStream, sync::watch, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use topics::{Catalog, KafkaSettings};

use crate::{
    SOON, contract,
    http::{Answer, Call, Open},
};

/// A running api.
pub struct Api {
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    running: JoinHandle<Result<(), ApiError>>,
}

impl Api {
    /// One that will be ready if its parts are there.
    pub fn start(settings: ApiSettings, kafka: KafkaSettings, registry: Registry, postgres_url: String) -> Self {
        let address = settings.listen;
        let (ready, is_ready) = watch::channel(Err("starting".to_owned()));
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let health = Health::new(vec![("api", is_ready)], metrics);
        let dependencies = Dependencies {
            kafka,
            catalog: Catalog::embedded().unwrap(),
            registry,
            postgres_url,
            health,
        };
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(api::run(settings, dependencies, ready, shutdown.clone()));
        Self {
            address,
            shutdown,
            running,
        }
    }

    pub async fn listens(&self) -> bool {
        TcpStream::connect(self.address).await.is_ok()
    }

    pub async fn is_ready(&self) -> bool {
        !self.running.is_finished() && self.listens().await && self.get("/readyz").await.status == 200
    }

    pub async fn open(&self, call: &Call) -> Open {
        Open::call(self.address, call).await
    }

    pub async fn send(&self, call: Call) -> Answer {
        let answer = timeout(SOON, self.open(&call).await.answer()).await.expect("no answer");
        let kind = answer.header("content-type").unwrap_or_default().to_owned();
        contract::check(call.method, &call.path, answer.status, &kind, &answer.body);
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Call::get(path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Call::post(path, body)).await
    }

    /// Ends in time, and well.
    pub async fn stop(self) {
        self.shutdown.cancel();
        timeout(Duration::from_secs(60), self.running)
            .await
            .expect("the api does not stop")
            .unwrap()
            .unwrap();
    }
}

pub fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, testkit::parts::free_port().unwrap()).into()
}
