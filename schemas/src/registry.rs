//! The schema registry, in Confluent's API (which Apicurio, Redpanda and Karapace serve too), subjects named after
//! topics (TopicNameStrategy).
//!
//! Our ids are asked for by the whole schema, never by "latest": what is written under an id was written with exactly
//! the schema the registry keeps under it. The text sent is the `.avsc` file without its layout, because some
//! registries give another layout another id.

mod answer;
mod error;
mod parsed;
mod settings;

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Method, Response, StatusCode};
use schema_registry_converter::{
    async_impl::schema_registry::{self as lookup, SrSettings},
    schema_registry_common::{RawError, SchemaType, SrCall, SuppliedSchema},
};
use serde::Deserialize;
use serde_json::{Value, json};

use self::answer::{LookupError, is_not_found, refusal};
pub(crate) use self::parsed::Parsed;
pub use self::{error::RegistryError, settings::RegistrySettings};
use crate::{Decoder, Definition, Encoder, PlainDecoder, PlainEncoder, Shape, codec::MAX_ALLOCATION};

const TIMEOUT: Duration = Duration::from_secs(5);
/// Every version can read every other, so that producers and consumers of any age meet in one topic.
const COMPATIBILITY: &str = "FULL_TRANSITIVE";

/// A client of the schema registry. Clones share its connections.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    settings: RegistrySettings,
    lookups: SrSettings,
    /// For the two calls that the converter does not know: compatibility of a subject, and the check against it.
    http: Client,
}

/// What the registry says to a schema before it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// It is there, under this id.
    Registered { id: u32 },
    /// The subject has no version yet.
    New,
    /// It would be accepted as the next version.
    Compatible,
    /// It would be refused, for these reasons.
    Incompatible { reasons: Vec<String> },
}

