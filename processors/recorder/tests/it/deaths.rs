//! A recorder dies between any two steps of its transaction, or falls asleep in it: each row is there once, and the next
//! recorder goes on.

use std::time::{Duration, Instant};

use testkit::{Process, until};

use crate::{
    judge,
    stories::{WITNESS, small_batches, world},
    worker,
    world::{SOON, World},
};

const RUNS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn wherever_a_recorder_dies_each_row_is_written_once() {
    let points = ["recorder_begun:4", "recorder_written:4", "recorder_committed:4"];
    futures::future::join_all(points.map(dies_at)).await;
}

async fn dies_at(point: &str) {
    let world = prepared(&format!("recorder-{}", point.replace(['_', ':'], "-"))).await;
    world.send_runs(0..RUNS).await;
    worker::dies(worker::start(&world, point)).await;
    let before = world.count("audit").await;
    assert!(
        before < i64::try_from(RUNS).unwrap(),
        "{point}: it died too late to prove anything"
    );

    let heir = world.recorder(small_batches());
    world.send_runs(RUNS..RUNS + 50).await;
    each_once(&world, RUNS + 50).await;
    heir.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_that_wakes_up_late_writes_nothing_twice() {
    let world = prepared("recorder-zombie").await;
    let old = falls_asleep(&world).await;
    let heir = world.recorder(small_batches());
    let asleep = Instant::now();
    each_once(&world, RUNS).await;
    assert!(asleep.elapsed() < Duration::from_secs(90), "{:?}", asleep.elapsed());

    old.resume().unwrap();
    world.send_runs(RUNS..RUNS + 50).await;
    each_once(&world, RUNS + 50).await;
    // The one that slept goes on where the other ends.
    heir.stop().await;
    world.send_runs(RUNS + 50..RUNS + 100).await;
    each_once(&world, RUNS + 100).await;
    old.kill().unwrap();
}

/// The same in a database where nobody ever finds a position moved: the mistake must show, and the judge must see it.
#[tokio::test(flavor = "multi_thread")]
async fn without_compare_and_set_the_one_that_wakes_up_late_is_found_out() {
    let world = prepared("recorder-unguarded").await;
    world.execute(UNGUARDED).await;
    let old = falls_asleep(&world).await;
    let heir = world.recorder(small_batches());
    each_once(&world, RUNS).await;
    heir.stop().await;
    assert_eq!(judge::mismatches(&world).await, [""; 0]);

    old.resume().unwrap();
    let goes_back = until(SOON, async || (world.count("rewound").await > 0).then_some(()));
    goes_back.await.unwrap();
    old.kill().unwrap();
    let rows = world.count("witness").await;
    assert!(
        rows > i64::try_from(RUNS).unwrap(),
        "{rows} rows: none was written twice"
    );
    // One finding, of however many positions.
    assert_eq!(
        judge::mismatches(&world).await,
        ["the recorder is not at the end of a topic"]
    );
}

/// Compare-and-set finds every position equal to what it expects. One that went back stays there, so that nobody mends it
/// before it is seen.
const UNGUARDED: &str = r#"
    CREATE DOMAIN anywhere AS bigint;
    CREATE FUNCTION is_expected(anywhere, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE OPERATOR = (LEFTARG = anywhere, RIGHTARG = bigint, FUNCTION = is_expected);
    ALTER TABLE consumer_positions ALTER next_offset TYPE anywhere;
    CREATE TABLE rewound (topic text, "partition" int, PRIMARY KEY (topic, "partition"));
    CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF new.next_offset < old.next_offset THEN
            INSERT INTO rewound VALUES (old.topic, old."partition");
        ELSIF new.next_offset > old.next_offset AND EXISTS (SELECT FROM rewound) THEN
            RAISE 'a position went back, and nothing moves any more';
        END IF;
        RETURN new;
    END $$;
    CREATE TRIGGER watch BEFORE UPDATE ON consumer_positions FOR EACH ROW EXECUTE FUNCTION watch();"#;

/// It sleeps with its rows written and nothing committed, for longer than its group waits and than Postgres lets it hold
/// what it has locked; when it is woken, it believes that its partitions are its own.
async fn falls_asleep(world: &World) -> Process {
    world.send_runs(0..RUNS).await;
    let mut gate = world.pool.begin().await.unwrap();
    let lock = "LOCK TABLE witness IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut *gate).await.unwrap();
    let old = worker::start(world, "");
    let in_its_transaction = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    world.until_count(in_its_transaction, 1).await;
    old.pause().unwrap();
    gate.commit().await.unwrap();
    old
}

async fn prepared(name: &str) -> World {
    let world = world(name).await;
    let mut makes_tables = world.recorder(small_batches());
    makes_tables.until_ready().await;
    makes_tables.stop().await;
    world.execute(WITNESS).await;
    world
}

async fn each_once(world: &World, runs: usize) {
    let runs = i64::try_from(runs).unwrap();
    world
        .until_count("runs WHERE status = 'completed' AND request_src IS NOT NULL", runs)
        .await;
    world.until_count("attempts WHERE phase = 'started'", runs).await;
    world.until_count("audit", runs).await;
    assert_eq!(world.count("witness").await, runs);
    assert_eq!(world.count("run_index").await, runs);
    assert_eq!(world.count("duplicate_results").await, 0);
    assert_eq!(world.count("quarantine").await, 0);
}
