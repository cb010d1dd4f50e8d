use std::time::{Duration, Instant};

use retrieval::{ApiKey, Pinecone, PineconeSettings, RetrievalError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

const LISTED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 14\r\nconnection: close\r\n\r\n{\"indexes\":[]}";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy";
const LIMITED: &str =
    "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const LIMITED_LONG: &str =
    "HTTP/1.1 429 Too Many Requests\r\nretry-after: 60\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const HANGS_UP: &str = "";
const WRONG_KEY: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 15\r\nconnection: close\r\n\r\nInvalid API Key";

/// A server that answers its connections with these bytes in turn, and gives the heads of the requests it got.
async fn scripted(answers: &'static [&'static str]) -> (Pinecone, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            requests.push(String::from_utf8(head).unwrap().to_lowercase());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    let pinecone = Pinecone::new(&PineconeSettings {
        control_url: url,
        api_key: ApiKey::new("the-key"),
        call_timeout_ms: 40_000,
        ..PineconeSettings::default()
    });
    (pinecone.unwrap(), serving)
}

#[tokio::test]
async fn a_call_is_repeated_until_it_is_answered() {
    let (pinecone, serving) = scripted(&[BUSY, HANGS_UP, LISTED]).await;
    assert_eq!(pinecone.list_indexes().await.unwrap(), []);
    for request in serving.await.unwrap() {
        assert!(request.contains("x-pinecone-api-version: 2026-04") && request.contains("api-key: the-key"));
    }
}

#[tokio::test]
async fn the_servers_own_pause_wins() {
    let (pinecone, serving) = scripted(&[LIMITED, LISTED]).await;
    let asked = Instant::now();
    pinecone.list_indexes().await.unwrap();
    assert!(asked.elapsed() >= Duration::from_secs(1));
    serving.await.unwrap();
}

#[tokio::test]
async fn a_pause_past_the_deadline_fails_at_once() {
    let (pinecone, serving) = scripted(&[LIMITED_LONG]).await;
    let asked = Instant::now();
    let error = pinecone.list_indexes().await.unwrap_err();
    assert!(
        matches!(
            error,
            RetrievalError::Refused {
                status: 429,
                attempts: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.is_transient() && asked.elapsed() < Duration::from_secs(30));
    serving.await.unwrap();
}

#[tokio::test]
async fn a_wrong_key_is_not_tried_twice() {
    let (pinecone, serving) = scripted(&[WRONG_KEY]).await;
    let error = pinecone.list_indexes().await.unwrap_err();
    assert!(
        error.to_string().contains("Invalid API Key") && !error.is_transient(),
        "{error}"
    );
    serving.await.unwrap();
}
