use std::fmt;

use serde::Deserialize;

/// The `registry:` part of `millrace.yaml`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrySettings {
    /// Base URL of the Confluent API, without a slash at the end; several, separated by commas, are tried in order.
    pub url: String,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<String>,
}

impl RegistrySettings {
    /// For messages: credentials that stand in a URL do not belong there.
    pub(super) fn shown_url(&self) -> String {
        self.urls()
            .map(|url| without_credentials(&url))
            .collect::<Vec<_>>()
            .join(",")
    }

    pub(super) fn urls(&self) -> impl Iterator<Item = String> {
        self.url
            .split(',')
            .map(|url| url.trim().trim_end_matches('/').to_owned())
            .filter(|url| !url.is_empty())
    }
}

impl fmt::Debug for RegistrySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username, password, .. } = self;
        let password = password.as_ref().map(|_| "***");
        f.debug_struct("RegistrySettings")
            .field("url", &self.shown_url())
            .field("username", username)
            .field("password", &password)
            .finish()
    }
}

fn without_credentials(url: &str) -> String {
    match url
        .split_once("://")
        .map(|(scheme, rest)| (scheme, rest.rsplit_once('@')))
    {
        Some((scheme, Some((_, host)))) => format!("{scheme}://{host}"),
        Some((_, None)) | None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_a_password() {
        let settings = RegistrySettings {
            url: "http://me:secret@one:8081/path, http://two:8081/".to_owned(),
            username: Some("me".to_owned()),
            password: Some("secret".to_owned()),
        };
        assert_eq!(settings.shown_url(), "http://one:8081/path,http://two:8081");
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
