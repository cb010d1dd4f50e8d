use recorder::RecorderSettings;
use schemas::{DeadLetter, RawHeader, Request, RunResult, Timestamp, headers};
use testkit::{OwnParts, PartsConfig, Space, until};
use topics::Headers;

use crate::world::{SOON, TENANT, TICKETS, World, request, result};

pub async fn world(name: &str) -> World {
    let space = Space::new(name).await;
    World::new(space.parts, &space.prefix, &space.postgres_url).await
}

pub fn small_batches() -> RecorderSettings {
    RecorderSettings {
        batch_records: 20,
        ..RecorderSettings::default()
    }
}

/// Every transaction leaves a mark for each audit row that it inserts, also for one that is there already: a row that
/// lands twice shows.
pub const WITNESS: &str = "
    CREATE TABLE witness (topic_partition int, topic_offset bigint);
    CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO witness VALUES (new.topic_partition, new.topic_offset);
        RETURN new;
    END $$;
    CREATE TRIGGER witness BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION witness();";

#[tokio::test(flavor = "multi_thread")]
async fn what_the_topics_say_lands_once_through_a_crash_in_the_middle() {
    let world = world("recorder-crash").await;
    let mut first = world.recorder(small_batches());
    first.until_ready().await;
    world.execute(WITNESS).await;
    world.send_runs(0..400).await;
    until(SOON, async || (world.count("audit").await > 0).then_some(()))
        .await
        .unwrap();
    first.crash().await;
    let before = world.count("witness").await;
    world.send_runs(400..500).await;

    let second = world.recorder(small_batches());
    world
        .until_count("runs WHERE status = 'completed' AND request_src IS NOT NULL", 500)
        .await;
    world.until_count("audit", 500).await;
    world
        .until_count("attempts WHERE phase = 'started' AND started_at IS NOT NULL", 500)
        .await;
    assert!(before < 500, "the crash was not in the middle");
    assert_eq!(world.count("witness").await, 500);
    assert_eq!(world.count("run_index").await, 500);
    assert_eq!(world.count("duplicate_results").await, 0);
    assert_eq!(world.count("quarantine").await, 0);
    assert_eq!(world.count("runs_default").await, 0, "today has a partition");
    world
        .until_at_the_end(&["requests", "results", "audit", "attempts"])
        .await;
    second.stop().await;
}

