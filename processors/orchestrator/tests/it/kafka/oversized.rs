use std::fs;

use schemas::{Request, status};
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
