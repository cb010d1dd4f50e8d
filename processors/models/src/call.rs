use crate::error::ModelError;
use schemas::{Audit, Money, Usage};

/// How a call ended, with one audit row for each of its attempts, in order.
#[derive(Debug)]
#[must_use = "its audit rows are committed with the result, or settled when that is discarded"]
pub struct Called<T> {
    pub result: Result<T, ModelError>,
    pub attempts: Vec<Audit>,
    /// Of all attempts together; `estimated` as soon as one of them is.
    pub usage: Usage,
    /// Of all attempts together.
    pub cost: Money,
}
