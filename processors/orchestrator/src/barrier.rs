//! "There is no such chain" is said of a topic that was read to an end which lies after the question, never of a clock: the
//! leader of `chains` may have moved, or the registry may hold its reader up, while the request came through.
//!
//! Whoever misses a chain asks here, and the one that follows the topic answers when it has learned everything that was
//! committed when it looked for the end. Questions that come together are one look.

use tokio::sync::{mpsc, oneshot};

/// Where those ask that miss a chain.
#[derive(Debug, Clone)]
pub(crate) struct Barrier {
    questions: mpsc::UnboundedSender<oneshot::Sender<()>>,
}

/// What was asked, for the one that reads the topic.
#[derive(Debug)]
pub(crate) struct Questions {
    asked: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
}

impl Barrier {
    pub(crate) fn new() -> (Self, Questions) {
        let (questions, asked) = mpsc::unbounded_channel();
        (Self { questions }, Questions { asked })
    }

    /// Returns when everything is learned that was published before the call.
    pub(crate) async fn passed(&self) {
        let (answer, answered) = oneshot::channel();
        // Nobody reads any more where the role ends: what asks is cancelled with it.
        if self.questions.send(answer).is_ok() {
            let _ended = answered.await;
        }
    }
}

impl Questions {
    /// The next one; never again when nobody can ask any more. Safe to cancel.
    pub(crate) async fn next(&mut self) -> oneshot::Sender<()> {
        match self.asked.recv().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    /// All that came meanwhile.
    pub(crate) fn rest(&mut self) -> Vec<oneshot::Sender<()>> {
        std::iter::from_fn(|| self.asked.try_recv().ok()).collect()
    }
}
