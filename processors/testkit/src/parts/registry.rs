//! Apicurio, through the API of Confluent's registry that it also speaks.

use std::path::Path;
use std::time::Duration;

use super::fetch::Fetched;
use super::java::{Archive, Heap};
use super::part::{Part, Probe};
use super::{PartsError, folder};
use crate::Launch;

const JAR: &str = "apicurio-registry-app-3.0.9-runner.jar";
const HEAP: Heap = Heap {
    megabytes: 256,
    optimise: false,
};

/// Where the schemas are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// Gone when it stops.
    Memory,
    /// In a database of the set's own PostgreSQL.
    Postgres { port: u16, database: &'static str },
}

pub fn part(
    fetched: &Fetched,
    run: &Path,
    port: u16,
    storage: &Storage,
    archive: &Archive,
) -> Result<(Part, String), PartsError> {
    let scratch = folder::create(&run.join("registry"))?;
    let mut launch = Launch::new("registry", &fetched.java.program, run.join("registry.log"))
        .args(HEAP.flags(archive))
        .args([format!("-Djava.io.tmpdir={}", scratch.display())])
        .args(["-Dquarkus.http.host=127.0.0.1", &format!("-Dquarkus.http.port={port}")]);
    if let Storage::Postgres { port, database } = storage {
        launch = launch.args([
            "-Dapicurio.storage.kind=sql",
            "-Dapicurio.storage.sql.kind=postgresql",
            &format!("-Dapicurio.datasource.url=jdbc:postgresql://127.0.0.1:{port}/{database}"),
            "-Dapicurio.datasource.username=postgres",
            "-Dapicurio.datasource.password=postgres",
            // its pool takes 20 connections otherwise
            "-Dapicurio.datasource.jdbc.min-size=1",
            "-Dapicurio.datasource.jdbc.initial-size=1",
            "-Dapicurio.datasource.jdbc.max-size=8",
        ]);
    }
    let launch = launch.args(["-jar", JAR]).folder(&fetched.registry);
    let url = format!("http://127.0.0.1:{port}/apis/ccompat/v7");
    Ok((Part::new(launch, Probe::Registry { url: url.clone() }), url))
}

pub async fn answers(url: &str) -> bool {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build();
    let Ok(client) = client else { return false };
    let answer = client.get(format!("{url}/subjects")).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}
