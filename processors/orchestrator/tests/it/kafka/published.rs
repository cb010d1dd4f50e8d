use std::time::{Duration, Instant};

use schemas::{Registry, RegistrySettings, Request, status};
use topics::Headers;

use super::world::{World, folder_with};

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_another_process_runs_here_and_a_version_has_one_content() {
    let mut world = World::new("orchestrator-published").await;
    let (one, two) = (folder_with("mine", 1, "one"), folder_with("mine", 2, "two"));
    let mut first = world.start_with(one.path().to_owned());
    first.ready().await;
    let ask = |chain: &str| Request {
        chain: chain.to_owned(),
        ..Request::default()
    };

    // A version that another process brings while this one runs; that one is gone when it is asked for.
    let mut second = world.start_with(two.path().to_owned());
    second.ready().await;
    second.stop().await;
    for (chain, output) in [("mine@1", r#""one""#), ("mine@2", r#""two""#), ("mine", r#""two""#)] {
        let src = world.ask(&ask(chain), Headers::new()).await;
        let result = world.committed(&src).await.result;
        assert_eq!(
            (result.status.as_str(), result.output.as_deref()),
            (status::COMPLETED, Some(output)),
            "{:?}",
            result.error
        );
    }

    // The same version with other content never starts.
    let other = folder_with("mine", 1, "another");
    let refused = world.start_with(other.path().to_owned()).ended().await.unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(
        cause.contains("chain `mine@1` is already published") && cause.contains("metadata.version"),
        "{cause}"
    );

    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_is_taken_over_unless_it_is_wrong() {
    let mut world = World::new("orchestrator-reload").await;
    let folder = folder_with("mine", 1, "one");
    let mut running = world.start_with(folder.path().to_owned());
    running.ready().await;
    let ask = async |world: &mut World, chain: &str| {
        let request = Request {
            chain: chain.to_owned(),
            ..Request::default()
        };
        let src = world.ask(&request, Headers::new()).await;
        world.committed(&src).await.result.output
    };
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let second = std::fs::read_to_string(folder_with("mine", 2, "two").path().join("chain.yaml")).unwrap();

    write("wrong.yaml", "steps: nothing else");
    write("second.yaml", &second);
    assert_eq!(
        ask(&mut world, "mine").await.as_deref(),
        Some(r#""one""#),
        "not beside a file that is wrong"
    );
    std::fs::remove_file(folder.path().join("wrong.yaml")).unwrap();
    let began = Instant::now();
    while ask(&mut world, "mine").await.as_deref() != Some(r#""two""#) {
        assert!(
            began.elapsed() < Duration::from_secs(90),
            "the new version was not taken over"
        );
    }
    assert_eq!(ask(&mut world, "mine@1").await.as_deref(), Some(r#""one""#));

    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_down_is_waited_for() {
    let world = World::new("orchestrator-waits").await;
    let chains = folder_with("mine", 1, "one");
    // Nothing listens there.
    let settings = RegistrySettings {
        url: "http://127.0.0.1:1".to_owned(),
        username: None,
        password: None,
    };
    let mut running = world.start_at(chains.path().to_owned(), Registry::new(&settings).unwrap());

    running.waiting_for("schema registry").await;

    running.stop().await;
}