impl Registry {
    /// Opens no connection yet.
    ///
    /// # Errors
    /// [`RegistryError::Settings`] when TLS cannot be set up.
    pub fn new(settings: &RegistrySettings) -> Result<Self, RegistryError> {
        apache_avro::util::max_allocation_bytes(MAX_ALLOCATION);
        let mut urls = settings.urls();
        let mut builder = SrSettings::new_builder(urls.next().unwrap_or_default());
        for url in urls {
            builder.add_url(url);
        }
        if let Some(username) = &settings.username {
            builder.set_basic_authorization(username, settings.password.as_deref());
        }
        let failed = |source| RegistryError::Settings { source };
        let lookups = builder
            .set_timeout(TIMEOUT)
            .build()
            .map_err(|error| failed(error.into()))?;
        let http = Client::builder()
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| failed(error.into()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                settings: settings.clone(),
                lookups,
                http,
            }),
        })
    }

    /// Registers a record type for the values of `topic`; the subject's compatibility is FULL_TRANSITIVE from then on.
    /// Returns the schema id, also when it was registered before.
    ///
    /// # Errors
    /// [`RegistryError::Refused`] when an earlier version is incompatible, [`RegistryError::Unavailable`].
    pub async fn register(&self, topic: &str, definition: Definition) -> Result<u32, RegistryError> {
        let subject = subject(topic);
        let body = json!({ "compatibility": COMPATIBILITY });
        let answer = self
            .call(Method::PUT, &format!("config/{}", escaped(&subject)), &body)
            .await?;
        self.accepted(&subject, answer).await?;
        let supplied = SuppliedSchema::new(None, SchemaType::Avro, definition.text());
        match lookup::post_schema(&self.inner.lookups, subject.clone(), supplied).await {
            Ok(registered) => Ok(registered.id),
            Err(error) => match refusal(&error) {
                Some(RawError {
                    error_code: 409 | 422 | 40900..=40999 | 42200..=42299,
                    message,
                    ..
                }) => Err(RegistryError::Refused {
                    subject,
                    message: message.clone(),
                }),
                Some(_) | None => Err(self.unavailable(LookupError(error))),
            },
        }
    }

    /// Whether a record type is registered for the values of `topic`, or could be.
    ///
    /// # Errors
    /// [`RegistryError::Unavailable`].
    pub async fn check(&self, topic: &str, definition: Definition) -> Result<Check, RegistryError> {
        match self.id_of(topic, definition).await {
            Ok(id) => return Ok(Check::Registered { id }),
            Err(RegistryError::NotRegistered { .. }) => {}
            Err(error) => return Err(error),
        }
        let subject = subject(topic);
        let path = format!("compatibility/subjects/{}/versions?verbose=true", escaped(&subject));
        let body = json!({ "schema": definition.text(), "schemaType": "AVRO" });
        let answer = self.call(Method::POST, &path, &body).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(Check::New);
        }
        let verdict: Verdict = self
            .accepted(&subject, answer)
            .await?
            .json()
            .await
            .map_err(|error| self.unavailable(error))?;
        Ok(match verdict {
            Verdict {
                is_compatible: true, ..
            } => Check::Compatible,
            Verdict {
                is_compatible: false,
                messages,
            } => Check::Incompatible { reasons: messages },
        })
    }

    /// An encoder for the values of `topic`.
    ///
    /// # Errors
    /// [`RegistryError::NotRegistered`], [`RegistryError::Unavailable`].
    pub async fn encoder<S: Shape>(&self, topic: &str) -> Result<Encoder<S>, RegistryError> {
        Encoder::new(self.id_of(topic, Definition::of::<S>()).await?)
    }

    /// A decoder for values of any version of a record type. Clones share what it learns about ids.
    ///
    /// # Errors
    /// [`RegistryError::Parse`] when our own schema is broken, which a test rules out.
    pub fn decoder<S: Shape>(&self) -> Result<Decoder<S>, RegistryError> {
        Decoder::new(self.clone())
    }

    /// A decoder of any Avro record to JSON. Clones share what it learns about ids.
    #[must_use]
    pub fn plain_decoder(&self) -> PlainDecoder {
        PlainDecoder::new(self.clone())
    }

    /// An encoder of JSON for the values of `topic`, in the schema that its owner registered last.
    ///
    /// # Errors
    /// [`RegistryError::NotRegistered`] when the topic has none, [`RegistryError::NotAvro`],
    /// [`RegistryError::Unavailable`].
    pub async fn plain_encoder(&self, topic: &str) -> Result<PlainEncoder, RegistryError> {
        let subject = subject(topic);
        let latest = lookup::get_schema_by_subject_and_version(&self.inner.lookups, &subject, None).await;
        let registered = latest.map_err(|error| match is_not_found(&error) {
            true => RegistryError::NotRegistered {
                subject: subject.clone(),
            },
            false => self.unavailable(LookupError(error)),
        })?;
        PlainEncoder::new(&self.parsed(&registered, &subject).await?)
    }

    /// The schema under an id.
    pub(crate) async fn schema(&self, id: u32) -> Result<Parsed, RegistryError> {
        let registered =
            lookup::get_schema_by_id(id, &self.inner.lookups)
                .await
                .map_err(|error| match is_not_found(&error) {
                    true => RegistryError::UnknownId { id },
                    false => self.unavailable(LookupError(error)),
                })?;
        self.parsed(&registered, &format!("schema {id}")).await
    }

    async fn id_of(&self, topic: &str, definition: Definition) -> Result<u32, RegistryError> {
        let subject = subject(topic);
        let body = json!({ "schema": definition.text(), "schemaType": "AVRO" }).to_string();
        match lookup::perform_sr_call(&self.inner.lookups, SrCall::PostForVersion(&subject, &body)).await {
            Ok(found) => found.id.ok_or(RegistryError::NotRegistered { subject }),
            Err(error) if is_not_found(&error) => Err(RegistryError::NotRegistered { subject }),
            Err(error) => Err(self.unavailable(LookupError(error))),
        }
    }

    /// A call that the converter does not know, to the first URL that answers.
    async fn call(&self, method: Method, path: &str, body: &Value) -> Result<Response, RegistryError> {
        let settings = &self.inner.settings;
        let mut failure = None;
        for url in settings.urls() {
            let mut request = self
                .inner
                .http
                .request(method.clone(), format!("{url}/{path}"))
                .json(body);
            if let Some(username) = &settings.username {
                request = request.basic_auth(username, settings.password.as_ref());
            }
            match request.send().await.and_then(unless_server_error) {
                Ok(answer) => return Ok(answer),
                Err(error) => failure = Some(error),
            }
        }
        Err(match failure {
            Some(error) => self.unavailable(error),
            None => RegistryError::Settings {
                source: "no url".into(),
            },
        })
    }

    async fn accepted(&self, subject: &str, answer: Response) -> Result<Response, RegistryError> {
        match answer.error_for_status_ref() {
            Ok(_) => Ok(answer),
            Err(error) if matches!(answer.status().as_u16(), 401 | 403 | 404 | 429) => Err(self.unavailable(error)),
            Err(_) => {
                let message = answer.text().await.unwrap_or_default();
                Err(RegistryError::Refused {
                    subject: subject.to_owned(),
                    message,
                })
            }
        }
    }

    fn unavailable(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> RegistryError {
        RegistryError::Unavailable {
            url: self.inner.settings.shown_url(),
            source: error.into(),
        }
    }
}

/// <https://docs.confluent.io/platform/current/schema-registry/develop/api.html#compatibility>
#[derive(Deserialize)]
struct Verdict {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

/// TopicNameStrategy.
fn subject(topic: &str) -> String {
    format!("{topic}-value")
}

fn escaped(subject: &str) -> String {
    subject.replace('%', "%25").replace('/', "%2F")
}

fn unless_server_error(answer: Response) -> Result<Response, reqwest::Error> {
    if answer.status().is_server_error() {
        answer.error_for_status()
    } else {
        Ok(answer)
    }
}
