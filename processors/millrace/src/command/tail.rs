use std::process::ExitCode;

use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use clap::{Args, ValueEnum};
use schemas::{Attempt, Audit, ChainRecord, DeadLetter, Decoder, Document, Registry, Request, RunResult, Shape, Token};
use serde_json::{Value, json};
use topics::{Record, Start, Tail as TopicTail, TailEvent, TailSettings};

use crate::{config::Config, shutdown};

use super::output;

/// Committed records of all partitions, one JSON object a line, until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace tail
  millrace tail audit --from-beginning | jq .value.cost
  millrace tail dead-letters --from-beginning --count 1")]
pub struct Tail {
    #[arg(default_value = "results")]
    topic: Topic,
    /// Begin with the oldest record instead of the next one
    #[arg(long)]
    from_beginning: bool,
    /// End after so many records
    #[arg(long, value_name = "N")]
    count: Option<usize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Topic {
    Requests,
    #[value(name = "requests.interactive")]
    Interactive,
    Results,
    Audit,
    Attempts,
    DeadLetters,
    Tokens,
    Documents,
    Chains,
}

pub async fn execute(command: Tail, config: &Config) -> anyhow::Result<ExitCode> {
    let shutdown = shutdown::on_signal(None)?;
    let registry = Registry::new(&config.registry)?;
    match command.topic {
        Topic::Requests => show::<Request>(&command, "requests", config, &registry, shutdown).await,
        Topic::Interactive => show::<Request>(&command, "requests.interactive", config, &registry, shutdown).await,
        Topic::Results => show::<RunResult>(&command, "results", config, &registry, shutdown).await,
        Topic::Audit => show::<Audit>(&command, "audit", config, &registry, shutdown).await,
        Topic::Attempts => show::<Attempt>(&command, "attempts", config, &registry, shutdown).await,
        Topic::DeadLetters => show::<DeadLetter>(&command, "dead-letters", config, &registry, shutdown).await,
        Topic::Tokens => show::<Token>(&command, "tokens", config, &registry, shutdown).await,
        Topic::Documents => show::<Document>(&command, "documents", config, &registry, shutdown).await,
        Topic::Chains => show::<ChainRecord>(&command, "chains", config, &registry, shutdown).await,
    }
}

async fn show<S: Shape>(
    command: &Tail,
    topic: &str,
    config: &Config,
    registry: &Registry,
    shutdown: tokio_util::sync::CancellationToken,
) -> anyhow::Result<ExitCode> {
    let decoder = registry.decoder::<S>()?;
    let settings = TailSettings {
        client_id: "millrace-tail".to_owned(),
        topics: vec![config.kafka.topic(topic)],
        start: if command.from_beginning {
            Start::Beginning
        } else {
            Start::End
        },
        buffer_bytes: 16 << 20,
    };
    let mut tail = TopicTail::open(&config.kafka, settings)?;
    let mut shown = 0;
    while command.count.is_none_or(|count| shown < count) {
        let event = tokio::select! {
            event = tail.recv() => event.context("the topic cannot be read any further")?,
            () = shutdown.cancelled() => break,
        };
        let TailEvent::Record(record) = event else {
            eprintln!("{topic}: at the end of every partition, waiting for records (Ctrl-C ends)");
            continue;
        };
        output::json(&line(&record, &decoder).await?)?;
        shown += 1;
    }
    Ok(ExitCode::SUCCESS)
}

/// What one record shows: where it lies, its headers, and its value or why that can never be decoded.
///
/// # Errors
/// It cannot be decoded now: the registry is away.
async fn line<S: Shape>(record: &Record, decoder: &Decoder<S>) -> anyhow::Result<Value> {
    let headers: serde_json::Map<String, Value> = record
        .headers
        .iter()
        .map(|(name, value)| {
            (
                String::from_utf8_lossy(name).into_owned(),
                value.map_or(Value::Null, |value| String::from_utf8_lossy(value).into()),
            )
        })
        .collect();
    let mut line = json!({
        "at": record.src(),
        "key": record.key.as_deref().map(String::from_utf8_lossy),
        "headers": headers,
    });
    let decoded = match &record.value {
        None => Err("the value is null".to_owned()),
        Some(bytes) => match decoder.decode(bytes).await {
            Ok(value) => Ok(serde_json::to_value(value)?),
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
        },
    };
    let (field, value) = match decoded {
        Ok(mut value) => {
            readable(&mut value);
            ("value", value)
        }
        Err(reason) => ("undecodable", reason.into()),
    };
    line[field] = value;
    Ok(line)
}

/// Bytes as text, or `{"base64": ...}` where they are none: what a dead letter holds is looked at by people.
fn readable(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(readable),
        Value::Array(items) => {
            let bytes: Option<Vec<u8>> = items
                .iter()
                .map(|item| u8::try_from(item.as_u64()?).ok())
                .collect::<Option<_>>()
                .filter(|bytes: &Vec<u8>| !bytes.is_empty());
            match bytes {
                None => items.iter_mut().for_each(readable),
                Some(bytes) => {
                    *value = match String::from_utf8(bytes) {
                        Ok(text) if !text.contains('\0') => text.into(),
                        Ok(text) => json!({"base64": BASE64_STANDARD.encode(text)}),
                        Err(error) => json!({"base64": BASE64_STANDARD.encode(error.as_bytes())}),
                    }
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_letter_holds_can_be_read() {
        let letter = DeadLetter {
            key: Some(b"k".to_vec()),
            value: Some(b"\0\xff".to_vec()),
            headers: vec![schemas::RawHeader {
                name: "a".to_owned(),
                value: Some(b"{}".to_vec()),
                name_bytes: None,
            }],
            ..DeadLetter::default()
        };
        let mut shown = serde_json::to_value(letter).unwrap();
        readable(&mut shown);
        assert_eq!(
            (&shown["key"], &shown["value"], &shown["headers"][0]["value"]),
            (&json!("k"), &json!({"base64": "AP8="}), &json!("{}"))
        );
    }
}
