use retrieval::{
    ApiKey, Pinecone, PineconeSettings, Rerank, RetrievalError,
    twin::{Twin, TwinSettings},
};
use serde_json::Map;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn rerank(texts: &[&str], top_n: Option<usize>) -> Rerank {
    Rerank {
        model: "bge-reranker-v2-m3".to_owned(),
        query: "Where does the broker keep its offsets?".to_owned(),
        texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        top_n,
        parameters: Map::new(),
    }
}

fn client(control_url: &str) -> Pinecone {
    Pinecone::new(&PineconeSettings {
        control_url: control_url.to_owned(),
        api_key: ApiKey::new("any"),
        ..PineconeSettings::default()
    })
    .unwrap()
}

#[tokio::test]
async fn the_most_relevant_texts_come_first() {
    let folder = tempfile::tempdir().unwrap();
    let settings = TwinSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: folder.path().to_owned(),
    };
    let twin = Twin::start(settings).await.unwrap();
    let pinecone = client(twin.url());
    let texts = ["Bananas.", "The broker keeps its offsets in a topic.", "The broker."];
    let order = async |top_n| {
        let ranked = pinecone.rerank(&rerank(&texts, top_n)).await.unwrap();
        ranked.iter().map(|ranked| ranked.index).collect::<Vec<_>>()
    };

    assert_eq!(order(None).await, [1, 2, 0]);
    assert_eq!(order(Some(1)).await, [1]);
    assert_eq!(order(Some(9)).await, [1, 2, 0], "more than there are");
    twin.stop().await;
}

#[tokio::test]
async fn what_needs_no_call_or_is_too_much_for_one_does_not_leave() {
    let nobody = client("http://127.0.0.1:1");

    assert_eq!(nobody.rerank(&rerank(&[], None)).await.unwrap(), []);
    let error = nobody.rerank(&rerank(&["x"; 201], None)).await.unwrap_err();
    assert!(
        matches!(error, RetrievalError::TooManyTexts { count: 201, limit: 200 }) && !error.is_transient(),
        "{error}"
    );
}

#[tokio::test]
async fn a_ranking_of_what_was_not_asked_is_no_answer() {
    for data in [
        r#"[{"index":2,"score":0.5}]"#,
        r#"[{"index":0,"score":0.5},{"index":0,"score":0.4}]"#,
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pinecone = client(&format!("http://{}", listener.local_addr().unwrap()));
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let body = format!(r#"{{"model":"m","data":{data},"usage":{{"rerank_units":1}}}}"#);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            stream
        });

        let error = pinecone.rerank(&rerank(&["a", "b"], None)).await.unwrap_err();

        assert!(matches!(error, RetrievalError::Decode { .. }), "{error}");
        drop(answering.await.unwrap());
    }
}
