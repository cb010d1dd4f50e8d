//! Stories of model calls, told through the public door against a real HTTP server.

#![cfg(test)]

mod answers;
mod books;
mod failures;
mod limits;

use futures::future::BoxFuture;
use models::{Books, BooksError, CallContext, Caller, ChatRequest, LimitWait, Message, Models, Role};
use schemas::{Attempt, Timestamp};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::scripted::{Rule, Script, ScriptedModel, When};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// `first` and `second` are priced at $1 and $2 per million tokens, that is 1,000 and 2,000 nano-dollars a token.
const MODELS: &str = r"
providers:
  scripted: {dialect: openai, base_url: URL}
  narrow: {dialect: openai, base_url: URL, concurrency: 2}
models:
  first:
    provider: scripted
    model: one
    max_tokens: 50
    price: {input: 1, output: 2}
    timeout: 400ms
    idle_timeout: 1s
    retry: {max_attempts: 3, initial: 5ms, max: 2s}
  streaming: {provider: scripted, model: one, price: free, features: [streaming]}
  second: {provider: scripted, model: two, price: {input: 1, output: 2}}
  small: {provider: scripted, model: small, context: 1000, price: free}
  free: {provider: scripted, model: one, price: free}
  vectors: {provider: scripted, model: vectors, dimension: 64, price: {input: 0.5}}
  few: {provider: narrow, model: one, price: {input: 1, output: 2}}
";

struct Rig {
    server: ScriptedModel,
    caller: Caller,
    books: Arc<Notebook>,
}

impl Rig {
    async fn new(script: Script) -> Self {
        let books = Arc::new(Notebook::default());
        let (server, caller) = start(script, "", Arc::<Notebook>::clone(&books)).await;
        Self { server, caller, books }
    }
}

/// A server and a caller for it; `more` goes to the top of the models file.
async fn start(script: Script, more: &str, books: Arc<dyn Books>) -> (ScriptedModel, Caller) {
    let server = ScriptedModel::start(script).await.unwrap();
    let file = format!("{more}{}", MODELS.replace("URL", &server.url));
    let models = Models::load(&file, "models.yaml").unwrap();
    let caller = Caller::new(Arc::new(models), books).unwrap();
    (server, caller)
}

/// The first `attempts` of each request get `answer`, later ones an echo.
fn at_first(attempts: u32, answer: &str) -> Script {
    let when = When {
        attempts: Some(attempts),
        ..When::default()
    };
    Script {
        rules: vec![Rule {
            when,
            answer: Some(answer.parse().unwrap()),
            ..Rule::default()
        }],
        ..Script::default()
    }
}

/// The model `one` gets `answer`, others echo.
fn model_one(answer: &str) -> Script {
    let when = When {
        model: Some("one".to_owned()),
        ..When::default()
    };
    Script {
        rules: vec![Rule {
            when,
            answer: Some(answer.parse().unwrap()),
            ..Rule::default()
        }],
        ..Script::default()
    }
}

/// Three words, so three tokens for the server, and as many for its echo.
fn question() -> ChatRequest {
    ChatRequest {
        messages: vec![Message::new(Role::User, "one two three")],
        ..ChatRequest::default()
    }
}

fn aliases(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn within(deadline: Duration) -> CallContext {
    CallContext {
        request_id: "r-1".to_owned(),
        tenant: "acme".to_owned(),
        src: "requests/0/7".to_owned(),
        accepted_at: Timestamp(1),
        turn: 0,
        chain: Some("ask@1#abc".to_owned()),
        step: "answer".to_owned(),
        trace_id: None,
        deadline: Instant::now() + deadline,
        cancelled: CancellationToken::new(),
        timeout: None,
        max_attempts: None,
        budget: models::Budget::default(),
        limit_wait: LimitWait::default(),
    }
}

const LONG: Duration = Duration::from_secs(50);

/// Books that say yes at once and remember.
#[derive(Default)]
struct Notebook(Mutex<Vec<Attempt>>);

impl Notebook {
    fn entries(&self) -> Vec<Attempt> {
        self.0.lock().unwrap().clone()
    }

    fn phases(&self) -> Vec<String> {
        self.entries().into_iter().map(|entry| entry.phase).collect()
    }
}

impl Books for Notebook {
    fn record(&self, attempt: Attempt) -> BoxFuture<'_, Result<(), BooksError>> {
        self.0.lock().unwrap().push(attempt);
        Box::pin(std::future::ready(Ok(())))
    }
}
