//! Metrics of model calls.
