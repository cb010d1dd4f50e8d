//! What a record may be made of is up to whoever may write: none of it stops those behind.

use topics::{Headers, Output};

use super::story::{Copy, Story, each_once};
use crate::space::producer;

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_any_name_and_number_stop_nobody() {
    let story = Story::begin("engine-bytes", 1).await;
    let mut many = Headers::new();
    (0..100_001).for_each(|_| many.push("", None));
    let hostile = [
        Headers::new().with(b"\xff", "1").with(b"src\0", "2"),
        many,
        Headers::new(),
    ];
    let producer = producer(&story.space);
    for headers in hostile {
        let request = Output {
            topic: story.requests.clone(),
            partition: Some(0),
            key: None,
            value: Some("fine".into()),
            headers,
        };
        producer.send(request).await.unwrap();
    }
    let mut results = story.results();

    let mut member = story.start(Copy::at_once());

    let mut seen = results.take(3).await;
    seen.sort_by_key(|seen| seen.input);
    let values: Vec<_> = seen.iter().map(|seen| seen.value.as_str()).collect();
    assert_eq!(values, ["fine", "unreadable_headers", "fine"]);
    each_once(&seen, 3);
    member.is_ready().await;
    member.stop().await;
}
