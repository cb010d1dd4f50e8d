//! Chains run outside Kafka, with local models and the Pinecone twin.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use models::{Caller, Unrecorded};
use orchestrator::{Chain, Context, Ending, Failure, Outcome, Resources, Services, State};
use retrieval::{
    ApiKey, Pinecone, PineconeSettings, Vector,
    twin::{Twin, TwinSettings},
};
use schemas::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::resources::resources;

/// A place to run chains in, with vectors of its own.
pub struct Run {
    resources: Resources,
    services: Services,
    pinecone: PineconeSettings,
    _twin: Twin,
    _folder: tempfile::TempDir,
}

impl Run {
    pub async fn new() -> Self {
        Self::with(resources()).await
    }

    pub async fn with(resources: Resources) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = TwinSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            data_dir: folder.path().to_owned(),
        };
        let twin = Twin::start(settings).await.unwrap();
        let settings = PineconeSettings {
            control_url: twin.url().to_owned(),
            api_key: ApiKey::new("local"),
            ..PineconeSettings::default()
        };
        let caller = Caller::new(Arc::clone(&resources.models), Arc::new(Unrecorded)).unwrap();
        let pinecone = Pinecone::new(&settings).unwrap();
        let services = Services::new(resources.clone(), Arc::new(caller), pinecone).unwrap();
        Self {
            resources,
            services,
            pinecone: settings,
            _twin: twin,
            _folder: folder,
        }
    }

    /// How others reach its vectors.
    pub fn pinecone(&self) -> PineconeSettings {
        self.pinecone.clone()
    }

    /// Makes an index that holds these texts of a tenant.
    pub async fn index(&self, name: &str, tenant: &str, texts: &[(&str, &str)]) {
        let texts: Vec<(&str, &str, Value)> = texts.iter().map(|(id, text)| (*id, *text, json!({}))).collect();
        self.index_with(name, tenant, &texts).await;
    }

    /// The same, with more metadata.
    pub async fn index_with(&self, name: &str, tenant: &str, texts: &[(&str, &str, Value)]) {
        let spec = self.resources.indexes.iter().find(|spec| spec.name == name).unwrap();
        self.services.pinecone.create_index(spec).await.unwrap();
        let call = models::CallContext {
            request_id: "setup".to_owned(),
            tenant: tenant.to_owned(),
            src: String::new(),
            accepted_at: Timestamp::now(),
            turn: 0,
            chain: None,
            step: String::new(),
            trace_id: None,
            deadline: Instant::now() + Duration::from_secs(120),
            cancelled: CancellationToken::new(),
            timeout: None,
            max_attempts: None,
            budget: models::Budget::default(),
            limit_wait: models::LimitWait::default(),
        };
        let contents: Vec<String> = texts.iter().map(|(_, text, _)| (*text).to_owned()).collect();
        let embedded = self
            .services
            .caller
            .embed(&spec.embedding, &contents, &call)
            .await
            .result
            .unwrap();
        let vectors: Vec<Vector> = texts
            .iter()
            .zip(embedded.vectors)
            .map(|((id, text, more), values)| {
                let mut metadata = more.as_object().unwrap().clone();
                metadata.extend([("text".to_owned(), json!(text)), ("source".to_owned(), json!("test"))]);
                Vector {
                    id: (*id).to_owned(),
                    values,
                    metadata,
                }
            })
            .collect();
        let index = self.services.pinecone.index(&spec.index).await.unwrap();
        index.upsert(spec.namespace(tenant), &vectors).await.unwrap();
    }

    /// Runs a chain that ships with Millrace.
    pub async fn shipped(&self, name: &str, input: Value, tenant: &str) -> Outcome {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../chains/{name}.yaml"));
        let chain = self.read(&fs::read_to_string(path).unwrap());
        let accepted = chain.accept(input, Value::Null).unwrap();
        chain.run(&accepted, &context(tenant), &self.services).await
    }

    pub async fn run(&self, chain: &Chain, input: Value) -> Outcome {
        self.run_in(chain, input, &context("acme")).await
    }

    /// What its steps would send first, as far as they are reached without mocks.
    pub async fn rendered(&self, chain: &Chain, input: Value) -> Vec<Value> {
        let accepted = chain.accept(input, Value::Null).unwrap();
        chain
            .render(
                &accepted,
                BTreeMap::new(),
                &context("acme"),
                &self.resources,
                &PineconeSettings::default(),
            )
            .await
            .0
    }

    async fn run_in(&self, chain: &Chain, input: Value, context: &Context) -> Outcome {
        let accepted = chain.accept(input, Value::Null).unwrap();
        chain.run(&accepted, context, &self.services).await
    }

    /// The next turn, with what an interrupted one has left.
    pub async fn resume(&self, chain: &Chain, state: &State, decisions: Value) -> Outcome {
        let turn = state.turn + 1;
        let accepted = chain.resume(&json!(state).to_string(), turn, decisions).unwrap();
        let context = Context {
            turn,
            ..context("acme")
        };
        chain.run(&accepted, &context, &self.services).await
    }

    pub fn read(&self, source: &str) -> Chain {
        Chain::read(source, "test.yaml", &self.resources).unwrap_or_else(|problems| {
            panic!(
                "{}",
                problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            )
        })
    }

    /// A chain of these steps, whose output is `output`; its input is anything.
    pub fn chain(&self, steps: &Value, output: &str) -> Chain {
        let document = json!({
            "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "test", "version": 1},
            "input": {"schema": {}}, "steps": steps, "output": {"value": output}});
        self.read(&document.to_string())
    }

    /// The same, and what of its texts may leave.
    pub fn redacting(&self, redact: &Value, steps: &Value, output: &str) -> Chain {
        let document = json!({
            "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "test", "version": 1}, "redact": redact,
            "input": {"schema": {}}, "steps": steps, "output": {"value": output}});
        self.read(&document.to_string())
    }

    /// The same place, where others may run this chain.
    pub fn knowing(mut self, chain: Chain) -> Self {
        self.resources.chains.add(Arc::new(chain));
        self
    }
}

