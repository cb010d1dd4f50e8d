//! A reader of the live feed, as a browser is one: the connection ends now and then, by itself or by what is broken, and it
//! comes back with the id of the last event.

use std::{fs::File, io::Write, sync::Arc, time::Duration};

use anyhow::Context;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;
use testkit::chaos::Fed;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::world::{World, now};

/// What a connection lasts at most.
const LASTS_MS: std::ops::Range<u64> = 500..8_000;
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
const CONNECTED_WITHIN: Duration = Duration::from_secs(60);

pub struct FeedReader {
    end: CancellationToken,
    reading: JoinHandle<anyhow::Result<()>>,
}

impl FeedReader {
    /// Returns when it is connected: it sees everything that commits from now on.
    pub async fn start(world: &Arc<World>, seed: u64) -> anyhow::Result<Self> {
        let path = world.folder.feed();
        let mut reader = Reader {
            world: Arc::clone(world),
            file: File::create(&path).with_context(|| format!("cannot create {}", path.display()))?,
            random: StdRng::seed_from_u64(seed.wrapping_add(3)),
            last_id: String::new(),
        };
        let began = Instant::now();
        while reader.last_id.is_empty() {
            anyhow::ensure!(began.elapsed() < CONNECTED_WITHIN, "the feed says nothing");
            reader.connection(|reader| !reader.last_id.is_empty()).await?;
        }
        let end = CancellationToken::new();
        let ended = end.clone();
        let reading = tokio::spawn(async move {
            while !ended.is_cancelled() {
                if !reader.connection(|_| ended.is_cancelled()).await? {
                    sleep(Duration::from_millis(200)).await;
                }
            }
            Ok(())
        });
        Ok(Self { end, reading })
    }

    pub async fn stop(self) -> anyhow::Result<()> {
        self.end.cancel();
        self.reading.await?
    }
}

struct Reader {
    world: Arc<World>,
    file: File,
    random: StdRng,
    last_id: String,
}

impl Reader {
    /// One connection, as long as it lasts, or until it is enough. Returns whether there was one.
    async fn connection(&mut self, enough: impl Fn(&Self) -> bool) -> anyhow::Result<bool> {
        let until = Instant::now() + Duration::from_millis(self.random.random_range(LASTS_MS));
        let mut asked = self.world.http.get(format!("http://{}/feed", self.world.api_address));
        if !self.last_id.is_empty() {
            asked = asked.header("last-event-id", &self.last_id);
        }
        let Ok(Ok(mut answer)) = timeout(ANSWERS_WITHIN, asked.send()).await else {
            return Ok(false);
        };
        if !answer.status().is_success() {
            return Ok(false);
        }
        let mut text = Vec::new();
        while !enough(self) {
            let Ok(Ok(Some(chunk))) = timeout_at(until, answer.chunk()).await else {
                break;
            };
            text.extend_from_slice(&chunk);
            while let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = text.drain(..end + 2).collect();
                self.event(&String::from_utf8_lossy(&event))?;
            }
        }
        Ok(true)
    }

    fn event(&mut self, event: &str) -> anyhow::Result<()> {
        let field = |name: &str| {
            let mut lines = event.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let data: Value = field("data")
            .and_then(|data| serde_json::from_str(data).ok())
            .unwrap_or_default();
        let is_first = self.last_id.is_empty();
        match field("event") {
            Some("result") => self.fed(&Fed {
                at: now(),
                partition: data["partition"]
                    .as_i64()
                    .and_then(|number| i32::try_from(number).ok())
                    .unwrap_or(-1),
                offset: data["offset"].as_i64().unwrap_or(-1),
                gap: None,
            })?,
            Some("gap") => self.gap(&data)?,
            Some("ready") if !is_first && data["resumed"] != true => self.gap(&data)?,
            _ => {}
        }
        if let Some(id) = field("id") {
            id.clone_into(&mut self.last_id);
        }
        Ok(())
    }

    fn gap(&mut self, data: &Value) -> anyhow::Result<()> {
        self.fed(&Fed {
            at: now(),
            partition: -1,
            offset: -1,
            gap: Some(data.to_string()),
        })
    }

    fn fed(&mut self, fed: &Fed) -> anyhow::Result<()> {
        let line = serde_json::to_string(fed)? + "\n";
        self.file
            .write_all(line.as_bytes())
            .context("cannot write what was fed")
    }
}
