//! Five hundred browsers on one instance: each sees every result, and it costs little. Prints what it costs; a longer run
//! in release: `READERS=500 SECONDS=20 cargo test --release -p api --test it crowd -- --nocapture`.

use std::{
    env, fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use testkit::until;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::stage::{Stage, Start};

/// Results per second.
const RATE: usize = 200;
/// Ticks of /proc per second, on every Linux.
const TICKS: f64 = 100.0;

fn asked(name: &str, default: usize) -> usize {
    env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_readers_cost_little_more_than_one() {
    let (readers, seconds) = (asked("READERS", 500), asked("SECONDS", 2));
    let stage = Stage::set("api-crowd").await;
    let api = stage.start(Start::default()).await;
    let begun = memory_kib();
    let crowd = Crowd::come(api.address, readers);
    until(Duration::from_secs(60), async || {
        (crowd.ready() == readers).then_some(())
    })
    .await
    .expect("not all readers were let in");
    let (with_readers, cpu, readers_cpu) = (memory_kib(), process_ticks(), crowd.ticks());

    let results = RATE * seconds;
    let started = Instant::now();
    let mut beat = tokio::time::interval(Duration::from_millis(50));
    for batch in 0..results / 10 {
        beat.tick().await;
        let ids = (0..10).map(|number| format!("run-{batch:05}-{number}"));
        stage.commit(ids.map(|id| (None, Stage::result_of(&id)))).await;
    }
    let committed = started.elapsed();
    until(Duration::from_secs(60), async || {
        (crowd.results() == results * readers).then_some(())
    })
    .await
    .unwrap_or_else(|_| panic!("{} of {} events came", crowd.results(), results * readers));
    let took = started.elapsed();

    let own = (process_ticks() - cpu - (crowd.ticks() - readers_cpu)) / TICKS;
    println!(
        "{readers} readers, {results} results in {committed:.1?}: {} events, the last {:.0?} after the last commit; api, brokers' \
         client and writer together {own:.2} s of CPU ({:.0} % of a core, {:.1} µs an event); {} KiB per reader when idle, \
         {} KiB more under load",
        crowd.results(),
        took - committed,
        own / took.as_secs_f64() * 100.0,
        own * 1e6 / crowd.results() as f64,
        (with_readers.saturating_sub(begun)) / readers,
        memory_kib().saturating_sub(with_readers),
    );
    assert!(
        memory_kib().saturating_sub(with_readers) < 64 * 1024,
        "what is not taken must not pile up"
    );
    drop(crowd);
    api.stop().await;
}

/// Readers in a thread of their own, so that their cost can be told apart. They leave with it.
struct Crowd {
    ready: Arc<AtomicUsize>,
    results: Arc<AtomicUsize>,
    thread_id: String,
    _leave: tokio::sync::oneshot::Sender<()>,
}

impl Crowd {
    fn come(address: SocketAddr, readers: usize) -> Self {
        let (leave, left) = tokio::sync::oneshot::channel::<()>();
        let (ready, results) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (is_ready, counted) = (Arc::clone(&ready), Arc::clone(&results));
        let (sender, receiver) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let me = fs::read_link("/proc/thread-self").unwrap();
            sender
                .send(me.file_name().unwrap().to_string_lossy().into_owned())
                .unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let mut crowd = JoinSet::new();
                for _ in 0..readers {
                    crowd.spawn(read(address, Arc::clone(&is_ready), Arc::clone(&counted)));
                }
                let _ = left.await;
            });
        });
        Self {
            ready,
            results,
            thread_id: receiver.recv().unwrap(),
            _leave: leave,
        }
    }

    fn ready(&self) -> usize {
        self.ready.load(Ordering::Relaxed)
    }

    fn results(&self) -> usize {
        self.results.load(Ordering::Relaxed)
    }

    fn ticks(&self) -> f64 {
        ticks(&format!("/proc/self/task/{}/stat", self.thread_id))
    }
}

/// Counts without looking at what it counts: an empty line ends each event.
async fn read(address: SocketAddr, ready: Arc<AtomicUsize>, results: Arc<AtomicUsize>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /feed HTTP/1.0\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut buffer = vec![0; 4 * 1024];
    let (mut last, mut events) = (0, 0);
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        if read == 0 {
            return;
        }
        for byte in &buffer[..read] {
            if (last, *byte) == (b'\n', b'\n') {
                events += 1;
                let counter = if events == 1 { &ready } else { &results };
                counter.fetch_add(1, Ordering::Relaxed);
            }
            last = *byte;
        }
    }
}

fn process_ticks() -> f64 {
    ticks("/proc/self/stat")
}

/// User and system time.
fn ticks(path: &str) -> f64 {
    let text = fs::read_to_string(path).unwrap();
    let after_name = text.rsplit_once(") ").unwrap().1;
    let fields: Vec<&str> = after_name.split(' ').collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum()
}

fn memory_kib() -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
