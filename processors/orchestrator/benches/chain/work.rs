//! What steps, branches and checks cost.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use models::{Caller, Unrecorded};
use orchestrator::{Chain, Services};
use retrieval::{Pinecone, PineconeSettings};
use serde_json::{Value, json};

use crate::{
    ROUNDS, median,
    stage::{self, chain, context, print, resources},
};

pub async fn steps() {
    let chain = stage::eight_steps();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        stage::run(&chain).await;
        rounds.push(began.elapsed().as_secs_f64() * 1e6 / stage::STEPS_RUN as f64);
    }
    print("one of eight steps that render 1 KB", median(rounds), "µs", Some(20.0));
}

/// Eight chats, each told 1 KB, with a model that answers at once with one sentence: checks, books and audit included.
pub async fn chats() {
    const STEPS: usize = 8;
    const RUNS: usize = 500;
    let step = |n: usize| {
        let before = n
            .checked_sub(1)
            .map_or_else(String::new, |n| format!("{{{{ steps.s{n}.text }}}}"));
        let told = format!("{{{{ input.question }}}} {before}");
        json!({"id": format!("s{n}"), "chat": {"model": "answer", "messages": [{"role": "user", "content": told}]}})
    };
    let steps: Vec<Value> = (0..STEPS).map(step).collect();
    let resources = resources();
    let chain = chain("chats", &json!(steps), "{{ steps.s7.text }}", &json!([]), &resources);
    let caller = Arc::new(Caller::new(Arc::clone(&resources.models), Arc::new(Unrecorded)).unwrap());
    let pinecone = Pinecone::new(&PineconeSettings::default()).unwrap();
    let services = Services::new(resources, caller, pinecone).unwrap();
    let accepted = chain.accept(json!({"question": "x".repeat(1_000)}), json!({})).unwrap();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..RUNS {
            let outcome = chain.run(&accepted, &context(Duration::from_secs(60)), &services).await;
            assert_eq!(outcome.bill.attempts.len(), STEPS);
        }
        rounds.push(began.elapsed().as_secs_f64() * 1e6 / (RUNS * STEPS) as f64);
    }
    print(
        "one of eight chats with a model that answers at once",
        median(rounds),
        "µs",
        Some(20.0),
    );
}

/// The chains that ship, as often as makes two hundred files.
pub fn lint() {
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
pub async fn branches() {
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
        let chain = chain("branches", &steps, "1", &json!([trial]), &resources());
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

/// In MB.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok());
    kilobytes.unwrap_or_default() / 1e3
}
