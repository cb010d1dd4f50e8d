//! A member in a process of its own, so that it can be killed: this very test binary, started again with one test.

use std::{env, path::PathBuf, time::Duration};

use testkit::{Launch, Process, Signal};

use super::story::{Copy, Story};

const STORY: &str = "ENGINE_WORKER";

pub struct Worker(Process);

impl Worker {
    /// Copies; one record of twenty takes `slow`, the others 5 ms.
    pub fn start(story: &Story, slow: Duration) -> Self {
        let slow = slow.as_millis();
        let told = format!("{} {} {} {slow}", story.space.prefix, story.requests, story.results);
        let log = env::temp_dir().join(format!("{}worker.log", story.space.prefix));
        let launch = Launch::new("worker", env::current_exe().unwrap(), log)
            .args(["--exact", "engine::worker::a_worker", "--nocapture"])
            .env(STORY, told);
        Self(launch.start().unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        self.0.signal(signal).unwrap();
    }
}

/// Not a test but a worker, when another test has started it.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker() {
    let Ok(told) = env::var(STORY) else { return };
    let mut told = told.split(' ').map(str::to_owned);
    let mut next = || told.next().unwrap();
    let story = Story::again(next(), next(), next()).await;
    let slow = Duration::from_millis(next().parse().unwrap());
    let copy = Copy::taking(move |record| {
        if record.offset % 20 == 3 {
            slow
        } else {
            Duration::from_millis(5)
        }
    });
    story.start(copy).ended_ever().await.unwrap();
}

/// A file whose existence stands for something that is down.
pub fn switch(name: &str) -> PathBuf {
    env::temp_dir().join(format!("{name}down"))
}
