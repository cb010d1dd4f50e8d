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
    entry::{Entry, Key, RequestRow, Row, Said},
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
    /// Values that are longer are nobody's request, and not read.
    max_request_bytes: usize,
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
            max_request_bytes: catalog.max_request_bytes(),
        })
    }

    /// Full names of all topics to be read.
    pub fn topics(&self) -> Vec<String> {
        self.topics.keys().cloned().collect()
    }

    /// What cannot be decoded becomes a quarantine row, unless it is a request.
    ///
    /// # Errors
    /// Only what may pass: the registry could not be asked, or may not know the id yet.
    pub async fn read(&self, record: Record) -> Result<Entry, DecodeError> {
        let value = record.value.as_deref().unwrap_or_default();
        let row = match self.topics.get(&*record.topic) {
            Some(Carries::Requests(input)) => self.request(&record, input).await,
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
            Ok(row) => Ok(Entry::new(record, row)),
            Err(error) if error.may_pass(appended_at(&record)) => Err(error),
            Err(error) => Ok(Entry::new(record, Row::Quarantine(with_causes(&error)))),
        }
    }

    /// One that cannot be read is a row, too: under the identity that its failed result and its dead letter have.
    async fn request(&self, record: &Record, input: &Input) -> Result<Row, DecodeError> {
        let request = match record.value.as_deref() {
            Some(value) if value.len() <= self.max_request_bytes => self.said(input, value).await,
            Some(_) | None => Ok(None),
        };
        let request = match request {
            Ok(request) => request,
            Err(error) if error.may_pass(appended_at(record)) => return Err(error),
            Err(_unreadable) => None,
        };
        let claims = Claims {
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset,
            request_id_header: record.headers.get(headers::REQUEST_ID),
            tenant_header: record.headers.get(headers::TENANT),
            request_id_field: request.as_ref().and_then(|request| request.request_id.as_deref()),
            tenant_field: request.as_ref().map(|request| request.tenant.as_str()),
            topic_tenant: input.tenant.as_deref(),
        };
        Ok(Row::Request(Box::new(RequestRow {
            identity: identity::identify(&claims).unwrap_or_else(|invalid| invalid.identity),
            turn: request.as_ref().map_or(0, Request::turn),
            accepted_at: request
                .as_ref()
                .and_then(Request::run_accepted_at)
                .unwrap_or(Timestamp::from_millis(record.timestamp_ms)),
            key: record.key.as_deref().map(Key::of),
            trace_id: record
                .headers
                .text(headers::TRACEPARENT)
                .and_then(trace_id)
                .map(str::to_owned),
            said: request.map(|request| said(input, request)),
        })))
    }

    /// None: text that is none. Whether it is JSON is the orchestrator's to judge; here it is what was asked.
    async fn said(&self, input: &Input, value: &[u8]) -> Result<Option<Request>, DecodeError> {
        let of_input = |input| Request {
            input,
            ..Request::default()
        };
        Ok(match input.value {
            Value::Request => Some(self.requests.decode(value).await?),
            Value::Avro => Some(of_input(self.plain.decode(value).await?.to_string())),
            Value::Json => str::from_utf8(value).ok().map(|text| of_input(text.to_owned())),
        })
    }
}

fn said(input: &Input, request: Request) -> Said {
    let metadata = serde_json::json!(request.metadata).to_string();
    Said {
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
    }
}

/// Whoever waits for a schema keeps all others waiting, so it is done only where the broker says that a record is young: on a
/// topic with the times of its writers each made-up id would cost half a minute.
fn appended_at(record: &Record) -> Option<Timestamp> {
    Some(Timestamp::from_millis(record.appended_ms().unwrap_or_default()))
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