pub fn context(tenant: &str) -> Context {
    Context {
        request_id: "r-1".to_owned(),
        tenant: tenant.to_owned(),
        src: String::new(),
        accepted_at: Timestamp::now(),
        turn: 0,
        trace_id: None,
        deadline: Instant::now() + Duration::from_secs(120),
        cancelled: CancellationToken::new(),
        limit_wait: models::LimitWait::default(),
    }
}

pub fn failure(outcome: &Outcome) -> &Failure {
    match &outcome.ending {
        Ending::Failed(failure) | Ending::Cancelled(failure) => failure,
        Ending::Completed(output) => panic!("completed with {output}"),
        Ending::Interrupted(state) => panic!("waits for {:?}", state.approvals),
    }
}

#[tokio::test]
async fn steps_run_in_the_order_of_what_they_read() {
    let run = Run::new().await;
    let chain = run.chain(
        &json!([
            {"id": "last", "transform": "{{ steps.one.n + steps.two.n }}"},
            {"id": "two", "transform": {"n": "{{ steps.one.n * 2 }}"}},
            {"id": "one", "transform": {"n": "{{ input.n }}"}}]),
        "{{ steps.last }}",
    );

    assert_eq!(
        run.run(&chain, json!({"n": 7})).await.ending,
        Ending::Completed(json!(21))
    );
    let waits: Value = chain.graph()["steps"].clone();
    assert_eq!(
        waits[0],
        json!({"id": "last", "kind": "transform", "waits_for": ["one", "two"]})
    );
}

#[tokio::test]
async fn values_keep_their_types_and_texts_are_rendered() {
    let run = Run::new().await;
    let chain = run.chain(
        &json!([{"id": "made", "transform": {
            "number": "{{ input.n }}", "list": "{{ input.l }}", "text": "n={{ input.n }}", "as_is": [1, true, null]}}]),
        "{{ steps.made }}",
    );

    let made = json!({"number": 1.5, "list": ["b", "a"], "text": "n=1.5", "as_is": [1, true, null]});
    let outcome = run.run(&chain, json!({"n": 1.5, "l": ["b", "a"]})).await;
    assert_eq!(outcome.ending, Ending::Completed(made));
}

