use crate::{LONG, Notebook, Rig, aliases, question, start, within};
use models::{Caller, DEFAULT_FILE, FinishReason, Models, Tool, Unrecorded};
use schemas::{Money, phase, usage_source};
use std::sync::Arc;
use testkit::scripted::Script;

#[tokio::test]
async fn an_answer_comes_with_its_audit_and_its_price() {
    let rig = Rig::new(Script::default()).await;
    let called = rig
        .caller
        .chat(&aliases(&["first", "second"]), &question(), &within(LONG))
        .await;

    let answer = called.result.unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.alias.as_str()),
        ("one two three", "first")
    );
    assert_eq!(answer.finish_reason, FinishReason::Stop);
    assert_eq!(called.cost, Money(3 * 1_000 + 3 * 2_000));
    assert_eq!((called.usage.input_tokens, called.usage.output_tokens), (3, 3));
    assert_eq!(called.usage.source, usage_source::REPORTED);

    let [audit] = called.attempts.try_into().unwrap();
    assert_eq!(audit.prompt.unwrap(), r#"[{"role":"user","content":"one two three"}]"#);
    assert_eq!(audit.response.unwrap(), "one two three");
    assert_eq!(
        (audit.request_id.as_str(), audit.tenant.as_str(), audit.step.as_str()),
        ("r-1", "acme", "answer")
    );
    assert_eq!(
        (audit.provider.as_str(), audit.model.as_str(), audit.outcome.as_str()),
        ("scripted", "one", "ok")
    );
    assert_eq!((audit.route_reason.as_str(), audit.attempt), ("primary", 1));
    assert!(audit.total_us > 0 && audit.connect_us > 0 && audit.connect_us <= audit.total_us);

    let [started] = rig.books.entries().try_into().unwrap();
    assert_eq!(started.phase, phase::STARTED);
    assert_eq!(
        Some(started.attempt_id),
        audit.attempt_id,
        "a committed audit row settles its write-ahead"
    );
    assert_eq!(started.usage.output_tokens, 50, "the estimate is the worst case");
    assert!(started.cost > called.cost);
    assert_eq!(rig.server.calls()[0].request_id, "r-1");
}

#[tokio::test]
async fn connections_are_used_again() {
    let rig = Rig::new(Script::default()).await;
    for round in 0..3 {
        let context = within(LONG);
        let calls = (0..20).map(|_| async { rig.caller.chat(&aliases(&["first"]), &question(), &context).await });
        let audits = futures::future::join_all(calls)
            .await
            .into_iter()
            .flat_map(|called| called.attempts);
        let connected = audits.filter(|audit| audit.connect_us > 0).count();
        assert!(
            round == 0 || connected == 0,
            "{connected} new connections in round {round}"
        );
    }
}

#[tokio::test]
async fn a_stream_is_gathered_and_its_first_token_timed() {
    let rig = Rig::new(Script {
        token_ms: 20,
        ..Script::default()
    })
    .await;
    let mut question = question();
    question.stream = Some(true);
    let called = rig.caller.chat(&aliases(&["first"]), &question, &within(LONG)).await;
    assert_eq!(called.result.unwrap().text, "one two three");
    assert_eq!(called.usage.source, usage_source::REPORTED);
    let audit = &called.attempts[0];
    assert!(audit.first_token_us.unwrap() < audit.total_us - 30_000, "{audit:?}");
}

#[tokio::test]
async fn a_model_that_can_stream_is_asked_to_unless_the_step_says_otherwise() {
    let rig = Rig::new(Script::default()).await;
    let timed = async |alias: &str, stream: Option<bool>| {
        let mut question = question();
        question.stream = stream;
        let called = rig.caller.chat(&aliases(&[alias]), &question, &within(LONG)).await;
        assert_eq!(called.result.unwrap().text, "one two three");
        called.attempts[0].first_token_us.is_some()
    };
    assert!(timed("streaming", None).await);
    assert!(!timed("streaming", Some(false)).await);
    assert!(!timed("first", None).await, "the file does not say that it can");
}

#[tokio::test]
async fn calls_of_tools_come_in_a_stream_as_they_come_in_one_piece() {
    let rig = Rig::new(Script {
        answer: "text:{\"query\": \"red fox\"}".parse().unwrap(),
        ..Script::default()
    })
    .await;
    let mut question = question();
    question.tools.push(Tool {
        name: "search".to_owned(),
        description: "Finds".to_owned(),
        parameters: serde_json::json!({"type": "object"}),
    });
    let mut told = Vec::new();
    for stream in [false, true] {
        question.stream = Some(stream);
        let called = rig.caller.chat(&aliases(&["first"]), &question, &within(LONG)).await;
        assert_eq!(called.attempts[0].first_token_us.is_some(), stream);
        assert_eq!(called.usage.source, usage_source::REPORTED);
        let answer = called.result.unwrap();
        assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
        let [call] = answer.tool_calls.try_into().unwrap();
        told.push((call.name, call.arguments));
    }
    assert_eq!(told[0], ("search".to_owned(), r#"{"query": "red fox"}"#.to_owned()));
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn texts_become_vectors() {
    let rig = Rig::new(Script::default()).await;
    let texts = aliases(&["a b", "c"]);
    let called = rig.caller.embed("vectors", &texts, &within(LONG)).await;
    let lengths: Vec<usize> = called.result.unwrap().vectors.iter().map(Vec::len).collect();
    assert_eq!(lengths, [64, 64]);
    assert_eq!(called.cost, Money(3 * 500));

    let called = rig.caller.embed("vectors", &[], &within(LONG)).await;
    assert!(called.result.unwrap().vectors.is_empty());
    assert_eq!(rig.server.summary().calls, 1, "nothing to embed is nothing to pay");
}

#[tokio::test]
async fn prompts_and_answers_can_be_kept_as_hashes_only() {
    let (_server, caller) = start(Script::default(), "audit: hashes\n", Arc::new(Notebook::default())).await;
    let called = caller.chat(&aliases(&["first"]), &question(), &within(LONG)).await;
    let audit = &called.attempts[0];
    assert_eq!((&audit.prompt, &audit.response), (&None, &None));
    assert_eq!(
        audit.response_sha256,
        "6899ee404683a14e8c2a03149860df25d67d34d9cd4dae7350cbe91e4b3976be"
    );
}

#[tokio::test]
async fn local_models_need_nothing_and_cost_nothing() {
    let models = Arc::new(Models::load(DEFAULT_FILE, "models.yaml").unwrap());
    let books = Arc::new(Notebook::default());
    let caller = Caller::new(models, Arc::<Notebook>::clone(&books)).unwrap();
    let mut question = question();
    question.messages[0].content = "<doc id=a>Two is even.\n\nThree is odd.</doc> Which is odd?".into();
    let called = caller.chat(&aliases(&["answer"]), &question, &within(LONG)).await;
    assert!(called.result.unwrap().text.ends_with("> Three is odd. [a]"));
    assert_eq!((called.cost, called.attempts.len()), (Money(0), 1));
    let called = caller.embed("embedding", &aliases(&["x"]), &within(LONG)).await;
    assert_eq!(called.result.unwrap().vectors[0].len(), 384);
    assert!(books.entries().is_empty(), "there is no bill to account for");
}

#[tokio::test]
async fn a_run_without_books_is_possible() {
    let (_server, caller) = start(Script::default(), "", Arc::new(Unrecorded)).await;
    assert!(
        caller
            .chat(&aliases(&["first"]), &question(), &within(LONG))
            .await
            .result
            .is_ok()
    );
}
