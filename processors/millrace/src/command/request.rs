use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use clap::Args;
use schemas::{
    Registry, Request as RequestRecord, RunResult, Timestamp, headers,
    identity::{Claims, identify},
    request_kind, status,
};
use serde_json::{Value, json};
use topics::{Headers, Output, Producer, ProducerSettings, Start, Tail, TailEvent, TailSettings};
use uuid::Uuid;

use crate::config::Config;

use super::output;

/// For reaching the brokers, however little the caller wants to wait for the result.
const AT_LEAST: Duration = Duration::from_secs(5);

/// Produces one request and waits for its committed result, over Kafka alone: no api is needed. The result is one line of
/// JSON on standard output; the exit code is 0 when the run completed, 1 when it failed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace request --chain answer '{\"question\": \"What is a lane?\"}'
  millrace request --chain answer@1 --key customer-7 --id order-4711 '{\"question\": \"…\"}'
  millrace request --chain echo --no-wait '{}'")]
pub struct Request {
    /// `name`, or `name@version`; without a version the highest one
    #[arg(long)]
    chain: String,
    /// The chain's input as JSON
    #[arg(value_name = "JSON")]
    input: String,
    /// Requests of one key are answered in their order
    #[arg(long)]
    key: Option<String>,
    #[arg(long, default_value = schemas::identity::DEFAULT_TENANT)]
    tenant: String,
    /// Its id; the same id twice is one run [default: a new one]
    #[arg(long)]
    id: Option<String>,
    /// How long to wait for the result
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// Print the id and do not wait
    #[arg(long)]
    no_wait: bool,
}

pub async fn execute(command: Request, config: &Config) -> anyhow::Result<ExitCode> {
    schemas::json::read(command.input.as_bytes()).with_context(|| {
        format!(
            "the input is no JSON; quote it for your shell: '{{\"question\": \"…\"}}' (got {} bytes)",
            command.input.len()
        )
    })?;
    let id = command.id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let claims = Claims {
        request_id_header: Some(id.as_bytes()),
        tenant_header: Some(command.tenant.as_bytes()),
        ..Claims::default()
    };
    let identity = identify(&claims)?;
    let (request_id, tenant) = (identity.request_id, identity.tenant);
    let registry = Registry::new(&config.registry)?;
    let topic = config.kafka.topic("requests");
    let encoder = registry.encoder::<RequestRecord>(&topic).await?;

    let wait = Duration::from_secs(command.wait);
    let mut tail = match command.no_wait {
        true => None,
        false => {
            let opened = tokio::time::timeout(wait.max(AT_LEAST), open_results(config)).await;
            Some(opened.context("the results cannot be read: the brokers do not answer; nothing was sent")??)
        }
    };
    let record = RequestRecord {
        request_id: Some(request_id.clone()),
        kind: request_kind::RUN.to_owned(),
        tenant: tenant.clone(),
        chain: command.chain.clone(),
        input: command.input,
        metadata: BTreeMap::from([("client".to_owned(), "millrace request".to_owned())]),
        created_at: Timestamp::now(),
        ..RequestRecord::default()
    };
    let producer = Producer::new(&config.kafka, ProducerSettings::new("millrace-request"))?;
    let output = Output {
        topic: topic.clone(),
        partition: None,
        key: command.key.map(Into::into),
        value: Some(encoder.encode(&record)?),
        headers: Headers::new()
            .with(headers::REQUEST_ID, request_id.clone())
            .with(headers::TENANT, tenant),
    };
    let (partition, offset) = producer.send(output).await.context("the request could not be sent")?;
    let Some(tail) = &mut tail else {
        output::json(&json!({"request_id": request_id, "partition": partition, "offset": offset}))?;
        return Ok(ExitCode::SUCCESS);
    };
    let src = format!("{topic}/{partition}/{offset}");
    let awaited = wait_for(tail, &registry, &src);
    let Ok(result) = tokio::time::timeout(wait, awaited).await else {
        bail!(
            "no result of {request_id} within {} s; it may still come: `millrace tail results --from-beginning`. Does an \
             orchestrator run?",
            command.wait
        );
    };
    let result = result?;
    output::json(&show(&result))?;
    Ok(if result.status == status::COMPLETED {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A tail that stands at the end of `results`, so that no result of a request sent from now on is missed.
async fn open_results(config: &Config) -> anyhow::Result<Tail> {
    let settings = TailSettings {
        client_id: "millrace-request".to_owned(),
        topics: vec![config.kafka.topic("results")],
        start: Start::End,
        buffer_bytes: 16 << 20,
    };
    let mut tail = Tail::open(&config.kafka, settings)?;
    while !matches!(tail.recv().await?, TailEvent::CaughtUp) {}
    Ok(tail)
}

/// By its source: an id may have been sent before.
async fn wait_for(tail: &mut Tail, registry: &Registry, src: &str) -> anyhow::Result<RunResult> {
    let decoder = registry.decoder::<RunResult>()?;
    loop {
        let TailEvent::Record(record) = tail.recv().await? else {
            continue;
        };
        let is_ours = record.headers.text(headers::SRC) == Some(src);
        if let (true, Some(value)) = (is_ours, &record.value) {
            return Ok(decoder.decode(value).await?);
        }
    }
}

/// The result with its JSON texts as JSON.
fn show(result: &RunResult) -> Value {
    let output = result
        .output
        .as_deref()
        .map(|text| schemas::json::read(text.as_bytes()).unwrap_or_else(|_| text.into()));
    json!({
        "request_id": result.request_id,
        "status": result.status,
        "output": output,
        "error": result.error,
        "chain": result.chain,
        "usage": result.usage,
        "cost": result.cost.to_string(),
        "attempts": result.attempts,
        "src": result.src,
    })
}
