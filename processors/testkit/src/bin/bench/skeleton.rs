//! The least that answers records with model calls: raw clients, one pooled HTTP client, and a transaction for whatever is
//! ready. It keeps no order, no ledger and no books: what Millrace adds is measured against it.
//!
//! It runs as a process of its own, as Millrace does: this program once more, with an errand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use rdkafka::message::Message;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use testkit::Launch;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::calls::Case;
use crate::kafka::{Bench, River};
use crate::meter::{Measured, Meter};
use crate::transaction::Transactions;

/// It begins anew at its end.
const RECORDS: usize = 100_000;
/// After a commit: the coordinator still writes markers.
const GAP: Duration = Duration::from_millis(1);
const ANSWER: &str = "measured ";
const START: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize)]
pub struct Errand {
    bootstrap: String,
    input: String,
    output: String,
    url: String,
    in_flight: usize,
    warm_up: Duration,
    measured: Duration,
}

/// Starts the process and waits for what it measured of itself.
pub async fn run(bench: &Bench, case: Case, url: &str) -> anyhow::Result<Measured> {
    let run = uuid::Uuid::new_v4();
    let errand = Errand {
        bootstrap: bench.parts.bootstrap.clone(),
        input: format!("skeleton-input-{run}"),
        output: format!("skeleton-output-{run}"),
        url: format!("{url}/chat/completions"),
        in_flight: case.in_flight,
        warm_up: case.warm_up(),
        measured: case.measured(bench),
    };
    let (setup, input, output) = (bench.clone(), errand.input.clone(), errand.output.clone());
    tokio::task::spawn_blocking(move || {
        setup.load(&input, RECORDS)?;
        setup.create(&output)
    })
    .await??;
    let folder = tempfile::tempdir()?;
    let program = std::env::current_exe()?;
    let launch = Launch::new("skeleton", program, folder.path().join("skeleton.log"));
    let mut process = launch.args(["--skeleton", &serde_json::to_string(&errand)?]).start()?;
    let within = errand.warm_up + errand.measured + START;
    let line = process.line(ANSWER, within).await?;
    process.kill()?;
    for topic in [errand.input, errand.output] {
        let setup = bench.clone();
        tokio::task::spawn_blocking(move || setup.delete(&topic)).await??;
    }
    let answer = line.split_once(ANSWER).context("the skeleton said nothing")?.1;
    Ok(serde_json::from_str(answer)?)
}

/// An answered call, and the record it was for.
struct Answered {
    key: Option<Vec<u8>>,
    value: Vec<u8>,
    from: (i32, i64),
    _slot: OwnedSemaphorePermit,
}

/// In the process of its own.
pub async fn serve(errand: Errand) -> anyhow::Result<()> {
    raise_file_limit();
    let bench = Bench::client_of(&errand.bootstrap);
    let committed = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let (answered, answers) = channel();
    let http = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(errand.in_flight)
        .build()?;
    let call = Call {
        http,
        url: errand.url,
        answered,
    };
    let (river, transactions) = tokio::task::spawn_blocking(move || {
        let river = River::open(&bench, &errand.input, RECORDS)?;
        let transactions = Transactions::new(&bench, &river.consumer, &errand.input, &errand.output)?;
        anyhow::Ok((river, transactions))
    })
    .await??;
    let (runtime, stopped) = (Handle::current(), Arc::clone(&stop));
    let slots = Arc::new(Semaphore::new(errand.in_flight));
    let reader = thread::spawn(move || read(&river, &call, &slots, &runtime, &stopped));
    let counted = Arc::clone(&committed);
    let committer = thread::spawn(move || commit(transactions, &answers, &counted));

    tokio::time::sleep(errand.warm_up).await;
    let (meter, before) = (Meter::of_this_process()?, committed.load(Ordering::Relaxed));
    tokio::time::sleep(errand.measured).await;
    let measured = meter.read(committed.load(Ordering::Relaxed) - before)?;
    stop.store(true, Ordering::Relaxed);
    let ended = tokio::task::spawn_blocking(move || (reader.join(), committer.join())).await?;
    for ended in [ended.0, ended.1] {
        ended.map_err(|_| anyhow::anyhow!("a thread of the skeleton panicked"))??;
    }
    println!("{ANSWER}{}", serde_json::to_string(&measured)?);
    Ok(())
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
