//! A thread for calls that may never return. librdkafka has hung in transactional calls after fatal errors and when
//! coordinators moved (its issues 4420, 3779 and 3041), and a call that hangs cannot be stopped: whoever waits gives up at
//! a deadline, and the thread is left to the call, together with what the call is made on.

use std::{
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

type Call<T> = Box<dyn FnOnce(&T) + Send>;

/// A `T` on a thread of its own, which makes it, serves one call after another, and ends it: nobody waits for that either.
pub(super) struct Watched<T>(Sender<Call<T>>);

/// No answer before the deadline. What the call did, or still does, is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{call}` did not return within {after:?}: its thread and its client are abandoned")]
pub struct Hung {
    call: &'static str,
    after: Duration,
}

impl<T: 'static> Watched<T> {
    pub(super) fn start<E: Send + 'static>(
        call: &'static str,
        deadline: Duration,
        make: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<Result<Self, E>, Hung> {
        let (calls, called) = mpsc::channel::<Call<T>>();
        let (made, is_made) = mpsc::channel();
        let serve = move || match make() {
            Ok(made_of) => {
                // Whoever gave up meanwhile has dropped the sender of calls, too.
                let _ = made.send(Ok(()));
                for call in called {
                    call(&made_of);
                }
            }
            Err(error) => {
                let _ = made.send(Err(error));
            }
        };
        if let Err(error) = thread::Builder::new().name("producer".to_owned()).spawn(serve) {
            tracing::error!(%error, "cannot start a thread");
        }
        let made: Result<(), E> = answer(call, deadline, &is_made)?;
        Ok(made.map(|()| Self(calls)))
    }

    /// After `Hung` it is of no use any more.
    pub(super) fn call<R: Send + 'static>(
        &self,
        call: &'static str,
        deadline: Duration,
        work: impl FnOnce(&T) -> R + Send + 'static,
    ) -> Result<R, Hung> {
        let (done, is_done) = mpsc::channel();
        let work: Call<T> = Box::new(move |on| {
            // Nobody may be waiting any more.
            let _ = done.send(work(on));
        });
        // A thread that is gone drops the work, and with it the answer's sender.
        let _ = self.0.send(work);
        answer(call, deadline, &is_done)
    }
}

fn answer<R>(call: &'static str, deadline: Duration, answers: &mpsc::Receiver<R>) -> Result<R, Hung> {
    answers.recv_timeout(deadline).map_err(|error| {
        let hung = Hung { call, after: deadline };
        match error {
            RecvTimeoutError::Timeout => tracing::error!("{hung}"),
            RecvTimeoutError::Disconnected => tracing::error!("the thread of `{call}` ended in the middle of it"),
        }
        metrics::counter!("millrace_calls_abandoned_total", "call" => call).increment(1);
        hung
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicBool, atomic::Ordering};

    use super::*;

    const SOON: Duration = Duration::from_secs(20);
    const AT_ONCE: Duration = Duration::from_millis(50);

    /// Says when it ended.
    struct Thing(Arc<AtomicBool>);

    impl Drop for Thing {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }

    #[test]
    fn a_call_that_never_returns_is_given_up_and_another_thread_goes_on() {
        let ended = Arc::new(AtomicBool::new(false));
        let thing = |ended: &Arc<AtomicBool>| {
            let ended = Arc::clone(ended);
            Watched::start("start", SOON, move || Ok::<_, ()>(Thing(ended)))
                .unwrap()
                .unwrap()
        };
        let first = thing(&ended);
        assert_eq!(first.call("one", SOON, |_| 1), Ok(1));
        let hung = first.call("commit", AT_ONCE, |_| {
            loop {
                thread::park();
            }
        });
        assert_eq!(
            hung,
            Err::<(), _>(Hung {
                call: "commit",
                after: AT_ONCE
            })
        );
        drop(first);

        let second = thing(&ended);
        assert_eq!(second.call("two", SOON, |_| 2), Ok(2));
        assert!(!ended.load(Ordering::Acquire), "what hangs is left alone");
        drop(second);
        let until = std::time::Instant::now() + SOON;
        while !ended.load(Ordering::Acquire) && std::time::Instant::now() < until {
            thread::yield_now();
        }
        assert!(ended.load(Ordering::Acquire), "what does not hang ends");
    }

    #[test]
    fn a_start_that_never_returns_is_given_up_and_one_that_fails_says_why() {
        let hung = Watched::<()>::start("start", AT_ONCE, || {
            loop {
                thread::park();
            }
            #[expect(unreachable_code, reason = "says the error's type")]
            Err("never")
        });
        assert!(hung.is_err());
        assert!(matches!(
            Watched::<()>::start("start", SOON, || Err("no")),
            Ok(Err("no"))
        ));
    }
}
