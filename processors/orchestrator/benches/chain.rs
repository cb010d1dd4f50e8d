//! What a chain costs around its calls: `make bench SCENARIO=chain`. One JSON object a line, as the other scenarios print.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking, and prints what it measured"
)]

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use models::{LimitWait, Models};
use orchestrator::{Chain, Context, Others, Resources, Verdict};
use schemas::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const ROUNDS: usize = 7;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        steps().await;
        lint();
        branches().await;
        deadlines().await;
    });
}

/// A chain of eight steps that render a text of 1 KB and call nothing.
async fn steps() {
    const STEPS: usize = 8;
    const RUNS: usize = 2_000;
    let step = |n: usize| {
        let text = match n {
            0 => "<{{ input.question }}>".to_owned(),
            n => format!("<{{{{ steps.s{}.text }}}}>", n - 1),
        };
        json!({"id": format!("s{n}"), "transform": {"text": text, "model": "none"}})
    };
    let question = "x".repeat(1_000);
    let made = format!("{}{question}{}", "<".repeat(STEPS), ">".repeat(STEPS));
    let trial = json!({"name": "t", "input": {"question": question}, "expect": {"output": made}});
    let steps: Vec<Value> = (0..STEPS).map(step).collect();
    let chain = chain(&json!(steps), "{{ steps.s7.text }}", &json!([trial]));
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..RUNS {
            let verdict = chain
                .try_out(&chain.trials()[0], &context(Duration::from_secs(60)))
                .await;
            assert_eq!(verdict, Verdict::Passed);
        }
        rounds.push(began.elapsed().as_secs_f64() * 1e6 / (RUNS * STEPS) as f64);
    }
    print("one of eight steps that render 1 KB", median(rounds), "µs", Some(20.0));
}

/// The chains that ship, as often as makes two hundred files.
fn lint() {
    const FILES: usize = 200;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../chains");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sources: Vec<String> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let resources = resources();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for source in sources.iter().cycle().take(FILES) {
            // Some name an index, which is not there: they are read to the end all the same.
            let _ = Chain::read(source, "bench.yaml", &resources);
        }
        rounds.push(began.elapsed().as_secs_f64() * 1e3);
    }
    print("checking 200 files", median(rounds), "ms", Some(1_000.0));
}

/// A thousand items and a thousand branches, all at once.
async fn branches() {
    const MANY: usize = 1_000;
    let each = json!([{"id": "made", "transform": {"text": "{{ n }}", "twice": "{{ n * 2 }}"}}]);
    let map = json!([{"id": "all", "map": {
        "over": "{{ input.question }}", "as": "n", "max_items": MANY, "max_concurrency": MANY, "steps": each}}]);
    let branch = |n: usize| (format!("b{n}"), json!([{"id": "made", "transform": n}]));
    let branches: serde_json::Map<String, Value> = (0..MANY).map(branch).collect();
    let parallel = json!([{"id": "all", "parallel": {"branches": branches}}]);
    for (what, steps, input) in [
        (
            "a map of 1,000 items at once",
            map,
            json!((0..MANY).collect::<Vec<_>>()),
        ),
        ("1,000 branches at once", parallel, json!(1)),
    ] {
        let trial = json!({"name": "t", "input": {"question": input}, "expect": {"output": 1}});
        let chain = chain(&steps, "1", &json!([trial]));
        let before = resident();
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            chain
                .try_out(&chain.trials()[0], &context(Duration::from_secs(60)))
                .await;
            rounds.push(began.elapsed().as_secs_f64() * 1e3);
        }
        print(what, median(rounds), "ms", None);
        print(
            &format!("{what}, memory it left behind"),
            resident() - before,
            "MB",
            Some(16.0),
        );
    }
}

/// How long after its deadline a run ends that is busy with something long.
async fn deadlines() {
    const DEADLINE: Duration = Duration::from_millis(5);
    let long = "{% for a in range(100000) %}{% for b in range(100000) %}{{ a * b }}{% endfor %}{% endfor %}";
    let nested = json!([{"id": "inner", "transform": "{% for a in range(2000) %}{{ a }}{% endfor %}"}]);
    for (what, steps) in [
        (
            "a template that would never end",
            json!([{"id": "long", "transform": long}]),
        ),
        (
            "a loop that would never end",
            json!([{"id": "long", "loop": {"max": 1_000_000, "until": false, "steps": nested}}]),
        ),
        (
            "a map that takes long",
            json!([{"id": "long", "map": {
                "over": "{{ range(100000) | list }}", "as": "n", "max_items": 100_000, "steps": nested}}]),
        ),
    ] {
        let trial = json!({"name": "t", "input": {"question": 1}, "expect": {"error": "deadline_exceeded"}});
        let chain = chain(&steps, "1", &json!([trial]));
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            chain.try_out(&chain.trials()[0], &context(DEADLINE)).await;
            rounds.push((began.elapsed().saturating_sub(DEADLINE)).as_secs_f64() * 1e3);
        }
        print(&format!("{what}, past its deadline"), median(rounds), "ms", Some(50.0));
    }
}

fn chain(steps: &Value, output: &str, tests: &Value) -> Chain {
    let document = json!({
        "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "bench", "version": 1},
        "input": {"schema": {}}, "steps": steps, "output": {"value": output}, "tests": tests});
    Chain::read(&document.to_string(), "bench.yaml", &resources()).unwrap()
}

fn resources() -> Resources {
    Resources {
        models: Arc::new(Models::load(models::DEFAULT_FILE, "models.yaml").unwrap()),
        indexes: Vec::new(),
        chains: Others::default(),
        hash_key: None,
    }
}

fn context(deadline: Duration) -> Context {
    Context {
        request_id: "r-1".to_owned(),
        tenant: "acme".to_owned(),
        src: String::new(),
        accepted_at: Timestamp::now(),
        turn: 0,
        trace_id: None,
        deadline: tokio::time::Instant::now() + deadline,
        cancelled: CancellationToken::new(),
        limit_wait: LimitWait::default(),
    }
}

/// In MB.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok());
    kilobytes.unwrap_or_default() / 1e3
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

fn print(metric: &str, value: f64, unit: &str, most: Option<f64>) {
    let value = (value * 100.0).round() / 100.0;
    let met = most.map(|most| value <= most);
    println!(
        "{}",
        json!({"scenario": "chain", "metric": metric, "value": value, "unit": unit, "goal": most, "met": met})
    );
}
