use std::time::{Duration, Instant};

use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use testkit::scripted::{Outcome, Summary};
use testkit::{Latency, Launch, Script, ScriptedModel, until};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn it_answers_like_openai_and_counts() {
    let model = ScriptedModel::start(Script::default()).await.unwrap();

    let chat: Value = ask(&model, "r-1", "hello there").await.json().await.unwrap();
    assert_eq!(chat["choices"][0]["message"]["content"], "hello there");
    assert_eq!(
        chat["usage"],
        json!({ "prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4 })
    );

    let inputs = json!({ "model": "m", "input": ["red fox", "red fox", "blue whale"], "dimensions": 16 });
    let embeddings = Client::new()
        .post(format!("{}/embeddings", model.url))
        .json(&inputs)
        .send()
        .await
        .unwrap();
    let embeddings: Value = embeddings.json().await.unwrap();
    assert_eq!(embeddings["data"][0]["embedding"], embeddings["data"][1]["embedding"]);
    assert_ne!(embeddings["data"][0]["embedding"], embeddings["data"][2]["embedding"]);
    assert_eq!(embeddings["data"][2]["embedding"].as_array().unwrap().len(), 16);

    ask(&model, "r-1", "hello there").await;
    let attempts: Vec<u32> = model.calls().iter().map(|call| call.attempt).collect();
    assert_eq!(attempts, [1, 1, 2]);
    assert_eq!(model.count("r-1"), 2);
    assert_eq!(model.summary().repeated, 1);
}

#[tokio::test]
async fn a_stream_comes_word_by_word_and_ends_with_its_usage() {
    let model = ScriptedModel::start(Script {
        token_ms: 1,
        ..Script::default()
    })
    .await
    .unwrap();
    let mut body = message("one two three");
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    let text = post(&model, "r-1", &body).await.text().await.unwrap();

    let events: Vec<&str> = text
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .collect();
    assert_eq!(events.last(), Some(&"[DONE]"));
    let chunks: Vec<Value> = events[..events.len() - 1]
        .iter()
        .map(|event| serde_json::from_str(event).unwrap())
        .collect();
    let words: Vec<&str> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(words, ["", "one ", "two ", "three"]);
    assert_eq!(chunks.last().unwrap()["usage"]["completion_tokens"], 3);
}

#[tokio::test]
async fn a_call_of_a_tool_is_streamed_in_fragments() {
    let model = ScriptedModel::start(Script::default()).await.unwrap();
    let mut body = message("one two");
    body["stream"] = json!(true);
    body["tools"] = json!([{ "type": "function", "function": { "name": "count" } }]);
    let text = post(&model, "r-1", &body).await.text().await.unwrap();

    let events = text.split("\n\n").filter_map(|event| event.strip_prefix("data: {"));
    let choices: Vec<Value> = events
        .map(|event| serde_json::from_str::<Value>(&format!("{{{event}")).unwrap()["choices"][0].take())
        .collect();
    let calls: Vec<&Value> = choices
        .iter()
        .map(|choice| &choice["delta"]["tool_calls"][0])
        .filter(|call| !call.is_null())
        .collect();
    assert_eq!(calls[0]["function"]["name"], "count");
    assert!(calls.iter().all(|call| call["index"] == 0));
    let arguments: Vec<&str> = calls
        .iter()
        .filter_map(|call| call["function"]["arguments"].as_str())
        .collect();
    assert_eq!(arguments, ["", "one ", "two"]);
    assert_eq!(choices.last().unwrap()["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn a_request_can_ask_for_its_own_trouble() {
    let model = ScriptedModel::start(Script::default()).await.unwrap();

    let limited = ask(&model, "limited", "<<script answer=429:7 attempts=1>> hi").await;
    assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited.headers()["retry-after"], "7");
    let again = ask(&model, "limited", "<<script answer=429:7 attempts=1>> hi").await;
    assert_eq!(again.status(), StatusCode::OK);

    assert_eq!(
        ask(&model, "broken", "<<script answer=503>>").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(
        ask(&model, "typo", "<<script anwser=503>>").await.status(),
        StatusCode::BAD_REQUEST
    );
    assert!(
        ask(&model, "cut", "<<script answer=cut>> a b c d")
            .await
            .bytes()
            .await
            .is_err()
    );
    assert!(
        ask(&model, "odd", "<<script answer=malformed>>")
            .await
            .json::<Value>()
            .await
            .is_err()
    );

    let before = Instant::now();
    ask(&model, "slow", "<<script latency=fixed:200>>").await;
    assert!(before.elapsed() >= Duration::from_millis(200));

    let hang = Client::builder().timeout(Duration::from_millis(100)).build().unwrap();
    let url = format!("{}/chat/completions", model.url);
    assert!(
        hang.post(url)
            .json(&message("<<script answer=hang>>"))
            .send()
            .await
            .unwrap_err()
            .is_timeout()
    );
    let abandoned = until(SOON, async || {
        model
            .calls()
            .iter()
            .any(|call| call.outcome == Outcome::Abandoned)
            .then_some(())
    });
    abandoned.await.unwrap();
}

#[tokio::test]
async fn another_process_can_script_and_question_it() {
    let model = ScriptedModel::start(Script::default()).await.unwrap();
    let control = model.url.replace("/v1", "/control");
    let http = Client::new();

    let script = "rules: [{ when: { contains: storm }, answer: '500' }]";
    assert!(
        http.put(format!("{control}/script"))
            .body(script)
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    assert_eq!(
        ask(&model, "r-1", "a storm is near").await.status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert_eq!(ask(&model, "r-2", "all calm").await.status(), StatusCode::OK);

    let wrong = http
        .put(format!("{control}/script"))
        .body("latency: soon")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);

    let calls = http
        .get(format!("{control}/calls?request_id=r-1"))
        .send()
        .await
        .unwrap();
    let calls: Value = calls.json().await.unwrap();
    assert_eq!(calls[0]["outcome"], json!({ "answered": 500 }));
    assert_eq!(calls.as_array().unwrap().len(), 1);

    http.post(format!("{control}/reset")).send().await.unwrap();
    assert_eq!(model.summary().calls, 0);
}

#[tokio::test]
async fn ten_thousand_slow_requests_at_once_fit_in_300_megabytes() {
    const CALLERS: usize = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.yaml");
    std::fs::write(
        &script,
        serde_yaml_ng::to_string(&Script::after(Latency::Fixed { ms: 600_000 })).unwrap(),
    )
    .unwrap();
    let launch = Launch::new(
        "model",
        env!("CARGO_BIN_EXE_scripted-model"),
        folder.path().join("model.log"),
    );
    let mut model = launch.args(["--script".as_ref(), script.as_os_str()]).start().unwrap();
    let listening = model.line("listening on ", SOON).await.unwrap();
    let url = listening.trim_start_matches("listening on ");
    let address = url.trim_start_matches("http://").trim_end_matches("/v1");

    let body = message(&"word ".repeat(200)).to_string();
    let mut callers = Vec::with_capacity(CALLERS);
    for n in 0..CALLERS {
        let mut caller = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nx-request-id: r-{n}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        caller.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        callers.push(caller);
    }

    let http = Client::new();
    let question = format!("http://{address}/control/summary");
    let summary = until(Duration::from_secs(60), async || {
        let summary: Summary = http.get(&question).send().await.unwrap().json().await.unwrap();
        (summary.in_flight == CALLERS as u64).then_some(summary)
    });
    let summary = summary.await.unwrap();
    if let Some(resident) = summary.resident_bytes {
        println!("{} MB resident with {CALLERS} calls in flight", resident >> 20);
        assert!(resident < 300 << 20, "{} MB", resident >> 20);
    }
}

fn message(text: &str) -> Value {
    json!({ "model": "m", "messages": [{ "role": "user", "content": text }] })
}

async fn ask(model: &ScriptedModel, request_id: &str, text: &str) -> Response {
    post(model, request_id, &message(text)).await
}

async fn post(model: &ScriptedModel, request_id: &str, body: &Value) -> Response {
    let url = format!("{}/chat/completions", model.url);
    Client::new()
        .post(url)
        .header("x-request-id", request_id)
        .json(body)
        .send()
        .await
        .unwrap()
}
