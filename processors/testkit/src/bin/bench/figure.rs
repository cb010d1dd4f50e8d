use std::time::Duration;

use serde::Serialize;

/// One measured number and what it is held against.
#[derive(Debug, Serialize)]
pub struct Figure {
    scenario: &'static str,
    metric: String,
    value: f64,
    unit: &'static str,
    /// The same number elsewhere: unless the conditions say otherwise, measured on 2 cores shared with the broker, Kafka
    /// 4.1, librdkafka 2.12.
    reference: Option<f64>,
    /// What is compared: this figure in proportion to the base of its table, over the reference in proportion to its
    /// own; absolute speeds of two machines say nothing about each other.
    ratio: Option<f64>,
    /// The ratio that is wanted, at least or for costs at most; without a reference the value that is wanted.
    goal: Option<f64>,
    met: Option<bool>,
    conditions: String,
}

/// Whether more or less is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    pub fn new(scenario: &'static str, metric: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            scenario,
            metric: metric.into(),
            value: rounded(value),
            unit,
            reference: None,
            ratio: None,
            goal: None,
            met: None,
            conditions: format!(
                "{} cores, one broker (Kafka 4.4, 512 MB heap) on the same machine",
                std::thread::available_parallelism().map_or(0, usize::from)
            ),
        }
    }

    /// In proportion to the base of its table: (measured, reference).
    pub fn against(mut self, reference: f64, base: (f64, f64), wanted: Wanted) -> Self {
        let ratio = (self.value / base.0) / (reference / base.1);
        let (goal, met) = match wanted {
            Wanted::AtLeast(goal) => (goal, ratio >= goal),
            Wanted::AtMost(goal) => (goal, ratio <= goal),
        };
        self.reference = Some(rounded(reference));
        self.ratio = Some(rounded(ratio));
        self.goal = Some(goal);
        self.met = Some(met);
        self
    }

    /// Beside another figure, without a goal.
    pub fn beside(mut self, reference: f64) -> Self {
        self.reference = Some(rounded(reference));
        self.ratio = Some(rounded(self.value / reference));
        self
    }

    /// A limit that is a promise, not a comparison.
    pub fn at_most(mut self, limit: f64) -> Self {
        self.goal = Some(limit);
        self.met = Some(self.value <= limit);
        self
    }

    pub fn at_least(mut self, limit: f64) -> Self {
        self.goal = Some(limit);
        self.met = Some(self.value >= limit);
        self
    }

    pub fn under(mut self, conditions: &str) -> Self {
        self.conditions = format!("{}; {conditions}", self.conditions);
        self
    }

    pub fn print(&self) -> anyhow::Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}

/// What is going on, for whoever waits: figures are on standard output, this is not.
pub fn progress(text: &str) {
    eprintln!("{text}");
}

/// Three significant digits are more than such figures have.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powf(2.0 - value.abs().log10().floor());
    (value * scale).round() / scale
}

pub fn median(mut values: Vec<f64>) -> f64 {
    percentile(&mut values, 0.5)
}

/// 0 of nothing.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length is an index"
    )]
    let place = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(place).copied().unwrap_or_default()
}

pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
