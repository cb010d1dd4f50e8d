use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use futures::{StreamExt, TryStreamExt, stream};
use schemas::{Document, Registry, headers};
use topics::{Headers, Output, Producer, ProducerSettings};

use crate::config::Config;

use super::output;

/// Markdown and text files, or folders of them. A file indexed again replaces what it was before.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace index README.md docs/
  millrace index --tenant acme handbook.md")]
pub struct Index {
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[arg(long, default_value = schemas::identity::DEFAULT_TENANT)]
    tenant: String,
}

/// Documents on their way to the broker at once.
const UNACKNOWLEDGED: usize = 64;

pub async fn execute(command: Index, config: &Config) -> anyhow::Result<ExitCode> {
    let documents = indexer::documents_from(&command.paths)?;
    let topic = config.kafka.topic("documents");
    let encoder = Registry::new(&config.registry)?.encoder::<Document>(&topic).await?;
    let producer = Arc::new(Producer::new(&config.kafka, ProducerSettings::new("millrace-index"))?);
    let total = documents.len();
    let sent = stream::iter(documents)
        .map(|mut document| {
            document.tenant.clone_from(&command.tenant);
            let (producer, encoder, topic) = (&producer, &encoder, &topic);
            async move {
                let output = Output {
                    topic: topic.clone(),
                    partition: None,
                    key: Some(Bytes::from(document.document_id.clone())),
                    value: Some(encoder.encode(&document)?),
                    headers: Headers::new().with(headers::TENANT, document.tenant.clone()),
                };
                producer
                    .send(output)
                    .await
                    .with_context(|| format!("document {}", document.document_id))?;
                anyhow::Ok(1_usize)
            }
        })
        .buffer_unordered(UNACKNOWLEDGED)
        .try_fold(0, |sum, one| async move { Ok(sum + one) })
        .await;
    producer.close().await;
    output::line(format_args!("{} of {total} documents sent to {topic}", sent?))?;
    Ok(ExitCode::SUCCESS)
}
