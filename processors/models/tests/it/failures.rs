use crate::{LONG, Rig, aliases, at_first, model_one, question, within};
use models::{Called, ErrorClass};
use schemas::{Money, usage_source};
use std::time::{Duration, Instant};
use testkit::scripted::Script;

fn outcomes<T>(called: &Called<T>) -> Vec<String> {
    called.attempts.iter().map(|audit| audit.outcome.clone()).collect()
}

#[tokio::test]
async fn what_passes_by_itself_is_tried_again() {
    for (answer, outcome) in [
        ("500", "server"),
        ("503", "overloaded"),
        ("cut", "transport"),
        ("malformed", "malformed"),
    ] {
        let rig = Rig::new(at_first(2, answer)).await;
        let called = rig
            .caller
            .chat(&aliases(&["first", "second"]), &question(), &within(LONG))
            .await;
        assert_eq!(outcomes(&called), [outcome, outcome, "ok"]);
        assert_eq!(called.result.unwrap().alias, "first");
        assert_eq!(
            rig.books.phases(),
            ["started", "started", "started"],
            "each attempt is written ahead"
        );
        let numbers: Vec<i32> = called.attempts.iter().map(|audit| audit.attempt).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }
}

#[tokio::test]
async fn a_provider_that_names_the_wait_gets_it() {
    let rig = Rig::new(at_first(1, "429:1")).await;
    let began = Instant::now();
    let called = rig.caller.chat(&aliases(&["first"]), &question(), &within(LONG)).await;
    assert_eq!(outcomes(&called), ["rate_limited", "ok"]);
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "the backoff alone would be milliseconds"
    );
    assert_eq!(called.cost, Money(9_000), "a refused attempt costs nothing");
}

#[tokio::test]
async fn a_wait_that_cannot_end_before_the_deadline_is_not_begun() {
    let rig = Rig::new(at_first(9, "429:60")).await;
    let began = Instant::now();
    let called = rig.caller.chat(&aliases(&["first"]), &question(), &within(LONG)).await;
    let error = called.result.unwrap_err();
    assert_eq!(
        (error.class, error.retry_after),
        (ErrorClass::RateLimited, Some(Duration::from_secs(60)))
    );
    assert!(began.elapsed() < Duration::from_secs(40));
    assert_eq!(rig.server.count("r-1"), 1);
}

#[tokio::test]
async fn a_long_wait_gives_way_to_the_next_model() {
    let rig = Rig::new(model_one("429:10")).await;
    let called = rig
        .caller
        .chat(&aliases(&["first", "second"]), &question(), &within(LONG))
        .await;
    assert_eq!(outcomes(&called), ["rate_limited", "ok"]);
    assert_eq!(called.result.unwrap().alias, "second");
}

#[tokio::test]
async fn a_model_that_hangs_is_given_up_and_may_be_on_the_bill() {
    let rig = Rig::new(model_one("hang")).await;
    let mut context = within(LONG);
    context.timeout = Some(Duration::from_secs(1));
    context.max_attempts = Some(2);
    let called = rig
        .caller
        .chat(&aliases(&["first", "second"]), &question(), &context)
        .await;
    assert_eq!(outcomes(&called), ["timeout", "timeout", "ok"]);
    let reasons: Vec<&str> = called
        .attempts
        .iter()
        .map(|audit| audit.route_reason.as_str())
        .collect();
    assert_eq!(reasons, ["primary", "primary", "fallback"]);
    let lost = &called.attempts[0];
    assert_eq!(
        (lost.usage.source.as_str(), lost.cost),
        (usage_source::ESTIMATED, Money(8 * 1_000))
    );
    assert_eq!(
        called.usage.source,
        usage_source::ESTIMATED,
        "one estimate makes the sum an estimate"
    );
    assert_eq!(called.result.unwrap().alias, "second");
}