#[tokio::test]
async fn a_step_that_fails_ends_the_run_and_is_named() {
    let run = Run::new().await;
    let chain = run.chain(
        &json!([
            {"id": "fine", "transform": 1},
            {"id": "broken", "transform": "{{ input.missing.deep }}"},
            {"id": "after", "chat": {"model": "answer", "messages": [
                {"role": "user", "content": "{{ steps.broken }}"}]}}]),
        "{{ steps.after.text }}",
    );

    let outcome = run.run(&chain, json!({})).await;

    let failure = failure(&outcome);
    assert_eq!(
        (failure.class.as_str(), failure.step.as_deref()),
        ("template", Some("broken"))
    );
    assert!(
        outcome.bill.attempts.is_empty(),
        "what would have read it was not paid for"
    );
}

#[tokio::test]
async fn what_was_paid_for_is_on_the_bill_of_a_failed_run() {
    let run = Run::new().await;
    let chain = run.chain(
        &json!([
            {"id": "paid", "chat": {"model": "answer", "messages": [{"role": "user", "content": "hello"}]}},
            {"id": "broken", "transform": "{{ steps.paid.text | int }}"}]),
        "1",
    );

    let outcome = run.run(&chain, json!({})).await;

    assert_eq!(failure(&outcome).step.as_deref(), Some("broken"));
    assert_eq!(outcome.bill.attempts.len(), 1);
    assert_eq!(outcome.bill.attempts[0].step, "paid");
    assert_eq!(outcome.bill.attempts[0].chain, Some(chain.id.clone()));
}

#[tokio::test]
async fn an_answer_that_is_not_what_its_schema_says_fails_the_step() {
    let run = Run::new().await;
    let chain = run.chain(
        &json!([{"id": "typed", "chat": {
            "model": "answer",
            "messages": [{"role": "user", "content": "hello"}],
            "output": {"schema": {"type": "object", "properties": {"mood": {"type": "string"}}}}}}]),
        "{{ steps.typed.json }}",
    );

    assert_eq!(failure(&run.run(&chain, json!({})).await).class, "invalid_answer");
}

#[tokio::test]
async fn an_output_that_is_not_what_its_schema_says_fails_the_run() {
    let run = Run::new().await;
    let document = json!({
        "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "test", "version": 1},
        "input": {"schema": {}}, "steps": [{"id": "a", "transform": "{{ input }}"}],
        "output": {"schema": {"type": "number"}, "value": "{{ steps.a }}"}});
    let chain = run.read(&document.to_string());

    assert_eq!(run.run(&chain, json!(1)).await.ending, Ending::Completed(json!(1)));
    let outcome = run.run(&chain, json!("a secret")).await;
    assert_eq!(failure(&outcome).class, "invalid_output");
    assert!(
        !failure(&outcome).message.contains("secret"),
        "{}",
        failure(&outcome).message
    );
}

#[tokio::test]
async fn no_call_leaves_after_the_deadline() {
    let run = Run::new().await;
    let chain = run.chain(
        &json!([{"id": "late", "embed": {"model": "embedding", "texts": "hello"}}]),
        "1",
    );
    let context = Context {
        deadline: Instant::now(),
        ..context("acme")
    };

    assert_eq!(
        failure(&run.run_in(&chain, json!({}), &context).await).class,
        "deadline_exceeded"
    );
}

#[tokio::test]
async fn a_cancelled_run_says_so() {
    let run = Run::new().await;
    let chain = run.chain(
        &json!([{"id": "unwanted", "embed": {"model": "embedding", "texts": "hello"}}]),
        "1",
    );
    let context = context("acme");
    context.cancelled.cancel();

    let outcome = run.run_in(&chain, json!({}), &context).await;

    assert!(matches!(outcome.ending, Ending::Cancelled(_)), "{:?}", outcome.ending);
}

