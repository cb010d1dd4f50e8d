//! Records → rows: which topic carries what, and who a request is.

use std::collections::HashMap;

use schemas::{
    Attempt, Audit, DeadLetter, DecodeError, Decoder, PlainDecoder, Registry, RegistryError, Request, RunResult,
    Timestamp, headers,
    identity::{self, Claims},
    request_kind,
};
use topics::{
    Catalog, KafkaSettings, Record,
    catalog::{Input, Value},
};

use crate::{
    entry::{Entry, RequestRow, Row},
    failure::with_causes,
};

/// What the values of a topic are.
#[derive(Debug, Clone)]
enum Carries {
    Requests(Input),
    Results,
    Audit,
    Attempts,
    DeadLetters,
}

pub(crate) struct Reader {
    topics: HashMap<String, Carries>,
    requests: Decoder<Request>,
    plain: PlainDecoder,
    results: Decoder<RunResult>,
    audit: Decoder<Audit>,
    attempts: Decoder<Attempt>,
    dead_letters: Decoder<DeadLetter>,
}

impl Reader {
    pub fn new(kafka: &KafkaSettings, catalog: &Catalog, registry: &Registry) -> Result<Self, RegistryError> {
        let inputs = catalog
            .group("orchestrator")
            .map(|group| group.inputs.as_slice())
            .unwrap_or_default();
        let own = [
            ("results", Carries::Results),
            ("audit", Carries::Audit),
            ("attempts", Carries::Attempts),
            ("dead-letters", Carries::DeadLetters),
        ];
        let topics = inputs
            .iter()
            .map(|input| (input.full_topic(kafka), Carries::Requests(input.clone())))
            .chain(own.map(|(name, carries)| (kafka.topic(name), carries)))
            .collect();
        Ok(Self {
            topics,
            requests: registry.decoder()?,
            plain: registry.plain_decoder(),
            results: registry.decoder()?,
            audit: registry.decoder()?,
            attempts: registry.decoder()?,
            dead_letters: registry.decoder()?,
        })
    }

    /// Full names of all topics to be read.
    pub fn topics(&self) -> Vec<String> {
        self.topics.keys().cloned().collect()
    }

    /// A record that cannot be decoded becomes a quarantine row.
    ///
    /// # Errors
    /// Only what may pass: the registry could not be asked, or may not know the id yet.
    pub async fn read(&self, record: Record) -> Result<Entry, DecodeError> {
        // Whoever waits here keeps all others waiting, so only where the broker says that a record is young: on a topic with
        // the times of its writers each made-up id would cost half a minute.
        let appended_at = Timestamp::from_millis(record.appended_ms().unwrap_or_default());
        let value = record.value.as_deref().unwrap_or_default();
        let row = match self.topics.get(&*record.topic) {
            Some(Carries::Requests(input)) => self.request(&record, input, value).await,
            Some(Carries::Results) => self
                .results
                .decode(value)
                .await
                .map(|result| Row::Result(Box::new(result))),
            Some(Carries::Audit) => self.audit.decode(value).await.map(|audit| Row::Audit(Box::new(audit))),
            Some(Carries::Attempts) => self
                .attempts
                .decode(value)
                .await
                .map(|attempt| Row::Attempt(Box::new(attempt))),
            Some(Carries::DeadLetters) => self
                .dead_letters
                .decode(value)
                .await
                .map(|letter| Row::DeadLetter(Box::new(letter))),
            None => Ok(Row::Quarantine("the recorder does not know this topic".to_owned())),
        };
        match row {
            Ok(row) => Ok(Entry { record, row }),
            Err(error) if error.may_pass(Some(appended_at)) => Err(error),
            Err(error) => Ok(Entry {
                record,
                row: Row::Quarantine(with_causes(&error)),
            }),
        }
    }

    async fn request(&self, record: &Record, input: &Input, value: &[u8]) -> Result<Row, DecodeError> {
        let request = match input.value {
            Value::Request => self.requests.decode(value).await?,
            Value::Avro => Request {
                input: self.plain.decode(value).await?.to_string(),
                ..Request::default()
            },
            // Whether it is JSON is the orchestrator's to judge; here it is what was asked.
            Value::Json => match std::str::from_utf8(value) {
                Ok(text) => Request {
                    input: text.to_owned(),
                    ..Request::default()
                },
                Err(error) => return Ok(Row::Quarantine(format!("the value is not UTF-8: {error}"))),
            },
        };
        let claims = Claims {
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset,
            request_id_header: record.headers.get(headers::REQUEST_ID),
            tenant_header: record.headers.get(headers::TENANT),
            request_id_field: request.request_id.as_deref(),
            tenant_field: Some(&request.tenant),
            topic_tenant: input.tenant.as_deref(),
        };
        let metadata = serde_json::json!(request.metadata).to_string();
        Ok(Row::Request(Box::new(RequestRow {
            identity: identity::identify(&claims).unwrap_or_else(|invalid| invalid.identity),
            turn: request.turn(),
            accepted_at: Timestamp::from_millis(record.timestamp_ms),
            kind: if request.kind.is_empty() {
                request_kind::RUN.to_owned()
            } else {
                request.kind
            },
            chain: input.chain.clone().unwrap_or(request.chain),
            input: request.input,
            params: request.params,
            deadline: request.deadline,
            conversation: request.conversation,
            metadata,
            created_at: Some(request.created_at).filter(|at| at.0 != 0),
            trace_id: record
                .headers
                .text(headers::TRACEPARENT)
                .and_then(trace_id)
                .map(str::to_owned),
        })))
    }
}

/// `00-<trace id>-<span id>-<flags>`, <https://www.w3.org/TR/trace-context/#traceparent-header>
fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_topics_names_the_record_types_that_are_registered() {
        let catalog = Catalog::embedded().unwrap();
        let listed = catalog
            .topics
            .iter()
            .filter_map(|topic| Some((topic.name.as_str(), topic.schema.as_deref()?)));
        let registered = schemas::topics().map(|(topic, definition)| (topic, definition.name));
        assert_eq!(listed.collect::<HashMap<_, _>>(), HashMap::from(registered));
    }

    #[test]
    fn the_trace_id_is_the_second_part_of_a_traceparent() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_id(&format!("00-{id}-00f067aa0ba902b7-01")), Some(id));
        assert_eq!(trace_id("00-short-00f067aa0ba902b7-01"), None);
        assert_eq!(trace_id(""), None);
    }
}
