//! The last line: what the driver knows, what the judge found, and whether that is enough.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{BufWriter, Write},
};

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use testkit::{
    Usage,
    chaos::{RunFolder, Summary, check::evidence::ModelCall, schedule::CRASH_POINTS},
    scripted::{Call, Outcome},
};

use crate::{Arguments, PROFILE, judge::judge, takeover, world::World};

/// Several sessions that follow each other, a transaction's timeout and then some: who is kept waiting for longer is kept
/// by nobody's death.
const HANGS: f64 = 45.0;

pub struct Report {
    line: Map<String, Value>,
    /// Why it failed.
    pub complaints: Vec<String>,
}

impl Report {
    pub fn holds(&self) -> bool {
        self.complaints.is_empty()
    }

    pub fn json(&self) -> Value {
        Value::Object(self.line.clone())
    }
}

/// What only the driver knows; for the judge it is written into the folder.
pub fn summary(world: &World) -> anyhow::Result<Summary> {
    let calls = world.model.calls();
    let mut bodies: HashMap<(&str, u64), u64> = HashMap::new();
    for call in &calls {
        let is_provider = call.to_fail && call.outcome != Outcome::Running;
        *bodies.entry((&call.request_id, call.body)).or_default() += u64::from(!is_provider);
    }
    write_down(&calls, &world.folder)?;
    let counts = world.log.counts();
    let mut crash_points: BTreeMap<String, u64> =
        CRASH_POINTS.iter().map(|(name, _)| ((*name).to_owned(), 0)).collect();
    crash_points.extend(counts.crash_points);
    let summary = Summary {
        model_calls: calls.len() as u64,
        model_calls_repeated: bodies.values().map(|count| count.saturating_sub(1)).sum(),
        crash_points,
        longest_reader_stall_s: world.board.longest_stall().as_secs_f64(),
        longest_held_reader_s: world.board.longest_held().as_secs_f64(),
        longest_takeover_s: takeover::longest(world)?.as_secs_f64(),
    };
    let megabytes = Usage::of(std::process::id()).map(|usage| usage.resident_bytes / 1_000_000);
    tracing::info!(calls = calls.len(), ?megabytes, "the driver is done");
    let path = world.folder.summary();
    let text = serde_json::to_string_pretty(&summary)?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(summary)
}

/// For the judge: who got a call knows of it, whatever became of whoever made it.
fn write_down(calls: &[Call], folder: &RunFolder) -> anyhow::Result<()> {
    let path = folder.calls();
    let mut file = File::create(&path)
        .map(BufWriter::new)
        .with_context(|| format!("cannot create {}", path.display()))?;
    for call in calls {
        let came = ModelCall {
            at: call.started_at,
            request_id: call.request_id.clone(),
            door: call.door.clone(),
        };
        writeln!(file, "{}", serde_json::to_string(&came)?)?;
    }
    file.flush().with_context(|| format!("cannot write {}", path.display()))
}

/// The parts are still up.
pub async fn judged(
    world: &World,
    arguments: &Arguments,
    seed: u64,
    seconds: u64,
    summary: Summary,
    unresolved: u64,
) -> anyhow::Result<Report> {
    let found = judge(&world.judge, &world.folder).await?;
    let counts = world.log.counts();
    let mut complaints = Vec::new();
    let number = |name: &str| found[name].as_u64().unwrap_or_default();
    let violations = found["violations_total"].as_u64().unwrap_or(u64::MAX);
    if violations > 0 {
        complaints.push(format!("{violations} violations"));
    }
    let wanted = arguments.rate * arguments.seconds / 2;
    if number("requests") < wanted {
        complaints.push(format!("only {} requests, less than {wanted}", number("requests")));
    }
    if number("http_calls") < arguments.seconds {
        complaints.push(format!(
            "only {} calls over HTTP, less than one a second",
            number("http_calls")
        ));
    }
    for (name, hits) in &summary.crash_points {
        if *hits == 0 {
            complaints.push(format!("nobody died at {name}"));
        }
    }
    let second = found["tenants"].as_object().map_or(0, Map::len) > 1;
    for (what, count) in [
        ("hostile records", number("hostile")),
        ("records in topics of owners", number("emitted")),
        ("decisions", number("decided")),
        ("results in the feed", number("fed")),
        ("results of a second tenant", second.into()),
    ] {
        if count == 0 {
            complaints.push(format!("there were no {what}"));
        }
    }
    if number("kills_with_map") == 0 {
        complaints.push("no kill left a map behind".to_owned());
    }
    for (what, took) in [
        (
            "readers of a partition of the results waited for an open transaction",
            summary.longest_held_reader_s,
        ),
        (
            "the partitions of a dead worker stood still",
            summary.longest_takeover_s,
        ),
    ] {
        if took > HANGS {
            complaints.push(format!("{what} for {took:.1} s, longer than {HANGS} s"));
        }
    }
    let cut_off = number("attempts_cut_off");
    if cut_off != unresolved {
        complaints.push(format!(
            "`millrace audit unresolved` lists {unresolved} calls, and {cut_off} were cut off by a death"
        ));
    }
    if !counts.ended_by_themselves.is_empty() {
        complaints.push(format!(
            "ended by themselves: {}",
            counts.ended_by_themselves.join(", ")
        ));
    }
    let verdict = if complaints.is_empty() { "ok" } else { "failed" };
    let mut line = json!({
        "seconds": seconds,
        "seed": seed,
        "rate": arguments.rate,
        "brokers": arguments.brokers,
        "profile": PROFILE,
        "predecessor": arguments.predecessor,
        "requests": number("requests"),
        "results": number("results"),
        "dead_letters": number("dead_letters"),
        "hostile": number("hostile"),
        "tenants": found["tenants"],
        "emitted": number("emitted"),
        "decided": number("decided"),
        "fed": number("fed"),
        "deleted": number("deleted"),
        "lost": number("lost"),
        "duplicates": number("duplicates"),
        "order_inversions": number("order_inversions"),
        "audit_missing": number("audit_missing"),
        "torn_requests": number("torn_requests"),
        "http_calls": number("http_calls"),
        "http_answered": number("http_answered"),
        "postgres_mismatches": number("postgres_mismatches"),
        "model_calls": summary.model_calls,
        "model_calls_repeated": summary.model_calls_repeated,
        "in_flight_at_kills": counts.in_flight_at_kills,
        "kills_with_map": number("kills_with_map"),
        "attempts_cut_off": cut_off,
        "faults": counts.by_kind,
        "crash_points": summary.crash_points,
        "longest_reader_stall_s": rounded(summary.longest_reader_stall_s),
        "longest_held_reader_s": rounded(summary.longest_held_reader_s),
        "longest_takeover_s": rounded(summary.longest_takeover_s),
        "violations": violations,
    });
    if !complaints.is_empty() {
        line["complaints"] = json!(complaints);
        line["folder"] = json!(world.folder.path());
    }
    line["verdict"] = json!(verdict);
    match line {
        Value::Object(line) => Ok(Report { line, complaints }),
        _ => bail!("the report is no object"),
    }
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}
