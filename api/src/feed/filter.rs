//! Which results a reader wants.

use crate::ring::Arrived;

use super::Row;

/// What is `None` matches everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub tenant: String,
    /// `name` or `name@version`
    pub chain: Option<String>,
    pub status: Option<String>,
    pub key: Option<String>,
}

impl Filter {
    /// What can be told without decoding the result.
    pub fn may_take(&self, arrived: &Arrived) -> bool {
        let key = arrived.record.key.as_deref();
        self.tenant == arrived.run.tenant && self.key.as_ref().is_none_or(|wanted| key == Some(wanted.as_bytes()))
    }

    /// The rest.
    pub fn takes(&self, row: &Row) -> bool {
        self.status.as_ref().is_none_or(|wanted| *wanted == row.status)
            && self
                .chain
                .as_ref()
                .is_none_or(|wanted| is_version_of(row.chain.as_deref(), wanted))
    }
}

/// `name@version#digest` is of `name` and of `name@version`.
fn is_version_of(chain: Option<&str>, wanted: &str) -> bool {
    let rest = chain.and_then(|chain| chain.strip_prefix(wanted));
    rest.is_some_and(|rest| {
        rest.is_empty() || rest.starts_with('#') || (rest.starts_with('@') && !wanted.contains('@'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_named_with_or_without_its_version() {
        let chain = Some("answer@12#abc");
        assert!(
            ["answer", "answer@12", "answer@12#abc"]
                .iter()
                .all(|wanted| is_version_of(chain, wanted))
        );
        assert!(
            !["answ", "answer@1", "answer@12#a", "other", ""]
                .iter()
                .any(|wanted| is_version_of(chain, wanted))
        );
        assert!(!is_version_of(None, "answer"));
    }
}
