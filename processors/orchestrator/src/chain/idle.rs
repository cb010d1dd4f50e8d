//! When a run does nothing but wait for limits: when every step under way does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use models::LimitWait;

/// The steps of one run that are under way, and those of them that wait.
#[derive(Clone)]
pub(crate) struct Idle(Arc<Shared>);

struct Shared {
    /// Of the run as a whole.
    wait: LimitWait,
    steps: Mutex<Steps>,
}

#[derive(Default)]
struct Steps {
    busy: usize,
    waiting: usize,
    /// There while nothing is busy.
    held: Option<Box<dyn Send>>,
}

impl Idle {
    pub(crate) fn new(wait: LimitWait) -> Self {
        let steps = Mutex::default();
        Self(Arc::new(Shared { wait, steps }))
    }

    /// A step is under way for as long as this is kept.
    pub(crate) fn step(&self) -> Change {
        self.change(|steps| steps.busy += 1, |steps| steps.busy -= 1)
    }

    /// What the calls of a step tell their waits to.
    pub(crate) fn of_step(&self) -> LimitWait {
        let idle = self.clone();
        LimitWait::new(move || {
            let begin = |steps: &mut Steps| {
                steps.busy -= 1;
                steps.waiting += 1;
            };
            let end = |steps: &mut Steps| {
                steps.busy += 1;
                steps.waiting -= 1;
            };
            idle.change(begin, end)
        })
    }

    fn change(&self, now: fn(&mut Steps), later: fn(&mut Steps)) -> Change {
        self.0.apply(now);
        Change {
            shared: Arc::clone(&self.0),
            later,
        }
    }
}

impl Shared {
    fn apply(&self, change: fn(&mut Steps)) {
        let mut steps = self.steps();
        change(&mut steps);
        if steps.busy == 0 && steps.waiting > 0 {
            if steps.held.is_none() {
                steps.held = self.wait.begin();
            }
        } else {
            steps.held = None;
        }
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Undone when it is dropped.
pub(crate) struct Change {
    shared: Arc<Shared>,
    later: fn(&mut Steps),
}

impl Drop for Change {
    fn drop(&mut self) {
        self.shared.apply(self.later);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_waits_when_none_of_its_steps_does_anything_else() {
        let waits = Arc::new(());
        let handle = Arc::clone(&waits);
        let idle = Idle::new(LimitWait::new(move || Arc::clone(&handle)));
        let is_idle = || Arc::strong_count(&waits) == 3;

        let (one, other) = (idle.step(), idle.step());
        let waiting = idle.of_step().begin();
        assert!(!is_idle(), "the other step is busy");
        drop(other);
        assert!(is_idle());
        let third = idle.step();
        assert!(!is_idle());
        let third_waits = idle.of_step().begin();
        assert!(is_idle(), "once for the run, not for each step");
        drop(waiting);
        assert!(!is_idle());
        drop((one, third_waits, third));
        assert!(!is_idle(), "a run without steps waits for nothing");
    }
}
