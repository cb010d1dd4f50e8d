//! The judge of fault runs looks at what recorders did: one without its compare-and-set is found out.
//!
//! The recorder is the real one in both stories, and has no switch. The comparison is taken away from beneath it: in the
//! database of the second story `=` between two bigints is true, whatever they are, and the only two that the recorder
//! compares are the position as it is and as it believes it to be.

use std::fs;

use recorder::RecorderSettings;
use testkit::{
    Space,
    chaos::{
        Plan, RunFolder,
        check::{Check, Isolation, gather, judge},
    },
};

use crate::world::World;

const COMPARES_NOTHING: &str = "
    CREATE FUNCTION always(bigint, bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
    CREATE OPERATOR public.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = always);
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
    END $$;";

/// A session that is held waits for the gate before it moves a position.
const GATE: &str = "
    CREATE TABLE held (pid int);
    CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM held WHERE pid = pg_backend_pid()) THEN
            PERFORM pg_advisory_xact_lock_shared(42);
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER gate BEFORE UPDATE ON consumer_positions FOR EACH STATEMENT EXECUTE FUNCTION gate();";

/// The sessions of the recorder: those of the test run a query of this very name.
const HOLD: &str = "
    INSERT INTO held SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'test';";

/// An owner is about to move its positions when it falls asleep. Another recorder gets half of its partitions, records
/// them to their ends, and then the first one wakes. Returns what the judge says of Postgres.
async fn an_owner_wakes_late(name: &str, database: &'static str) -> Vec<String> {
    let space = Space::new(name).await;
    let world = World::new(space.parts, &space.prefix, &space.postgres_url).await;
    let mut makes_tables = world.recorder(RecorderSettings::default());
    makes_tables.until_ready().await;
    world.send_runs(0..20).await;
    world.until_count("audit", 20).await;
    makes_tables.stop().await;
    world.execute(GATE).await;
    world.execute(database).await;

    let mut old = world.recorder(RecorderSettings::default());
    old.until_ready().await;
    world.send_runs(20..40).await;
    world.until_count("audit", 40).await;
    let mut gate = world.pool.begin().await.unwrap();
    let close = "SELECT pg_advisory_xact_lock(42)";
    sqlx::raw_sql(close).execute(&mut *gate).await.unwrap();
    world.execute(HOLD).await;
    world.send_runs(40..60).await;
    let waiting = "pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
    world.until_count(waiting, 1).await;

    let new = world.recorder(RecorderSettings::default());
    // Half of the audit's two partitions; then it records what comes later, too.
    world.until_count("audit WHERE topic_offset >= 20", 10).await;
    world.send_runs(60..80).await;
    world.until_count("audit WHERE topic_offset >= 30", 10).await;
    gate.commit().await.unwrap();
    world.until_count("audit", 80).await;
    world
        .until_count("runs WHERE request_src IS NOT NULL AND result_src IS NOT NULL", 80)
        .await;
    world.until_count("attempts", 80).await;
    old.stop().await;
    new.stop().await;
    judged(&world).await
}

async fn judged(world: &World) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::at(folder.path());
    let plan = Plan {
        seed: 1,
        seconds: 1,
        rate: 1,
        brokers: 1,
        bootstrap: world.kafka.bootstrap_servers.clone(),
        registry_url: world.registry_url.clone(),
        postgres_url: world.postgres_url.clone(),
        prefix: world.kafka.prefix.clone(),
        group: world.kafka.group("orchestrator"),
        request_topics: ["requests", "requests.interactive"]
            .map(|topic| world.kafka.topic(topic))
            .to_vec(),
        session_timeout_ms: 6_000,
        transaction_timeout_ms: 10_000,
    };
    fs::write(run.plan(), serde_json::to_vec(&plan).unwrap()).unwrap();
    fs::write(run.faults(), "").unwrap();
    fs::write(run.reader(), "").unwrap();
    let verdict = judge(&gather(&run, Isolation::ReadCommitted).await.unwrap());
    let of_postgres = verdict
        .violations
        .into_iter()
        .filter(|violation| violation.check == Check::Postgres);
    of_postgres.map(|violation| violation.what).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_that_wakes_late_moves_no_position_back() {
    assert_eq!(an_owner_wakes_late("recorder-late", "SELECT 1").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_comparison_the_judge_finds_the_position_moved_back() {
    let found = an_owner_wakes_late("recorder-blind", COMPARES_NOTHING).await;
    assert!(!found.is_empty());
    assert!(
        found
            .iter()
            .all(|what| what == "the recorder is not at the end of a topic"),
        "{found:?}"
    );
}