/// The old owner is in the middle of a transaction when another recorder gets half of its partitions and reads their
/// positions as they were before it. Whoever is second finds the position moved and reads it again.
#[tokio::test(flavor = "multi_thread")]
async fn two_recorders_of_one_partition_write_each_row_once() {
    let world = world("recorder-fight").await;
    let mut makes_tables = world.recorder(RecorderSettings::default());
    makes_tables.until_ready().await;
    makes_tables.stop().await;
    world.execute(WITNESS).await;
    world.send_runs(0..300).await;

    let mut gate = world.pool.begin().await.unwrap();
    let lock = "LOCK TABLE witness IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut *gate).await.unwrap();
    let all_at_once = RecorderSettings {
        batch_wait_ms: 1_000,
        ..RecorderSettings::default()
    };
    let old = world.recorder(all_at_once);
    let waiting = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    world.until_count(waiting, 1).await;
    let new = world.recorder(RecorderSettings::default());
    let waiting_for_the_old = format!("{waiting} AND wait_event = 'transactionid'");
    world.until_count(&waiting_for_the_old, 1).await;

    gate.commit().await.unwrap();
    world
        .until_count("runs WHERE status = 'completed' AND request_src IS NOT NULL", 300)
        .await;
    world.until_count("audit", 300).await;
    world.send_runs(300..320).await;
    world.until_count("audit", 320).await;
    new.stop().await;
    old.stop().await;
    assert_eq!(world.count("witness").await, 320);
    assert_eq!(world.count("duplicate_results").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_after_its_result_does_not_undo_it() {
    let world = world("recorder-order").await;
    let recorder = world.recorder(RecorderSettings::default());
    world.send_record("results", 0, &result(7)).await;
    world
        .until_count("runs WHERE status = 'completed' AND request_src IS NULL", 1)
        .await;

    let late = Request {
        request_id: Some("run-7".to_owned()),
        created_at: Timestamp::now(),
        ..request()
    };
    world.send_record("requests", 0, &late).await;
    world.until_count("runs WHERE request_src IS NOT NULL", 1).await;
    assert_eq!(
        world
            .count("runs WHERE status = 'completed' AND kind = 'run' AND requested_chain = 'answer'")
            .await,
        1
    );
    assert_eq!(
        world.text("SELECT output FROM runs").await.as_deref(),
        Some(r#"{"answer":7}"#)
    );
    recorder.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_result_of_a_run_is_kept_beside_the_first() {
    let world = world("recorder-duplicate").await;
    let recorder = world.recorder(RecorderSettings::default());
    let yesterday = Timestamp::now().plus_micros(-86_400_000_000);
    let first = RunResult {
        accepted_at: yesterday,
        ..result(7)
    };
    world.send_record("results", 0, &first).await;
    world.until_count("runs", 1).await;

    // The request was produced twice: another place in the topic, another time, another answer.
    let second = RunResult {
        src: "requests/0/99".to_owned(),
        output: Some("2".to_owned()),
        ..result(7)
    };
    world.send_record("results", 1, &second).await;
    world.send_record("results", 0, &second).await;
    world
        .until_count("consumer_positions WHERE topic LIKE '%results' AND next_offset >= 1", 2)
        .await;
    world
        .until_count("duplicate_results WHERE src = 'requests/0/99' AND output = '2'", 1)
        .await;
    assert_eq!(world.count("runs").await, 1);
    assert_eq!(
        world.text("SELECT output FROM runs").await.as_deref(),
        Some(r#"{"answer":7}"#)
    );
    recorder.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_no_table_takes_is_quarantined_and_its_neighbours_land() {
    let world = world("recorder-poison").await;
    world.send_runs(0..50).await;
    let nul = RunResult {
        output: Some("a\0b".to_owned()),
        ..result(1_000)
    };
    world.send_record("results", 0, &nul).await;
    let absurd = RunResult {
        accepted_at: Timestamp(i64::MAX),
        ..result(1_001)
    };
    world.send_record("results", 1, &absurd).await;
    let too_old = RunResult {
        completed_at: Timestamp(-300_000_000_000_000_000),
        ..result(1_002)
    };
    world.send_record("results", 1, &too_old).await;
    // No index takes it.
    let digits = (0..20_000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string());
    let too_long = RunResult {
        request_id: digits.collect(),
        ..result(1_004)
    };
    let too_long = world.send_record("results", 1, &too_long).await;
    let trace = Headers::new().with(headers::REQUEST_ID, "run-1003");
    let (partition, offset) = world.send("requests", 0, "no Avro at all\0", trace.clone()).await;
    let unknown_schema = world.send("audit", 1, &b"\0\xff\xff\xff\xff"[..], trace).await;
    world.send_runs(50..100).await;

    let recorder = world.recorder(RecorderSettings::default());
    world
        .until_count("runs WHERE status = 'completed' AND request_src IS NOT NULL", 100)
        .await;
    world.until_count("audit", 100).await;
    world.until_count("quarantine", 2).await;
    let refused = format!(
        r#"quarantine WHERE topic LIKE '%results' AND "offset" = {} AND reason LIKE '%index%'"#,
        too_long.1
    );
    assert_eq!(world.count(&refused).await, 1);
    // Nobody can read it, and it is a request all the same.
    world
        .until_count(
            &format!(
                "runs WHERE request_id = 'run-1003' AND request_src LIKE '%requests/{partition}/{offset}' AND kind IS NULL
                     AND input IS NULL AND status = 'queued' AND mended IS NULL"
            ),
            1,
        )
        .await;
    assert_eq!(
        world
            .count(&format!(
                r#"quarantine WHERE topic LIKE '%audit' AND "offset" = {} AND value = '\x00ffffffff'
                   AND headers LIKE '%"request-id"%'"#,
                unknown_schema.1
            ))
            .await,
        1
    );
    let mended = [
        ("run-1000", "output", "output = E'a\\uFFFDb'"),
        (
            "run-1001",
            "accepted_at",
            "accepted_at = '9999-12-30 23:59:59.999999+00'",
        ),
        ("run-1002", "completed_at", "completed_at = '0001-01-02 00:00:00+00'"),
    ];
    for (id, column, holds) in mended {
        let row = format!("runs WHERE request_id = '{id}' AND mended = '{{{column}}}' AND {holds}");
        assert_eq!(world.count(&row).await, 1, "{row}");
    }
    assert_eq!(world.count("runs WHERE mended IS NOT NULL").await, 3);
    recorder.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_recorded_under_the_identity_that_every_role_derives() {
    let world = world("recorder-identity").await;
    let recorder = world.recorder(RecorderSettings::default());
    let ticket = Headers::new()
        .with(headers::REQUEST_ID, "ticket-1")
        .with(headers::TENANT, "somebody-else");
    world.send(TICKETS, 0, r#"{"text":"help"}"#, ticket).await;
    world.send(TICKETS, 0, r#"{"text":"more help"}"#, Headers::new()).await;
    let nameless = Request {
        tenant: String::new(),
        request_id: None,
        ..request()
    };
    let (partition, offset) = world.send_record("requests", 1, &nameless).await;

    world
        .until_count("runs WHERE tenant = 'acme' AND requested_chain = 'triage@2'", 2)
        .await;
    world
        .until_count(r#"runs WHERE request_id = 'ticket-1' AND input = '{"text":"help"}'"#, 1)
        .await;
    world
        .until_count("runs WHERE tenant = 'default' AND status = 'queued'", 1)
        .await;
    let src = world
        .text("SELECT request_src FROM runs WHERE tenant = 'default'")
        .await
        .unwrap();
    assert_eq!(src, format!("{}/{partition}/{offset}", world.kafka.topic("requests")));
    recorder.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_keeps_its_bytes_and_an_attempt_its_end() {
    let world = world("recorder-letters").await;
    let recorder = world.recorder(RecorderSettings::default());
    let letter = DeadLetter {
        request_id: "run-1".to_owned(),
        tenant: TENANT.to_owned(),
        accepted_at: Timestamp::now(),
        topic: "requests".to_owned(),
        offset: 41,
        value: Some(b"\0\xff".to_vec()),
        headers: vec![RawHeader {
            name: "a\0".to_owned(),
            value: None,
            name_bytes: None,
        }],
        class: "corrupt".to_owned(),
        failed_at: Timestamp::now(),
        ..DeadLetter::default()
    };
    world.send_record("dead-letters", 0, &letter).await;
    let started = schemas::Attempt {
        attempt_id: "attempt-1".to_owned(),
        phase: "started".to_owned(),
        request_id: "run-1".to_owned(),
        tenant: TENANT.to_owned(),
        src: "requests/0/1".to_owned(),
        accepted_at: letter.accepted_at,
        cost: schemas::Money(900),
        at: Timestamp::now(),
        ..Default::default()
    };
    let settled = schemas::Attempt {
        phase: "settled".to_owned(),
        cost: schemas::Money(700),
        ..started.clone()
    };
    // In the wrong order, and twice.
    world.send_record("attempts", 0, &settled).await;
    world.send_record("attempts", 0, &started).await;
    world.send_record("attempts", 0, &settled).await;

    world
        .until_count(
            r"dead_letters WHERE value = '\x00ff' AND class = 'corrupt' AND key IS NULL",
            1,
        )
        .await;
    world
        .until_count(
            "attempts WHERE phase = 'settled' AND estimate_nanos = 900 AND cost_nanos = 700",
            1,
        )
        .await;
    assert_eq!(world.count("attempts").await, 1);
    recorder.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn days_past_the_retention_are_dropped() {
    let world = world("recorder-retention").await;
    let day = 86_400_000_000;
    let now = Timestamp::now();
    for (id, age) in [(0, 0), (1, 3), (2, 30), (3, 4_000)] {
        world
            .send_record(
                "results",
                0,
                &RunResult {
                    accepted_at: now.plus_micros(-age * day),
                    ..result(id)
                },
            )
            .await;
    }
    let keeps_all = world.recorder(RecorderSettings::default());
    world.until_count("runs", 4).await;
    assert_eq!(
        world.count("runs_default").await,
        1,
        "4,000 days ago is no day of its own"
    );
    keeps_all.stop().await;

    let keeps_a_week = world.recorder(RecorderSettings {
        retention_days: Some(7),
        ..RecorderSettings::default()
    });
    world.until_count("runs", 2).await;
    world.until_count("run_index", 2).await;
    keeps_a_week.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_and_registry_may_go_and_come_back() {
    let mut parts = OwnParts::start(PartsConfig {
        name: "recorder-outage".to_owned(),
        ..PartsConfig::default()
    })
    .await
    .unwrap();
    let world = World::new(&parts.parts, "outage.", &parts.parts.postgres_url).await;
    let mut recorder = world.recorder(small_batches());
    recorder.until_ready().await;
    world.send_runs(0..200).await;
    until(SOON, async || (world.count("audit").await > 0).then_some(()))
        .await
        .unwrap();

    parts.postgres.stop().await.unwrap();
    world.send_runs(200..400).await;
    let refused =
        "`postgres.url` (MILLRACE_POSTGRES__URL) names: error communicating with database: Connection refused";
    recorder.until_waiting_for(refused).await;
    parts.postgres.start().await.unwrap();
    recorder.until_ready().await;
    world
        .until_count("runs WHERE status = 'completed' AND request_src IS NOT NULL", 400)
        .await;
    world.until_count("audit", 400).await;
    world.until_count("attempts", 400).await;
    recorder.stop().await;

    // A recorder that has seen no schema yet, and no registry.
    world.send_runs(400..500).await;
    parts.registry.pause().unwrap();
    let mut fresh = world.recorder(small_batches());
    fresh.until_waiting_for("registry").await;
    parts.registry.resume().unwrap();
    world
        .until_count("runs WHERE status = 'completed' AND request_src IS NOT NULL", 500)
        .await;
    assert_eq!(world.count("quarantine").await, 0);
    assert_eq!(world.count("duplicate_results").await, 0);
    fresh.stop().await;
}
