//! What is no HTTP/1.1, or for another host, is told so like every other mistake.

use serde_json::json;
use tokio::time::timeout;

use crate::{
    SOON,
    http::Open,
    stage::{Stage, Start},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_and_what_is_for_another_host_is_a_problem_too() {
    let stage = Stage::set("api-grammar").await;
    let api = stage.start(Start::default()).await;

    let many: String = (0..120).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = "a".repeat(70_000);
    let own = "host: localhost\r\nconnection: close\r\n";
    let (grammar, head, target) = ("malformed-request", "headers-too-large", "target-too-long");
    let refused = [
        (format!("GET / HTTP/1.1\r\n{own}{many}\r\n"), 431, head),
        (
            format!("GET / HTTP/1.1\r\n{own}x: {long}{long}{long}\r\n\r\n"),
            431,
            head,
        ),
        (format!("GET /{long} HTTP/1.1\r\n{own}\r\n"), 414, target),
        (format!("GET /a b HTTP/1.1\r\n{own}\r\n"), 400, grammar),
        (
            format!("GET / HTTP/1.1\r\n{own}content-length: -1\r\n\r\n"),
            400,
            grammar,
        ),
        (
            format!("GET / HTTP/1.1\r\n{own}content-length: 1\r\ncontent-length: 2\r\n\r\n"),
            400,
            grammar,
        ),
        (format!("GET / HTTP/1.1\r\n{own}a\0b: 1\r\n\r\n"), 400, grammar),
        (
            "GET /chains HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
            400,
            grammar,
        ),
        (
            format!("GET /chains HTTP/1.1\r\n{own}host: evil.example\r\n\r\n"),
            400,
            grammar,
        ),
        (
            format!("GET http://evil.example/chains HTTP/1.1\r\n{own}\r\n"),
            421,
            "foreign-host",
        ),
        (
            format!("GET http://u:p@evil.example/chains HTTP/1.1\r\n{own}\r\n"),
            421,
            "foreign-host",
        ),
    ];
    for (request, status, kind) in refused {
        let shown: String = request.chars().take(80).collect();
        let answer = timeout(SOON, Open::raw(api.address, request.as_bytes()).await.answer())
            .await
            .expect("no answer");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{shown}"
        );
        assert_eq!(
            (answer.status, &answer.body["status"], &answer.body["type"]),
            (
                status,
                &json!(status),
                &json!(format!("urn:problem-type:millrace:{kind}"))
            ),
            "{shown}"
        );
    }

    for taken in [
        "GET http://localhost:8080/chains HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n",
        "GET /chains HTTP/1.0\r\n\r\n",
    ] {
        let answer = timeout(SOON, Open::raw(api.address, taken.as_bytes()).await.answer()).await;
        assert_eq!(answer.expect("no answer").status, 200, "{taken}");
    }
    api.stop().await;
}