#[tokio::test]
async fn what_a_stream_said_before_it_broke_is_kept_and_counted() {
    let rig = Rig::new(model_one("cut")).await;
    let mut question = question();
    question.stream = Some(true);
    let called = rig
        .caller
        .chat(&aliases(&["first", "second"]), &question, &within(LONG))
        .await;
    assert_eq!(outcomes(&called), ["transport", "transport", "transport", "ok"]);
    let broken = &called.attempts[0];
    let said = broken.response.as_deref().unwrap();
    assert!("one two three".starts_with(said) && !said.is_empty(), "{said:?}");
    assert_eq!(broken.usage.source, usage_source::ESTIMATED);
    assert!(broken.usage.output_tokens > 0 && broken.cost > Money(0));
    assert_eq!(
        called.result.unwrap().text,
        "one two three",
        "nothing of the broken answers is in the whole one"
    );
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_given_up_before_the_attempts_time_is_over() {
    let rig = Rig::new(at_first(1, "stall")).await;
    let mut question = question();
    question.stream = Some(true);
    let mut context = within(LONG);
    context.timeout = Some(LONG);
    let called = rig.caller.chat(&aliases(&["first"]), &question, &context).await;
    assert_eq!(outcomes(&called), ["timeout", "ok"]);
    let silent = &called.attempts[0];
    assert!(silent.total_us < 40_000_000 && silent.cost > Money(0), "{silent:?}");
    assert!("one two three".starts_with(silent.response.as_deref().unwrap()));
    assert_eq!(called.result.unwrap().text, "one two three");
}

#[tokio::test]
async fn an_error_in_a_stream_has_its_class_and_does_not_make_what_was_said_free() {
    let rig = Rig::new(at_first(1, "late:500")).await;
    let mut question = question();
    question.stream = Some(true);
    let called = rig.caller.chat(&aliases(&["first"]), &question, &within(LONG)).await;
    assert_eq!(outcomes(&called), ["server", "ok"]);
    assert!(called.attempts[0].usage.output_tokens > 0);
    assert!(called.attempts[0].cost > Money(0));
    assert_eq!(called.result.unwrap().text, "one two three");
}

#[tokio::test]
async fn the_deadline_of_the_run_ends_an_attempt_and_all_further_ones() {
    let rig = Rig::new(model_one("hang")).await;
    let called = rig
        .caller
        .chat(
            &aliases(&["first", "second"]),
            &question(),
            &within(Duration::from_millis(150)),
        )
        .await;
    assert_eq!(outcomes(&called), ["deadline_exceeded"]);
    assert_eq!(called.result.unwrap_err().class, ErrorClass::DeadlineExceeded);
}

#[tokio::test]
async fn what_only_another_model_can_mend_is_not_repeated() {
    let rig = Rig::new(model_one("401")).await;
    let called = rig
        .caller
        .chat(&aliases(&["first", "second"]), &question(), &within(LONG))
        .await;
    assert_eq!(outcomes(&called), ["auth", "ok"]);
}

#[tokio::test]
async fn a_request_that_is_wrong_is_wrong_everywhere() {
    let rig = Rig::new(model_one("400")).await;
    let called = rig
        .caller
        .chat(&aliases(&["first", "second"]), &question(), &within(LONG))
        .await;
    assert_eq!(outcomes(&called), ["bad_request"]);
    let error = called.result.unwrap_err();
    assert_eq!(error.to_string(), "model first: 400 Bad Request: scripted error");
}

#[tokio::test]
async fn a_server_that_is_not_there_costs_nothing() {
    let Rig {
        server,
        caller,
        books: _,
    } = Rig::new(Script::default()).await;
    drop(server);
    let called = caller.chat(&aliases(&["first"]), &question(), &within(LONG)).await;
    assert_eq!(outcomes(&called), ["transport"; 3]);
    assert_eq!(called.cost, Money(0));
    let message = called.result.unwrap_err().message;
    assert!(
        message.contains("refused") && !message.contains("127.0.0.1:"),
        "{message}"
    );
}

#[tokio::test]
async fn a_model_is_asked_only_what_it_can_do() {
    let rig = Rig::new(Script::default()).await;
    let called = rig
        .caller
        .chat(&aliases(&["vectors"]), &question(), &within(LONG))
        .await;
    assert_eq!(called.result.unwrap_err().class, ErrorClass::BadRequest);
    let called = rig.caller.embed("nobody", &aliases(&["a"]), &within(LONG)).await;
    assert_eq!(called.result.unwrap_err().class, ErrorClass::NotFound);
    let mut long = question();
    long.messages[0].content = "word ".repeat(1_000).into();
    let called = rig
        .caller
        .chat(&aliases(&["small", "first"]), &long, &within(LONG))
        .await;
    assert_eq!(
        called.result.unwrap().alias,
        "first",
        "the small one has no room for it"
    );
    rig.server.reset();
    let too_many = vec![String::new(); models::MAX_EMBED_INPUTS + 1];
    let called = rig.caller.embed("vectors", &too_many, &within(LONG)).await;
    assert_eq!(called.result.unwrap_err().class, ErrorClass::BadRequest);
    assert_eq!(rig.server.summary().calls, 0);
}
