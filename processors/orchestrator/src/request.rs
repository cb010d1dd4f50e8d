//! What a record of a request topic asks for, whatever form it has.

use futures::FutureExt;
use schemas::{
    DecodeError, Decoder, PlainDecoder, Registry, RegistryError, Request, Timestamp, brief, headers,
    identity::{Claims, Identity, InvalidIdentity, identify},
    json, request_kind, wire,
};
use serde_json::Value;
use topics::{Record, engine::Rejection};

use crate::outputs::MAX_KEY;

/// How the records of one request topic are to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) form: Form,
    /// The tenant that every record of the topic belongs to.
    pub(crate) tenant: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// Millrace's own record.
    #[default]
    Request,
    /// Any Avro record of the registry is the input of this chain.
    Avro { chain: String },
    /// Any JSON text is the input of this chain.
    Json { chain: String },
}

/// A request whose bytes could be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) identity: Identity,
    /// `name` or `name@version`
    pub(crate) chain: String,
    pub(crate) input: Value,
    pub(crate) params: Value,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) turn: i32,
    /// Of a run that goes on: the state of its interrupted result. The input holds the decisions then.
    pub(crate) state: Option<String>,
}

/// Who sent a record, as far as it says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sender {
    pub(crate) identity: Identity,
    pub(crate) turn: i32,
    /// That of the run, if this was to go on with it.
    pub(crate) accepted_at: Option<Timestamp>,
    /// `name` or `name@version`
    pub(crate) chain: Option<String>,
}

/// Why there is no [`Asked`].
#[derive(Debug)]
pub(crate) enum Unread {
    /// The registry cannot be asked: nothing is known about the record.
    Later(String),
    Poison(Rejection),
}

/// Reads requests; what it learns about schema ids it keeps.
#[derive(Clone)]
pub(crate) struct Reader {
    requests: Decoder<Request>,
    plain: PlainDecoder,
    /// Values that are longer are not read.
    max_bytes: usize,
}

impl Reader {
    pub(crate) fn new(registry: &Registry, max_bytes: usize) -> Result<Self, RegistryError> {
        Ok(Self {
            requests: registry.decoder()?,
            plain: registry.plain_decoder(),
            max_bytes,
        })
    }

    /// An id that the registry may not know yet is waited for here, and not with [`Unread::Later`], which stops the reading
    /// of the partition: the registry is well, and what a bad record costs is its own lane.
    pub(crate) async fn read(&self, record: &Record, binding: &Binding) -> Result<Asked, Unread> {
        let Some(value) = record.value.as_deref() else {
            return Err(poison("empty", "the record has no value"));
        };
        if value.len() > self.max_bytes {
            let message = format!(
                "the value has {} bytes, and requests may have {}",
                value.len(),
                self.max_bytes
            );
            return Err(poison("too_large", message));
        }
        let key = record.key.as_ref().map_or(0, bytes::Bytes::len);
        if key > MAX_KEY {
            return Err(poison(
                "too_large",
                format!("the key has {key} bytes, and the key of a request may have {MAX_KEY}"),
            ));
        }
        let appended_at = record.appended_ms().map(Timestamp::from_millis);
        match &binding.form {
            Form::Request => {
                let request = self.requests.decode_in_time(value, appended_at).await;
                let request = request.map_err(|error| undecodable(&error))?;
                own(record, binding, request)
            }
            Form::Avro { chain } => {
                let input = self.plain.decode_in_time(value, appended_at).await;
                let input = input.map_err(|error| undecodable(&error))?;
                plain(record, binding, chain, input)
            }
            Form::Json { chain } => {
                let input = json::read(value).map_err(|mistake| poison("invalid_json", not_json(value, &mistake)))?;
                plain(record, binding, chain, input)
            }
        }
    }

