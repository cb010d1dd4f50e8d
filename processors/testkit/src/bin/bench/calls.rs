//! Model calls over HTTP by a skeleton: raw clients, one pooled HTTP client, and a transaction for whatever is ready. It
//! keeps no order, no ledger and no books: what Millrace adds is measured against it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::message::Message;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use testkit::{Latency, Launch, Process, Script, Usage, binary};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::figure::{Figure, Wanted};
use crate::kafka::{Bench, River};
use crate::transaction::Transactions;

const INPUT: &str = "calls-input";
const RECORDS: usize = 100_000;
/// After a commit: the coordinator still writes markers.
const GAP: Duration = Duration::from_millis(1);

#[derive(Clone, Copy)]
struct Case {
    call_ms: u64,
    in_flight: u32,
    /// Calls a second, microseconds of CPU per call, megabytes resident: measured on 2 cores, Kafka 4.1.
    reference: [f64; 3],
}

const CASES: [Case; 3] = [
    Case {
        call_ms: 60,
        in_flight: 1_024,
        reference: [9_950.0, 85.0, 105.0],
    },
    Case {
        call_ms: 1_000,
        in_flight: 1_000,
        reference: [983.0, 133.0, 75.0],
    },
    Case {
        call_ms: 1_000,
        in_flight: 10_000,
        reference: [6_400.0, 129.0, 380.0],
    },
];

/// A call that came back, and the record it was for.
struct Answered {
    key: Option<Vec<u8>>,
    value: Vec<u8>,
    from: (i32, i64),
    _slot: OwnedSemaphorePermit,
}

pub async fn run(bench: &Bench) -> anyhow::Result<()> {
    raise_file_limit();
    let loading = bench.clone();
    tokio::task::spawn_blocking(move || loading.load(INPUT, RECORDS)).await??;
    for case in CASES {
        let folder = tempfile::tempdir()?;
        let (_model, url) = model(folder.path(), case.call_ms).await?;
        let [rate, cpu, memory] = skeleton(bench, case, &url).await?;
        let name = format!("skeleton, {} ms calls, {} in flight", case.call_ms, case.in_flight);
        let [rate_reference, cpu_reference, memory_reference] = case.reference;
        let alone = (1.0, 1.0);
        Figure::new("calls", &name, rate, "calls/s")
            .against(rate_reference, alone, Wanted::AtLeast(0.8))
            .print()?;
        let cpu_figure = Figure::new("calls", format!("{name}, CPU"), cpu, "µs/call");
        cpu_figure.against(cpu_reference, alone, Wanted::AtMost(1.2)).print()?;
        let memory_figure = Figure::new("calls", format!("{name}, resident"), memory, "MB");
        memory_figure
            .against(memory_reference, alone, Wanted::AtMost(1.2))
            .print()?;
    }
    bench.delete(INPUT)
}

/// The scripted model in a process of its own, so that its CPU and memory are not counted as the skeleton's.
async fn model(folder: &std::path::Path, call_ms: u64) -> anyhow::Result<(Process, String)> {
    let script = Script {
        list_calls: false,
        ..Script::after(Latency::Fixed { ms: call_ms })
    };
    let path = folder.join("script.yaml");
    std::fs::write(&path, serde_yaml_ng::to_string(&script)?)?;
    let program = tokio::task::spawn_blocking(|| binary("scripted-model")).await??;
    let launch = Launch::new("scripted-model", program, folder.join("model.log"));
    let mut model = launch.args(["--script".as_ref(), path.as_os_str()]).start()?;
    let line = model.line("listening on ", Duration::from_secs(10)).await?;
    let url = line.trim_start_matches("listening on ").to_owned();
    Ok((model, url))
}

