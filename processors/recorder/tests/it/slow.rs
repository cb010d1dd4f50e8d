//! What holds Postgres up: somebody's long question, a batch or a move of rows that does not end in the time that it has.

use recorder::RecorderSettings;
use schemas::{RunResult, Timestamp};

use crate::{stories::world, world::result};

const DAY: i64 = 86_400_000_000;
/// The last day that is made ahead.
const TOMORROW: &str = "pg_class WHERE relname = 'runs_' || to_char((now() AT TIME ZONE 'UTC')::date + 1, 'YYYYMMDD')";

/// A question that takes an hour keeps no row of a new day out.
#[tokio::test(flavor = "multi_thread")]
async fn rows_land_while_somebody_reads_for_long_and_their_day_is_made_afterwards() {
    let world = world("recorder-held").await;
    let mut recorder = world.recorder(RecorderSettings::default());
    recorder.until_ready().await;
    world.until_count(TOMORROW, 1).await;
    let mut long = world.pool.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM runs")
        .execute(&mut *long)
        .await
        .unwrap();

    let old = Timestamp::now().plus_micros(-5 * DAY);
    world
        .send_record(
            "results",
            0,
            &RunResult {
                accepted_at: old,
                ..result(1)
            },
        )
        .await;
    world.send_record("results", 0, &result(2)).await;
    world.until_count("runs WHERE status = 'completed'", 2).await;
    assert_eq!(world.count("runs_default").await, 1);

    long.rollback().await.unwrap();
    world.until_count("runs_default", 0).await;
    assert_eq!(world.count("runs WHERE status = 'completed'").await, 2);
    recorder.stop().await;
}

/// As if so many rows of a day lay in the default partition that to move them took longer than a statement may.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_cannot_be_moved_in_time_stay_where_they_are_and_others_land() {
    let world = world("recorder-move").await;
    let mut recorder = world.recorder(RecorderSettings::default());
    recorder.until_ready().await;
    world
        .execute(
            "CREATE SEQUENCE moves;
             CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM nextval('moves');
                 RAISE query_canceled;
             END $$;
             CREATE TRIGGER slow BEFORE DELETE ON runs_default FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await;
    let mut long = world.pool.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM runs")
        .execute(&mut *long)
        .await
        .unwrap();
    let old = Timestamp::now().plus_micros(-5 * DAY);
    let of_that_day = |id| RunResult {
        accepted_at: old,
        ..result(id)
    };
    world.send_record("results", 0, &of_that_day(1)).await;
    world.until_count("runs_default", 1).await;
    long.rollback().await.unwrap();
    world.until_count("moves WHERE is_called", 1).await;

    world.send_record("results", 0, &of_that_day(2)).await;
    world.send_record("results", 1, &result(3)).await;
    world.until_count("runs WHERE status = 'completed'", 3).await;
    assert_eq!(world.count("runs_default").await, 2);
    assert_eq!(
        world.count("moves WHERE last_value = 1").await,
        1,
        "it was tried again at once"
    );
    recorder.stop().await;
}

/// Each table takes less than a statement may, all together longer than a batch has.
#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_takes_its_time_of_every_table_stops_nobody() {
    let world = world("recorder-moves").await;
    let mut recorder = world.recorder(RecorderSettings::default());
    recorder.until_ready().await;
    world.until_count(TOMORROW, 1).await;
    world
        .execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM pg_sleep(12);
                 RETURN NULL;
             END $$;
             CREATE TRIGGER slow BEFORE DELETE ON runs_default EXECUTE FUNCTION slow();
             CREATE TRIGGER slow BEFORE DELETE ON duplicate_results_default EXECUTE FUNCTION slow();
             CREATE TRIGGER slow BEFORE DELETE ON attempts_default EXECUTE FUNCTION slow();
             CREATE TRIGGER slow BEFORE DELETE ON audit_default EXECUTE FUNCTION slow();
             CREATE TRIGGER slow BEFORE DELETE ON dead_letters_default EXECUTE FUNCTION slow()",
        )
        .await;
    let of_an_old_day = RunResult {
        accepted_at: Timestamp::now().plus_micros(-5 * DAY),
        ..result(1)
    };
    world.send_record("results", 0, &of_an_old_day).await;
    world.send_record("results", 1, &result(2)).await;
    world.until_count("runs WHERE status = 'completed'", 2).await;
    assert_eq!(world.count("runs_default").await, 1);
    recorder.stop().await;
}

/// A batch that is canceled for its size is written in halves, and nothing of it is quarantined.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_takes_too_long_is_halved() {
    let world = world("recorder-halves").await;
    let mut makes_tables = world.recorder(RecorderSettings::default());
    makes_tables.until_ready().await;
    makes_tables.stop().await;
    world
        .execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF (SELECT count(*) FROM inserted) > 30 THEN
                     RAISE query_canceled;
                 END IF;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER slow AFTER INSERT ON audit REFERENCING NEW TABLE AS inserted
                 FOR EACH STATEMENT EXECUTE FUNCTION slow()",
        )
        .await;
    world.send_runs(0..100).await;
    let all_at_once = RecorderSettings {
        batch_wait_ms: 1_000,
        ..RecorderSettings::default()
    };
    let recorder = world.recorder(all_at_once);
    world.until_count("audit", 100).await;
    world
        .until_count("runs WHERE status = 'completed' AND request_src IS NOT NULL", 100)
        .await;
    assert_eq!(world.count("quarantine").await, 0);
    recorder.stop().await;
}

/// Whoever else waits for these tables is let by; and the role does not end over it.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_somebody_holds_are_brought_up_to_date_when_he_lets_go() {
    let world = world("recorder-migrate").await;
    let mut other = world.pool.begin().await.unwrap();
    sqlx::raw_sql("CREATE TABLE run_index (held boolean)")
        .execute(&mut *other)
        .await
        .unwrap();
    let mut recorder = world.recorder(RecorderSettings::default());
    recorder.until_waiting_for("lock timeout").await;
    other.rollback().await.unwrap();
    recorder.until_ready().await;
    world.send_record("results", 0, &result(1)).await;
    world.until_count("runs WHERE status = 'completed'", 1).await;
    recorder.stop().await;
}
