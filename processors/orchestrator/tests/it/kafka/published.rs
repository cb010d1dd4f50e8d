use std::time::{Duration, Instant};

use bytes::Bytes;
use schemas::{ChainRecord, Registry, RegistrySettings, Request, status};
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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_withdrawn_is_unknown_and_what_is_no_chain_is_passed_over() {
    let mut world = World::new("orchestrator-withdrawn").await;
    let (mine, good) = (folder_with("mine", 1, "one"), folder_with("good", 1, "two"));
    let mut running = world.start_with(mine.path().to_owned());
    running.ready().await;
    let ask = async |world: &mut World, chain: &str| {
        let request = Request {
            chain: chain.to_owned(),
            ..Request::default()
        };
        let src = world.ask(&request, Headers::new()).await;
        let result = world.committed(&src).await.result;
        result
            .error
            .map_or(result.output.unwrap_or_default(), |error| error.class)
    };
    assert_eq!(ask(&mut world, "mine@1").await, r#""one""#);

    let key = |key: &'static str| Some(Bytes::from_static(key.as_bytes()));
    world.send_keyed("chains", key("mine@1"), None, Headers::new()).await;
    assert_eq!(ask(&mut world, "mine@1").await, "unknown_chain");

    let chain = orchestrator::load_one(&good.path().join("chain.yaml"), &crate::resources::resources()).unwrap();
    let record = ChainRecord {
        name: "good".to_owned(),
        version: 1,
        digest: chain.digest.clone(),
        source: chain.source.clone(),
        graph: "[]".to_owned(),
        input_schema: "{}".to_owned(),
        output_schema: "{}".to_owned(),
        ..ChainRecord::default()
    };
    let topic = world.kafka.topic("chains");
    let encoder = world.registry.encoder(&topic).await.unwrap();
    let send = async |world: &World, key: &'static str, record: &ChainRecord| {
        let value = Some(encoder.encode(record).unwrap());
        world
            .send_keyed(
                "chains",
                Some(Bytes::from_static(key.as_bytes())),
                value,
                Headers::new(),
            )
            .await;
    };
    let digest = ChainRecord {
        digest: "0".repeat(64),
        ..record.clone()
    };
    let source = ChainRecord {
        source: "{".to_owned(),
        ..record.clone()
    };
    let version = ChainRecord {
        version: -1,
        ..record.clone()
    };
    for (key, odd) in [
        ("good@1", &digest),
        ("good@1", &source),
        ("good@-1", &version),
        ("other@1", &record),
    ] {
        send(&world, key, odd).await;
        assert_eq!(ask(&mut world, "good").await, "unknown_chain", "{key}");
    }
    send(&world, "good@1", &record).await;
    assert_eq!(ask(&mut world, "good").await, r#""two""#);
    running.stop().await;
}
