//! What a record may say and Postgres cannot hold.

use recorder::RecorderSettings;
use schemas::{
    Attempt, Audit, DeadLetter, LeftOut, RawHeader, Request, RunError, RunResult, Timestamp, Usage, request_kind,
};
use topics::Output;

use crate::{
    stories::world,
    world::{TENANT, request, result},
};

/// NUL, what looks like an escape, and what lies at the edges of Unicode.
const HOSTILE: &str = "a\0b\\u0000 \u{fffe}\u{10ffff}\u{202e}";
const DATES: [i64; 4] = [i64::MIN, i64::MAX, -62_135_596_800_000_001, 253_402_300_800_000_000];

#[tokio::test(flavor = "multi_thread")]
async fn every_text_and_every_date_of_every_record_is_a_row_with_a_mark() {
    let world = world("recorder-hostile").await;
    let text = || HOSTILE.to_owned();
    let usage = || Usage {
        source: text(),
        ..Usage::default()
    };
    for (number, at) in DATES.map(Timestamp).into_iter().enumerate() {
        let hostile = Request {
            request_id: Some(format!("hostile-{number}")),
            tenant: TENANT.to_owned(),
            kind: text(),
            chain: text(),
            input: text(),
            params: text(),
            deadline: Some(at),
            conversation: Some(text()),
            turn: -1,
            metadata: [(text(), text())].into(),
            created_at: at,
            ..Request::default()
        };
        let value = world.encoder::<Request>("requests").await.encode(&hostile).unwrap();
        let output = Output {
            key: Some(b"\xff\0key"[..].into()),
            ..world.output("requests", 0, value)
        };
        world.commit(vec![output]).await;
        let ids = || format!("{HOSTILE}{number}");
        let result = RunResult {
            request_id: ids(),
            tenant: text(),
            src: text(),
            accepted_at: at,
            turn: i32::MIN,
            chain: Some(text()),
            status: text(),
            output: Some(text()),
            error: Some(RunError {
                class: text(),
                message: text(),
                step: Some(text()),
            }),
            usage: usage(),
            attempts: i32::MAX,
            state: Some(text()),
            completed_at: at,
            ..RunResult::default()
        };
        world.send_record("results", 0, &result).await;
        // A second one of the run.
        let second = RunResult {
            src: "elsewhere\0".to_owned(),
            ..result
        };
        world.send_record("results", 0, &second).await;
        let audit = Audit {
            kind: text(),
            attempt_id: Some(text()),
            request_id: ids(),
            tenant: text(),
            src: text(),
            accepted_at: at,
            chain: Some(text()),
            step: text(),
            provider: text(),
            model: text(),
            route_reason: text(),
            outcome: text(),
            usage: usage(),
            prompt: Some(text()),
            response: Some(text()),
            prompt_sha256: text(),
            response_sha256: text(),
            trace_id: Some(text()),
            started_at: at,
            ..Audit::default()
        };
        world.send_record("audit", 0, &audit).await;
        let attempt = Attempt {
            attempt_id: text(),
            phase: text(),
            request_id: ids(),
            tenant: text(),
            src: text(),
            accepted_at: at,
            chain: Some(text()),
            step: text(),
            provider: text(),
            model: text(),
            route_reason: text(),
            usage: usage(),
            trace_id: Some(text()),
            at,
            ..Attempt::default()
        };
        world.send_record("attempts", 0, &attempt).await;
        let letter = DeadLetter {
            request_id: ids(),
            tenant: text(),
            accepted_at: at,
            topic: text(),
            offset: i64::try_from(number).unwrap(),
            class: text(),
            message: text(),
            chain: Some(text()),
            failed_at: at,
            headers: vec![RawHeader::new(b"\xff", None), RawHeader::new(b"a\0", None)],
            left_out: vec![LeftOut {
                part: text(),
                bytes: i64::MAX,
                sha256: text(),
            }],
            ..DeadLetter::default()
        };
        world.send_record("dead-letters", 0, &letter).await;
    }
    let good = world.send_record("results", 1, &result(1)).await;
    assert_eq!(good.1, 0);

    let recorder = world.recorder(RecorderSettings::default());
    for table in ["duplicate_results", "attempts", "audit", "dead_letters"] {
        world
            .until_count(&format!("{table} WHERE mended @> '{{tenant,chain,accepted_at}}'"), 4)
            .await;
    }
    world
        .until_count("runs WHERE mended @> '{result_src,completed_at,error_message}'", 4)
        .await;
    world
        .until_count(
            "runs WHERE mended @> '{key,input,deadline,created_at}' AND encode(key_bytes, 'hex') = 'ff006b6579'",
            4,
        )
        .await;
    world
        .until_count("runs WHERE request_id = 'run-1' AND mended IS NULL", 1)
        .await;
    assert_eq!(world.count("quarantine").await, 0);
    let letters = r#"dead_letters WHERE json_or_null(left_out)->0->>'bytes' = '9223372036854775807'
        AND headers LIKE '[{"name":"_","value":null,"name_bytes":"/w=="},{"name":"a\\u0000","value":null}]'"#;
    assert_eq!(world.count(letters).await, 4);
    // A run that is no run waits for ever under the day that its letters have, too.
    let together = "dead_letters JOIN audit USING (tenant, request_id, accepted_at) JOIN attempts USING (tenant, request_id, accepted_at)
        JOIN runs USING (tenant, request_id, accepted_at)";
    assert_eq!(world.count(together).await, 4);
    // What is no JSON, or holds NUL, breaks no question.
    assert_eq!(world.count("runs WHERE json_or_null(input) IS NOT NULL").await, 0);
    assert_eq!(world.count("runs WHERE json_or_null(metadata) IS NOT NULL").await, 4);
    recorder.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cast_of_what_somebody_sent_fails_no_query() {
    let world = world("recorder-cast").await;
    let mut recorder = world.recorder(RecorderSettings::default());
    recorder.until_ready().await;
    recorder.stop().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let casts = [
        (r#"{"a":"b"}"#, Some(r#"{"a": "b"}"#)),
        ("7", Some("7")),
        (r#""\u0000\u0000""#, Some("\"\u{fffd}\u{fffd}\"")),
        (
            r#"{"\u0000": "\\u0000 \\\u0000"}"#,
            Some("{\"\u{fffd}\": \"\\\\u0000 \\\\\u{fffd}\"}"),
        ),
        (r#""\ud800 \uDBFFa \udc00""#, Some("\"\u{fffd} \u{fffd}a \u{fffd}\"")),
        (
            r#""\u0000 \ud83d\ude00 \ud83d\ud83d\ude00\ude00""#,
            Some("\"\u{fffd} \u{1f600} \u{fffd}\u{1f600}\u{fffd}\""),
        ),
        (r#""\\ud800 \u0000""#, Some("\"\\\\ud800 \u{fffd}\"")),
        ("\u{1}", None),
        ("", None),
        ("no", None),
        (r#""\u000""#, None),
        ("1e1000000", None),
        (&deep, None),
    ];
    for (text, expected) in casts {
        let cast = sqlx::query_scalar::<_, Option<String>>("SELECT json_or_null($1)::text");
        let cast = cast.bind(text).fetch_one(&world.pool).await.unwrap();
        assert_eq!(cast.as_deref(), expected, "{}", &text[..text.len().min(80)]);
    }
}

/// The resume lies in the first partition, and its run in the other one.
#[tokio::test(flavor = "multi_thread")]
async fn a_resume_that_is_recorded_first_leaves_the_run_its_day_and_runs_are_found_by_key() {
    let world = world("recorder-resume").await;
    let asked = Timestamp::now().plus_micros(-3 * 86_400_000_000);
    let state = serde_json::json!({"format": 2, "accepted_at": asked, "of a later version": {}});
    let resume = Request {
        request_id: Some("run-1".to_owned()),
        kind: request_kind::RESUME.to_owned(),
        turn: 1,
        state: Some(state.to_string()),
        ..request()
    };
    world.send_record("requests", 0, &resume).await;
    let recorder = world.recorder(RecorderSettings::default());
    world.until_count("runs WHERE turn = 1", 1).await;
    let first = Request {
        request_id: Some("run-1".to_owned()),
        ..request()
    };
    let value = world.encoder::<Request>("requests").await.encode(&first).unwrap();
    let output = Output {
        key: Some("customer-7".into()),
        ..world.output("requests", 1, value)
    };
    world.commit(vec![output]).await;
    world
        .send_record(
            "results",
            1,
            &RunResult {
                accepted_at: asked,
                ..result(1)
            },
        )
        .await;

    world
        .until_count(
            "runs WHERE turn = 0 AND status = 'completed' AND request_src IS NOT NULL",
            1,
        )
        .await;
    let days = format!(
        "runs WHERE (extract(epoch FROM accepted_at) * 1000000)::bigint = {}",
        asked.0
    );
    assert_eq!(world.count(&days).await, 2);
    assert_eq!(
        world
            .count("runs WHERE tenant = 'acme' AND key = 'customer-7' AND key_bytes IS NULL")
            .await,
        1
    );
    assert_eq!(
        world
            .count("chain_days WHERE chain_name = 'answer' AND chain_version = '1'")
            .await,
        1
    );
    recorder.stop().await;
}