    /// Who sent a record, and for which chain, as far as it says: even poison has one to answer to. Its schema was asked
    /// for when it was first read, so nothing has to be waited for; where it would, header and place still say who.
    pub(crate) fn sender(&self, record: &Record, binding: &Binding) -> Sender {
        let readable = record.value.as_deref().filter(|value| value.len() <= self.max_bytes);
        let (request, chain) = match &binding.form {
            Form::Request => {
                let request = readable.and_then(|value| self.requests.decode(value).now_or_never()?.ok());
                let chain = request.as_ref().map(|request| request.chain.clone());
                (request, chain)
            }
            Form::Avro { chain } | Form::Json { chain } => (None, Some(chain.clone())),
        };
        let identity = identify(&claims(record, binding, request.as_ref()));
        Sender {
            identity: identity.unwrap_or_else(|InvalidIdentity { identity, .. }| identity),
            turn: request.as_ref().map_or(0, Request::turn),
            accepted_at: request.as_ref().and_then(Request::run_accepted_at),
            chain,
        }
    }
}

fn own(record: &Record, binding: &Binding, request: Request) -> Result<Asked, Unread> {
    let identity = identity(record, binding, Some(&request))?;
    let state = match (request.kind.as_str(), request.state) {
        (request_kind::RUN, None) if request.turn == 0 => None,
        (request_kind::RUN, None) => {
            let message = format!("a new run begins with turn 0, and this says {}", request.turn);
            return Err(poison("invalid_request", message));
        }
        (request_kind::RUN, Some(_)) => {
            let message = "`state` is for a request of the kind `resume`, and this is of the kind `run`";
            return Err(poison("invalid_request", message));
        }
        (request_kind::RESUME, Some(state)) => Some(state),
        (request_kind::RESUME, None) => {
            let message = "a resume needs `state`: copy it from the interrupted result";
            return Err(poison("invalid_request", message));
        }
        (other, _) => {
            let message = format!("there is no kind of request `{other}`: it is `run` or `resume`");
            return Err(poison("invalid_request", message));
        }
    };
    Ok(Asked {
        identity,
        input: of_text(&request.input, "input")?,
        params: of_text(&request.params, "params")?,
        chain: request.chain,
        deadline: request.deadline,
        turn: request.turn,
        state,
    })
}

fn plain(record: &Record, binding: &Binding, chain: &str, input: Value) -> Result<Asked, Unread> {
    let identity = identity(record, binding, None)?;
    Ok(Asked {
        identity,
        chain: chain.to_owned(),
        input,
        params: Value::Null,
        deadline: None,
        turn: 0,
        state: None,
    })
}

fn identity(record: &Record, binding: &Binding, request: Option<&Request>) -> Result<Identity, Unread> {
    identify(&claims(record, binding, request)).map_err(|error| poison("invalid_identity", error.to_string()))
}

fn claims<'a>(record: &'a Record, binding: &'a Binding, request: Option<&'a Request>) -> Claims<'a> {
    Claims {
        topic: &record.topic,
        partition: record.partition,
        offset: record.offset,
        request_id_header: record.headers.get(headers::REQUEST_ID),
        tenant_header: record.headers.get(headers::TENANT),
        request_id_field: request.and_then(|request| request.request_id.as_deref()),
        tenant_field: request.map(|request| request.tenant.as_str()),
        topic_tenant: binding.tenant.as_deref(),
    }
}

/// Empty text is what a producer leaves that has nothing to say.
fn of_text(text: &str, field: &str) -> Result<Value, Unread> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    json::read(text.as_bytes()).map_err(|mistake| {
        let message = format!("`{field}` cannot be taken as JSON: {mistake}");
        poison("invalid_input", message)
    })
}

/// What came in place of a plain JSON text.
fn not_json(value: &[u8], mistake: &json::Mistake) -> String {
    match wire::unframe(value) {
        Ok((id, _)) => format!(
            "the value begins with a zero byte and the schema id {id}, as serializers of a schema registry write: this topic \
             is bound as `value: json`, to JSON text and nothing before it; send that, or bind it as `value: avro`"
        ),
        Err(_) => format!("the value cannot be taken as JSON: {mistake}"),
    }
}

fn undecodable(error: &DecodeError) -> Unread {
    let message = chain_of(error);
    if error.is_transient() {
        return Unread::Later(message);
    }
    poison(error.class(), message)
}

fn poison(class: &str, message: impl Into<String>) -> Unread {
    Unread::Poison(Rejection {
        class: class.to_owned(),
        message: brief(&message.into()).into_owned(),
    })
}

/// The error with its causes, in one line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
