//! What a person at the keyboard sees, above all when something is wrong.

use testkit::Process;

use crate::world::{SOON, World, get, json_lines};

#[tokio::test(flavor = "multi_thread")]
async fn one_request_is_sent_answered_and_seen_in_every_topic() {
    let world = World::new("request").await;
    let _running = world.start("all", "orchestrator,recorder,api").await;

    let said = world.succeed(&["request", "--chain", "echo", "--key", "k", r#"{"text": "hello"}"#]);
    let result = &json_lines(&said)[0];
    assert_eq!(result["status"], "completed");
    assert_eq!(result["output"]["text"], "hello");
    assert!(result["chain"].as_str().unwrap().starts_with("echo@1#"));

    for topic in ["requests", "results", "audit"] {
        let said = world.succeed(&["tail", topic, "--from-beginning", "--count", "1"]);
        let record = &json_lines(&said)[0];
        assert_eq!(record["value"]["request_id"], result["request_id"], "{topic}");
        assert_eq!(record["key"], "k", "{topic}");
    }
    let refused = world.run(&["request", "--chain", "nobody", "{}"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("unknown_chain"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_with_its_mend() {
    let mut world = World::new("mistakes").await;
    let wrong = world.write(
        "wrong.yaml",
        "kafka:\n  bootstrap_server: x:1\norchestrator:\n  in_flight: many\n",
    );
    refuses(
        &world,
        &["--config", &wrong.display().to_string(), "config", "check"],
        &["bootstrap_server", "in_flight"],
    );
    refuses(&world, &["request", "--chain", "echo", "{no json"], &["no JSON"]);
    let chain = world.write(
        "chains/wrong.yaml",
        "apiVersion: chain/v1\nkind: Chain\nsteps: []\nstep: 1\n",
    );
    refuses(
        &world,
        &["chain", "lint", &chain.display().to_string()],
        &["wrong.yaml:4:1", "metadata"],
    );

    world.set("API__LISTEN", "0.0.0.0:1");
    refuses(&world, &["run", "--roles", "api"], &["loopback"]);
    world.set("API__LISTEN", "127.0.0.1:0");

    world.set("KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1");
    refuses(&world, &["topics", "diff"], &["127.0.0.1:1"]);
    world.set("REGISTRY__URL", "http://127.0.0.1:1");
    refuses(&world, &["schemas", "check"], &["127.0.0.1:1"]);
    world.set("KAFKA__BOOTSTRAP", "127.0.0.1:1");
    refuses(&world, &["config", "check"], &["MILLRACE_KAFKA__BOOTSTRAP"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_a_commit_says_which_command_decides() {
    let space = testkit::Space::new("uninitialised").await;
    let world = World::unprepared(space.parts.clone(), space.prefix, space.postgres_url);
    world.succeed(&["schemas", "register"]);
    let running = world.start_unready("orchestrator", "orchestrator");
    let said = testkit::until(SOON, async || {
        let log = running.log();
        log.contains("topics apply").then_some(log)
    });
    said.await.unwrap();
    stop(running.process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_and_a_registry_that_come_late_are_waited_for() {
    let space = testkit::Space::new("late").await;
    let mut world = World::unprepared(space.parts.clone(), space.prefix.clone(), space.postgres_url.clone());
    world.prepare();
    world.set("REGISTRY__URL", "http://127.0.0.1:1");
    let running = world.start_unready("waiting", "orchestrator");
    let ready = format!("{}/readyz", running.url);
    let said = testkit::until(SOON, async || {
        let said = get(&ready).await.ok()?.text().await.ok()?;
        said.contains("waiting for the schema registry").then_some(())
    });
    said.await.unwrap();
    assert!(
        get(&format!("{}/healthz", running.url))
            .await
            .unwrap()
            .status()
            .is_success(),
        "it waits, and is alive"
    );
    stop(running.process).await;
}

async fn stop(process: Process) {
    assert!(
        process.stop(SOON).await.unwrap().success(),
        "SIGTERM ends with exit code 0"
    );
}

#[track_caller]
fn refuses(world: &World, args: &[&str], parts: &[&str]) {
    let output = world.run(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "millrace {} should fail", args.join(" "));
    for part in parts {
        assert!(
            said.contains(part),
            "millrace {}: `{part}` is not in:\n{said}",
            args.join(" ")
        );
    }
    assert!(!said.contains("panicked"), "{said}");
}
