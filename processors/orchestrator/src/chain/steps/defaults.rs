use std::time::Duration;

use models::Retry;
use yaml::{Fields, Node, Problems};

use super::{classes::Classes, options};

/// `defaults: {timeout, retry}` of a chain: for each step that calls something outside (`chat`, `embed`, `retrieve`, `rerank`) and has none
/// of its own, in blocks too. Not for other kinds: a step around a block takes as long as its block, and one that calls nothing
/// has nothing to wait for or to try again. Nor for `http`: what it sends may act twice, so its step says it.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    pub(super) timeout: Option<Duration>,
    pub(super) retry: Option<(Retry, Classes)>,
}

impl Defaults {
    pub(crate) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "`defaults`", &["timeout", "retry"], &[], problems)?;
        let timeout = fields.scalar("timeout", yaml::duration);
        let retry = fields
            .get("retry")
            .and_then(|node| options::retry(node, "`retry` of `defaults`", problems));
        Some(Self {
            timeout: timeout.map(|timeout| timeout.value),
            retry,
        })
    }
}
