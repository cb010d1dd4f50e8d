//! The least that answers records with model calls: raw clients, one pooled HTTP client, and a transaction for whatever is
//! ready. It keeps no order, no ledger and no books: what Millrace adds is measured against it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rdkafka::message::Message;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::calls::{Case, Measured, Meter};
use crate::kafka::{Bench, River};
use crate::transaction::Transactions;

const INPUT: &str = "calls-input";
/// After a commit: the coordinator still writes markers.
const GAP: Duration = Duration::from_millis(1);

/// A call that came back, and the record it was for.
struct Answered {
    key: Option<Vec<u8>>,
    value: Vec<u8>,
    from: (i32, i64),
    _slot: OwnedSemaphorePermit,
}

pub async fn run(bench: &Bench, case: Case, url: &str, records: usize) -> anyhow::Result<Measured> {
    raise_file_limit();
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
        setup.load(INPUT, records)?;
        setup.create(&output)?;
        let river = River::open(&setup, INPUT, records)?;
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

    tokio::time::sleep(case.warm_up()).await;
    let (meter, before) = (Meter::start(std::process::id())?, committed.load(Ordering::Relaxed));
    tokio::time::sleep(case.measured(bench)).await;
    let measured = meter.read(committed.load(Ordering::Relaxed) - before)?;
    stop.store(true, Ordering::Relaxed);
    let ended = tokio::task::spawn_blocking(move || (reader.join(), committer.join())).await?;
    for ended in [ended.0, ended.1] {
        ended.map_err(|_| anyhow::anyhow!("a thread of the skeleton panicked"))??;
    }
    bench.delete(INPUT)?;
    bench.delete(&to)?;
    Ok(measured)
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