#[tokio::test]
async fn a_retrieval_filters_and_drops_what_is_too_far() {
    let run = Run::new().await;
    run.index(
        "millrace-docs",
        "acme",
        &[("a", "The broker stores offsets."), ("b", "Bananas are yellow.")],
    )
    .await;
    let retrieve = |more: Value| {
        let mut step = json!({"index": "millrace-docs", "query": "{{ input.q }}"});
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run.chain(
            &json!([{"id": "docs", "retrieve": step}]),
            "{{ steps.docs.items | map(attribute='id') | list }}",
        )
    };
    let question = json!({"q": "Where does the broker keep its offsets?", "source": "elsewhere"});

    let near = run.run(&retrieve(json!({"min_score": 0.3})), question.clone()).await;
    let one = run.run(&retrieve(json!({"top_k": 1})), question.clone()).await;
    let none = run
        .run(
            &retrieve(json!({"filter": {"source": {"$eq": "{{ input.source }}"}}})),
            question,
        )
        .await;

    assert_eq!(near.ending, Ending::Completed(json!(["a"])));
    assert_eq!(one.ending, Ending::Completed(json!(["a"])));
    assert_eq!(none.ending, Ending::Completed(json!([])));
}

#[tokio::test]
async fn an_index_that_does_not_exist_fails_the_step_that_asked_it() {
    let run = Run::new().await;
    let chain = run.chain(
        &json!([{"id": "docs", "retrieve": {"index": "millrace-docs", "query": "hello"}}]),
        "1",
    );

    let outcome = run.run(&chain, json!({})).await;

    assert_eq!(
        (failure(&outcome).class.as_str(), failure(&outcome).step.as_deref()),
        ("retrieval", Some("docs"))
    );
}

#[tokio::test]
async fn params_have_defaults_and_bounds() {
    let run = Run::new().await;
    let document = json!({
        "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "test", "version": 1},
        "input": {"schema": {"type": "object", "required": ["q"]}},
        "params": {"n": {"type": "integer", "maximum": 5, "default": 2}},
        "steps": [{"id": "a", "transform": "{{ params.n }}"}],
        "output": {"value": "{{ steps.a }}"}});
    let chain = run.read(&document.to_string());

    let accepted = chain.accept(json!({"q": 1}), Value::Null).unwrap();
    assert_eq!(
        chain.run(&accepted, &context("acme"), &run.services).await.ending,
        Ending::Completed(json!(2))
    );
    assert_eq!(
        chain.accept(json!({"q": 1}), json!({"n": 5})).unwrap().params,
        json!({"n": 5})
    );
    for (input, params) in [
        (json!({"q": 1}), json!({"n": 6})),
        (json!({"q": 1}), json!({"m": 1})),
        (json!({}), json!({})),
    ] {
        chain.accept(input, params).unwrap_err();
    }
}

#[test]
fn a_digest_is_of_the_meaning_not_of_the_layout() {
    let read = |source: &str| Chain::read(source, "test.yaml", &resources()).unwrap();
    let plain = "apiVersion: chain/v1\nkind: Chain\nmetadata: {name: test, version: 1}\ninput: {schema: {}}\n\
                 steps: [{id: a, transform: 1}]\noutput: {value: \"{{ steps.a }}\"}\n";
    let same = "# a comment\nkind: \"Chain\"\napiVersion: chain/v1\nmetadata:\n  version: 1\n  name: test\n\
                input:\n  schema: {}\noutput: {value: '{{ steps.a }}'}\nsteps:\n  - transform: 1\n    id: a\n";
    let other = plain.replace("transform: 1", "transform: 2");

    assert_eq!(read(plain).id, read(same).id);
    assert_ne!(read(plain).id, read(&other).id);
    assert_eq!(read(plain).id, format!("test@1#{}", read(plain).digest));
}
