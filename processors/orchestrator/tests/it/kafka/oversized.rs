use std::fs;

use bytes::Bytes;
use schemas::{Request, request_kind, status};
use serde_json::json;
use sha2::{Digest, Sha256};
use topics::Headers;

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_no_record_takes_is_kept_in_a_file_and_nothing_waits_for_it() {
    let mut world = World::new("orchestrator-oversized").await;
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("not there yet/kept");
    world.oversized = Some(kept.clone());
    let mut running = world.start();
    running.ready().await;

    let output = json!("x".repeat(1_200_000)).to_string();
    let src = world.ask(&echo(&output), Headers::new()).await;
    let committed = world.committed(&src).await;
    let error = committed.result.error.unwrap();
    assert_eq!(
        (committed.result.status.as_str(), error.class.as_str()),
        (status::FAILED, "output_too_large")
    );
    let file = kept.join(format!("{}.json", src.replace('/', "-")));
    assert!(error.message.contains(&file.display().to_string()), "{}", error.message);
    assert_eq!(fs::read_to_string(&file).unwrap(), output);
    assert_eq!(committed.run.response_sha256, format!("{:x}", Sha256::digest(&output)));
    assert_eq!(committed.dead_letter.unwrap().class, "output_too_large");
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 1);

    // The folder goes away: the failure is told all the same, and the next one behind it completes.
    fs::remove_dir_all(&kept).unwrap();
    let src = world.ask(&echo(&output), Headers::new()).await;
    let error = world.committed(&src).await.result.error.unwrap();
    assert_eq!(error.class, "output_too_large");
    assert!(error.message.contains("could not be kept"), "{}", error.message);
    let src = world.ask(&echo("1"), Headers::new()).await;
    assert_eq!(world.committed(&src).await.result.output.as_deref(), Some("1"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_does_not_wait_with_a_state_that_could_not_come_back() {
    let mut world = World::new("orchestrator-state").await;
    world.misjudge("requests", 1 << 20);
    let chains = tempfile::tempdir().unwrap();
    let chain = "apiVersion: chain/v1\nkind: Chain\nmetadata: {name: wait, version: 1}\ninput: {schema: {type: string}}\n\
                 steps: [{id: ask, approve: {message: Well?, value: 1}}]\noutput: {value: \"{{ input | length }}\"}\n";
    fs::write(chains.path().join("wait.yaml"), chain).unwrap();
    let kept = tempfile::tempdir().unwrap();
    world.oversized = Some(kept.path().to_owned());
    let mut running = world.start_with(chains.path().to_owned());
    running.ready().await;

    // What waits can go on.
    let src = world.ask(&wait("small", 800_000), Headers::new()).await;
    let result = world.ended(&src).await.result;
    assert_eq!(result.status, status::INTERRUPTED);
    let resume = Request {
        kind: request_kind::RESUME.to_owned(),
        chain: "wait@1".to_owned(),
        turn: 1,
        state: result.state,
        input: json!({"ask": {"approved": true, "comment": "x".repeat(60_000)}}).to_string(),
        ..wait("small", 0)
    };
    let src = world.ask(&resume, Headers::new()).await;
    let result = world.ended(&src).await.result;
    assert_eq!(
        (result.status.as_str(), result.output.as_deref()),
        (status::COMPLETED, Some("800000"))
    );

    // What could not does not wait, and what was done is not lost.
    let src = world.ask(&wait("large", 940_000), Headers::new()).await;
    let committed = world.committed(&src).await;
    let error = committed.result.error.unwrap();
    assert_eq!(
        (error.class.as_str(), committed.result.state),
        ("output_too_large", None)
    );
    assert!(error.message.contains("resumes it takes"), "{}", error.message);
    let file = kept.path().join(format!("{}.json", src.replace('/', "-")));
    assert!(fs::read_to_string(&file).unwrap().len() > 940_000);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_dead_letter_takes_is_left_where_it_is_and_told() {
    let mut world = World::new("orchestrator-left-out").await;
    let mut running = world.start();
    running.ready().await;

    // Compressed it is small, so its topic takes it.
    let value = Bytes::from(vec![b'x'; 6_000_000]);
    let headers = Headers::new()
        .with("trace", "t".repeat(100))
        .with("traceparent", "0".repeat(9_000));
    let src = world.send("events", Some(value.clone()), headers.clone()).await;
    let letter = world.committed(&src).await.dead_letter.unwrap();
    assert_eq!(
        (letter.class.as_str(), letter.value, letter.headers.len()),
        ("too_large", None, 2)
    );
    let [left_out] = &letter.left_out[..] else {
        panic!("{:?}", letter.left_out)
    };
    assert_eq!((left_out.part.as_str(), left_out.bytes), ("value", 6_000_000));
    assert_eq!(left_out.sha256, format!("{:x}", Sha256::digest(&value)));
    assert_eq!(format!("{}/{}/{}", letter.topic, letter.partition, letter.offset), src);

    // A key is that of all that a request leads to, and none of that may be too large for it.
    let key = Bytes::from(vec![b'k'; 5_000_000]);
    let src = world
        .send_keyed("events", Some(key), Some(Bytes::from_static(b"1")), Headers::new())
        .await;
    let committed = world.committed(&src).await;
    assert_eq!(committed.result.error.unwrap().class, "too_large");
    assert_eq!(committed.record.key, None);
    let letter = committed.dead_letter.unwrap();
    assert_eq!((letter.key, letter.value), (None, Some(b"1".to_vec())));
    assert_eq!(
        (letter.left_out[0].part.as_str(), letter.left_out[0].bytes),
        ("key", 5_000_000)
    );

    // And headers.
    let headers = (0..60_000).fold(Headers::new(), |headers, _| headers.with("name", "x".repeat(90)));
    let src = world.send("events", Some(Bytes::from_static(b"{")), headers).await;
    let letter = world.committed(&src).await.dead_letter.unwrap();
    assert_eq!((letter.value, letter.headers), (Some(b"{".to_vec()), Vec::new()));
    assert_eq!(
        (letter.left_out[0].part.as_str(), letter.left_out[0].bytes),
        ("headers", 60_000 * 94)
    );

    let src = world.ask(&echo("1"), Headers::new()).await;
    assert_eq!(world.committed(&src).await.result.output.as_deref(), Some("1"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_made_is_told_at_start() {
    let mut world = World::new("orchestrator-no-folder").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    world.oversized = Some(file.path().join("kept"));
    let said = world.start().ended().await.unwrap_err().to_string();
    assert!(said.contains("oversized_outputs"), "{said}");
}

fn echo(input: &str) -> Request {
    Request {
        chain: "echo".to_owned(),
        input: input.to_owned(),
        ..Request::default()
    }
}

fn wait(id: &str, length: usize) -> Request {
    Request {
        request_id: Some(id.to_owned()),
        chain: "wait".to_owned(),
        input: json!("x".repeat(length)).to_string(),
        ..Request::default()
    }
}