/// Calls a second, CPU microseconds per call, megabytes resident.
async fn skeleton(bench: &Bench, case: Case, url: &str) -> anyhow::Result<[f64; 3]> {
    let to = format!("calls-output-{}", uuid::Uuid::new_v4());
    let (stop, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (answered, answers) = channel();
    let http = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(usize::try_from(case.in_flight)?)
        .build()?;
    let call = Call {
        http,
        url: format!("{url}/chat/completions"),
        answered,
    };

    let (setup, output) = (bench.clone(), to.clone());
    let (river, transactions) = tokio::task::spawn_blocking(move || {
        setup.create(&output)?;
        let river = River::open(&setup, INPUT, RECORDS)?;
        let transactions = Transactions::new(&setup, &river.consumer, INPUT, &output)?;
        anyhow::Ok((river, transactions))
    })
    .await??;
    let (runtime, stopped) = (Handle::current(), Arc::clone(&stop));
    let reader = thread::spawn(move || {
        read(
            &river,
            &call,
            &Arc::new(Semaphore::new(case.in_flight as usize)),
            &runtime,
            &stopped,
        )
    });
    let counted = Arc::clone(&committed);
    let committer = thread::spawn(move || commit(transactions, &answers, &counted));

    let warm_up = Duration::from_secs(2) + Duration::from_millis(2 * case.call_ms);
    tokio::time::sleep(warm_up).await;
    let usage = || Usage::of(std::process::id()).context("there is no /proc here to read CPU and memory from");
    let (before, count, start) = (usage()?, committed.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(bench.measurement * 3).await;
    let (after, calls) = (usage()?, committed.load(Ordering::Relaxed) - count);
    let elapsed = start.elapsed();
    stop.store(true, Ordering::Relaxed);
    let ended = tokio::task::spawn_blocking(move || (reader.join(), committer.join())).await?;
    for ended in [ended.0, ended.1] {
        ended.map_err(|_| anyhow::anyhow!("a thread of the skeleton panicked"))??;
    }
    bench.delete(&to)?;
    let calls = calls as f64;
    let cpu = (after.cpu - before.cpu).as_secs_f64();
    Ok([
        calls / elapsed.as_secs_f64(),
        cpu * 1e6 / calls.max(1.0),
        after.resident_bytes as f64 / 1e6,
    ])
}

#[derive(Clone)]
struct Call {
    http: reqwest::Client,
    url: String,
    answered: Sender<Answered>,
}

fn read(river: &River, call: &Call, slots: &Arc<Semaphore>, runtime: &Handle, stop: &AtomicBool) -> anyhow::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let slot = runtime.block_on(Arc::clone(slots).acquire_owned())?;
        let (key, text, from) = river.next(|message| {
            let text = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
            Ok((
                message.key().map(<[u8]>::to_vec),
                text,
                (message.partition(), message.offset()),
            ))
        })?;
        runtime.spawn(call.clone().send(key, text, from, slot));
    }
    Ok(())
}

impl Call {
    async fn send(self, key: Option<Vec<u8>>, text: String, from: (i32, i64), slot: OwnedSemaphorePermit) {
        let id = format!("{}-{}", from.0, from.1);
        let body = json!({ "model": "m", "messages": [{ "role": "user", "content": text }] });
        let outcome = async {
            let response = self
                .http
                .post(&self.url)
                .header("x-request-id", id)
                .json(&body)
                .send()
                .await?;
            let answer: Value = response.error_for_status()?.json().await?;
            Ok::<_, reqwest::Error>(
                answer["choices"][0]["message"]["content"]
                    .as_str()
                    .unwrap_or_default()
                    .into(),
            )
        };
        match outcome.await {
            // the committer is gone at the end only
            Ok(value) => drop(self.answered.send(Answered {
                key,
                value,
                from,
                _slot: slot,
            })),
            Err(error) => tracing::warn!(%error, "a call failed; its record is not counted"),
        }
    }
}

fn commit(mut transactions: Transactions, answers: &Receiver<Answered>, committed: &AtomicU64) -> anyhow::Result<()> {
    while let Ok(first) = answers.recv() {
        let mut count = 0;
        transactions.begin()?;
        for answer in std::iter::once(first).chain(answers.try_iter()) {
            transactions.produce(answer.key.as_deref(), &answer.value, answer.from)?;
            count += 1;
        }
        transactions.commit()?;
        committed.fetch_add(count, Ordering::Relaxed);
        thread::park_timeout(GAP);
    }
    Ok(())
}

/// Ten thousand calls in flight are ten thousand connections.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // a lower limit shows itself as failed calls
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    );
}
