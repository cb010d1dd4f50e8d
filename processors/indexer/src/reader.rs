//! What a record of a document topic says, and who says it.

use std::collections::HashMap;

use futures::FutureExt;
use schemas::{
    Decoder, Document, Registry, RegistryError, Timestamp, headers,
    identity::{Claims, Identity, InvalidIdentity, identify},
};
use topics::{
    Record,
    engine::{Prepared, Rejection},
};

use crate::patience::Failure;

pub(crate) struct Reader {
    decoder: Decoder<Document>,
    /// The tenants that topics.yaml binds topics to, by full topic name.
    tenants: HashMap<String, String>,
}

/// A document that can be indexed.
pub(crate) struct Work {
    pub(crate) identity: Identity,
    pub(crate) document: Document,
}

impl Reader {
    pub(crate) fn new(registry: &Registry, tenants: HashMap<String, String>) -> Result<Self, RegistryError> {
        Ok(Self {
            decoder: registry.decoder()?,
            tenants,
        })
    }

    pub(crate) async fn read(&self, record: &Record) -> Prepared<Work> {
        let Some(value) = record.value.as_deref() else {
            return poison("empty", "the record has no value: a document is removed by `deleted`");
        };
        // Waited for here, and not with `Prepared::Wait`: the registry is well, and what a bad record costs is its own lane.
        let appended_at = record.appended_ms().map(Timestamp::from_millis);
        let document = match self.decoder.decode_in_time(value, appended_at).await {
            Ok(document) => document,
            Err(error) => {
                let Failure { class, message } = Failure::of(error.class(), &error);
                return if error.is_transient() {
                    Prepared::Wait { reason: message }
                } else {
                    Prepared::Poison(Rejection { class, message })
                };
            }
        };
        if document.document_id.is_empty() {
            return poison("invalid_document", "the document has no `document_id`");
        }
        match identify(&self.claims(record, Some(&document))) {
            Ok(identity) => Prepared::Ready(Work { identity, document }),
            Err(invalid) => poison("invalid_identity", &invalid.to_string()),
        }
    }

    /// Who sent the record, as far as it can be known without asking the registry.
    pub(crate) fn sender(&self, record: &Record) -> Identity {
        let value = record.value.as_deref();
        let document = value.and_then(|value| self.decoder.decode(value).now_or_never()?.ok());
        identify(&self.claims(record, document.as_ref())).unwrap_or_else(|InvalidIdentity { identity, .. }| identity)
    }

    fn claims<'a>(&'a self, record: &'a Record, document: Option<&'a Document>) -> Claims<'a> {
        Claims {
            topic: &record.topic,
            partition: record.partition,
            offset: record.offset,
            request_id_header: record.headers.get(headers::REQUEST_ID),
            tenant_header: record.headers.get(headers::TENANT),
            request_id_field: None,
            tenant_field: document.map(|document| document.tenant.as_str()),
            topic_tenant: self.tenants.get(&*record.topic).map(String::as_str),
        }
    }
}

fn poison(class: &str, message: &str) -> Prepared<Work> {
    Prepared::Poison(Rejection {
        class: class.to_owned(),
        message: message.to_owned(),
    })
}
