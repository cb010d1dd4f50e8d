use uuid::Uuid;

use crate::parts::{Parts, parts, postgres_execute};

/// A corner of the shared parts that no other test touches: every name a test makes begins with its prefix.
#[derive(Debug, Clone)]
pub struct Space {
    pub parts: &'static Parts,
    /// `NAME-1a2b3c4d.`: goes in front of topics, groups and transactional ids.
    pub prefix: String,
    /// A database of its own, empty.
    pub postgres_url: String,
}

impl Space {
    /// # Panics
    /// With the reason when the parts are not up: no test that asks for them can go on.
    #[expect(
        clippy::panic,
        reason = "a test that needs the parts fails without them, and says why"
    )]
    pub async fn new(name: &str) -> Self {
        let parts = parts().await;
        let random = Uuid::new_v4().simple().to_string();
        let unique = format!("{name}-{}", &random[..8]);
        if let Err(error) = postgres_execute(&parts.postgres_url, &format!("CREATE DATABASE \"{unique}\"")).await {
            panic!("no database for the test {name}: {error}");
        }
        let base = parts
            .postgres_url
            .rsplit_once('/')
            .map_or(parts.postgres_url.as_str(), |(base, _)| base);
        Self {
            parts,
            prefix: format!("{unique}."),
            postgres_url: format!("{base}/{unique}"),
        }
    }

    /// `requests` → `NAME-1a2b3c4d.requests`
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    #[must_use]
    pub fn group(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}
