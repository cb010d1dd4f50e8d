//! What the role says of itself: ready, or what it waits for, or what somebody has to know.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::watch;

pub(crate) struct Readiness {
    ready: watch::Sender<Result<(), String>>,
    /// That nobody has accepted.
    gaps: AtomicI64,
}

impl Readiness {
    pub fn new(ready: watch::Sender<Result<(), String>>) -> Self {
        Self {
            ready,
            gaps: AtomicI64::new(0),
        }
    }

    pub fn waiting(&self, why: String) {
        self.say(Err(why));
    }

    /// Nothing is waited for.
    pub fn going_on(&self) {
        let gaps = self.gaps.load(Ordering::Relaxed);
        self.say(if gaps == 0 {
            Ok(())
        } else {
            Err(format!(
                "all is recorded that there is, but Kafka had deleted records before they were recorded ({gaps} gaps). \
                 `millrace audit gaps` lists them; `millrace audit gaps --accept` says that you know, and this is over"
            ))
        });
    }

    pub fn gaps(&self, open: i64) {
        if self.gaps.swap(open, Ordering::Relaxed) != open {
            self.going_on();
        }
    }

    fn say(&self, state: Result<(), String>) {
        self.ready.send_if_modified(|before| {
            let is_news = *before != state;
            *before = state;
            is_news
        });
    }
}
