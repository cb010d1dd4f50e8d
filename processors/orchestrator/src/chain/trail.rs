//! What each step of a run did, for its audit.

use std::sync::{Mutex, PoisonError};

use schemas::StepTaken;
use tokio::time::Instant;

/// So many are told one by one; the others are counted.
const TOLD: usize = 1_000;

/// Steps that ended, in the order of their ends.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trail {
    pub steps: Vec<StepTaken>,
    pub left_out: i32,
}

/// A [`Trail`] that is being made.
#[derive(Debug)]
pub(crate) struct Recorder {
    began: Instant,
    trail: Mutex<Trail>,
}

/// How a step came to its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Ran,
    /// `when` was not true.
    Skipped,
    /// By its `fallback`.
    FellBack,
    /// It failed, and `on_error: skip` says that this is no failure.
    ErrorSkipped,
    /// It had its output in an earlier turn.
    Kept,
}

impl Way {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ran => "ok",
            Self::Skipped => "skipped",
            Self::FellBack => "fallback",
            Self::ErrorSkipped => "error_skipped",
            Self::Kept => "kept",
        }
    }
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            trail: Mutex::default(),
        }
    }

    /// `outcome`: the way, or the class of the error.
    pub(crate) fn ended(&self, step: &str, kind: &str, began: Instant, attempts: u32, outcome: Result<Way, &str>) {
        let micros = |from: Instant, to: Instant| i64::try_from((to - from).as_micros()).unwrap_or(i64::MAX);
        let mut trail = self.trail.lock().unwrap_or_else(PoisonError::into_inner);
        if trail.steps.len() == TOLD {
            trail.left_out = trail.left_out.saturating_add(1);
            return;
        }
        trail.steps.push(StepTaken {
            step: step.to_owned(),
            kind: kind.to_owned(),
            outcome: outcome.map_or_else(str::to_owned, |way| way.as_str().to_owned()),
            attempts: i32::try_from(attempts).unwrap_or(i32::MAX),
            began_us: micros(self.began, began),
            took_us: micros(began, Instant::now()),
        });
    }

    pub(crate) fn into_trail(self) -> Trail {
        self.trail.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
