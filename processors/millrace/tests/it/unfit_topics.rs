//! Topics that are not as the list says: nothing is read from them, all of it is told at once, and the command that is told
//! mends it while the process stands by.

use testkit::{Space, until};

use crate::world::{SOON, World, get};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_says_what_keeps_it_from_its_work_and_begins_when_it_is_mended() {
    let space = Space::new("unfit").await;
    let mut world = World::unprepared(space.parts.clone(), space.prefix, space.postgres_url);
    let list = world.succeed(&["topics", "list", "--yaml"]);
    let other = list
        .replacen(
            "partitions: 6\n    retention: 7d",
            "partitions: 6\n    cleanup: compact",
            1,
        )
        .replacen(
            "partitions: 6\n    retention: 30d\n    max_message: 4MiB",
            "partitions: 2\n    retention: 30d\n    max_message: 1MiB",
            1,
        )
        .replace("name: attempts ", "name: attempts.of.others ");
    let (other, list) = (world.write("other.yaml", &other), world.write("topics.yaml", &list));
    world.set("TOPICS", other.to_str().unwrap());
    let applied = world.run(&["topics", "apply"]);
    let told = String::from_utf8_lossy(&applied.stdout).into_owned();
    assert!(told.contains("an input of") && told.contains("is compacted"), "{told}");
    world.set("TOPICS", list.to_str().unwrap());
    world.succeed(&["schemas", "register"]);

    let mut worker = world.start_unready("worker", "orchestrator");
    let topic = |name: &str| format!("topic {}", world.topic(name));
    let parts = [
        format!(
            "{}, an input of {}orchestrator, is compacted",
            topic("requests"),
            world.prefix
        ),
        format!("{} has 2 partitions, the list says 6", topic("audit")),
        format!("{} takes 1048576 bytes a message", topic("audit")),
        format!("{} does not exist", topic("attempts")),
    ];
    let url = format!("{}/readyz", worker.url);
    let mut said = String::new();
    let all = until(SOON, async || {
        said = get(&url).await.ok()?.text().await.ok()?;
        parts.iter().all(|part| said.contains(part)).then_some(())
    });
    assert!(all.await.is_ok(), "{said}\n{}", worker.log());

    world.succeed(&["topics", "apply", "--allow-reorder"]);

    worker.ready().await;
    worker.process.stop(SOON).await.unwrap();
}
