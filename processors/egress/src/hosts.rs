//! The list of what chains may call.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use crate::{EgressSettings, HostSettings, Origin, address::Reach};

/// What chains may call; nothing by default.
#[derive(Debug, Default)]
pub struct Hosts(Vec<Host>);

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) origin: Origin,
    pub(crate) private: bool,
    /// Secrets: marked as such, and for this host only.
    pub(crate) headers: HeaderMap,
}

/// Why a request does not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    #[error("no chain may call `{host}`: it is not under `http.hosts` in millrace.yaml")]
    Host { host: String },
    /// The host is listed, with another scheme or port.
    #[error("no chain may call `{origin}`, only {}", .listed.join(" and "))]
    Origin { origin: String, listed: Vec<String> },
}

impl Hosts {
    /// # Errors
    /// Every mistake: the setting, and what is wrong with it. No value of a header is repeated.
    pub fn new(settings: &EgressSettings) -> Result<Self, Vec<(String, String)>> {
        let mut mistakes = Vec::new();
        let mut hosts: Vec<Host> = Vec::new();
        for (number, settings) in settings.hosts.iter().enumerate() {
            let place = |part: &str| format!("http.hosts[{number}]{part}");
            match Host::new(settings) {
                Ok(host) if hosts.iter().any(|other| other.origin == host.origin) => {
                    mistakes.push((place(""), format!("`{}` is listed twice", host.origin)));
                }
                Ok(host) => hosts.push(host),
                Err((part, what)) => mistakes.push((place(part), what)),
            }
        }
        if mistakes.is_empty() {
            Ok(Self(hosts))
        } else {
            Err(mistakes)
        }
    }

    /// # Errors
    /// See [`NotAllowed`].
    pub fn check(&self, origin: &Origin) -> Result<(), NotAllowed> {
        self.find(origin).map(drop)
    }

    /// The hosts, without scheme and port.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|host| host.origin.host())
    }

    /// Whether the configuration sets a header of this host.
    #[must_use]
    pub fn sets(&self, origin: &Origin, header: &str) -> bool {
        self.find(origin).is_ok_and(|host| host.headers.contains_key(header))
    }

    pub(crate) fn find(&self, origin: &Origin) -> Result<&Host, NotAllowed> {
        if let Some(host) = self.0.iter().find(|host| host.origin == *origin) {
            return Ok(host);
        }
        let host = origin.host();
        let same = self.0.iter().filter(|other| other.origin.host() == host);
        let listed: Vec<String> = same.map(|other| format!("`{}`", other.origin)).collect();
        Err(if listed.is_empty() {
            NotAllowed::Host { host }
        } else {
            let origin = origin.to_string();
            NotAllowed::Origin { origin, listed }
        })
    }
}

impl Host {
    /// The error says which part of the setting it is about.
    fn new(settings: &HostSettings) -> Result<Self, (&'static str, String)> {
        let HostSettings {
            host,
            port,
            plain,
            private,
            bearer,
            headers,
        } = settings;
        let wrong = |what: &str| (".host", format!("`{host}` {what}"));
        if host.contains('*') {
            return Err(wrong("has a wildcard: name every host"));
        }
        let bracketed = host.starts_with('[');
        if host.contains(['/', '@', '?', '#', '\\']) || (host.contains(':') && !bracketed) {
            let what =
                "must be a name or an address alone, such as api.example.com or [::1]; the port has a key of its own";
            return Err(wrong(what));
        }
        let scheme = if *plain { "http" } else { "https" };
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        let origin = Origin::parse(&format!("{scheme}://{host}{port}")).map_err(|what| wrong(&what))?;
        let built = Self {
            origin,
            private: *private,
            headers: secrets(bearer.as_deref(), headers.iter())?,
        };
        // Names are checked where they become addresses, in each connection; nothing else looks at an address.
        let reach = built.origin.address().map(Reach::of);
        match reach {
            Some(Reach::Nowhere) => Err(wrong("is an address that no host has")),
            Some(Reach::Private | Reach::Metadata) if !private => Err(wrong(
                "is an address of this machine or of a private network: say `private: true` if it is meant",
            )),
            Some(Reach::Public | Reach::Private | Reach::Metadata) | None => Ok(built),
        }
    }
}

fn secrets<'a>(
    bearer: Option<&str>,
    headers: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<HeaderMap, (&'static str, String)> {
    let mut map = HeaderMap::new();
    let value = |text: &str| {
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    };
    for (name, text) in headers {
        let wrong = |what: &str| (".headers", format!("`{name}` {what}"));
        let parsed = HeaderName::try_from(name.as_str()).map_err(|_| wrong("is no name of a header"))?;
        let value = value(text).ok_or_else(|| wrong("holds characters that no header takes"))?;
        map.insert(parsed, value);
    }
    if let Some(token) = bearer {
        let wrong = |what: &str| (".bearer", what.to_owned());
        let value = value(&format!("Bearer {token}")).ok_or_else(|| wrong("holds characters that no header takes"))?;
        if map.insert(AUTHORIZATION, value).is_some() {
            return Err(wrong("`headers` says `authorization` too: remove one"));
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(host: &str) -> HostSettings {
        HostSettings {
            host: host.to_owned(),
            port: None,
            plain: false,
            private: false,
            bearer: None,
            headers: Default::default(),
        }
    }

    fn hosts(list: Vec<HostSettings>) -> Result<Hosts, Vec<(String, String)>> {
        Hosts::new(&EgressSettings { hosts: list })
    }

    #[test]
    fn a_host_is_allowed_with_its_scheme_and_port_only() {
        let plain = HostSettings {
            port: Some(8080),
            plain: true,
            ..settings("plain.example")
        };
        let list = hosts(vec![settings("API.example.com"), plain]).unwrap();
        for (url, allowed) in [
            ("https://api.example.com", true),
            ("https://api.example.com:443", true),
            ("https://api.example.com:8443", false),
            ("http://api.example.com", false),
            ("https://api.example.com.", false),
            ("https://sub.api.example.com", false),
            ("https://api.example.com.evil.example", false),
            ("http://plain.example:8080", true),
            ("https://plain.example:8080", false),
        ] {
            assert_eq!(list.check(&Origin::parse(url).unwrap()).is_ok(), allowed, "{url}");
        }
        assert!(Origin::parse("https://api.example.com@evil.example").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_told_without_the_secret() {
        let twice = HostSettings {
            bearer: Some("hunter2".to_owned()),
            headers: [("Authorization".to_owned(), "hunter3".to_owned())].into(),
            ..settings("a.example")
        };
        let broken = HostSettings {
            headers: [("x-key".to_owned(), "hunter4\n".to_owned())].into(),
            ..settings("b.example")
        };
        let wrong = [
            "https://c.example",
            "*.example.com",
            "d.example:1",
            "2130706433",
            "[::ffff:10.0.0.1]",
        ];
        let list = [twice, broken].into_iter().chain(wrong.map(settings));
        let said = hosts(list.collect()).unwrap_err();
        assert_eq!(said.len(), 7, "{said:#?}");
        assert!(!format!("{said:?}").contains("hunter"), "{said:#?}");
    }

    #[test]
    fn an_address_inside_is_listed_on_purpose() {
        let list = |host: &str, private| {
            let host = HostSettings {
                private,
                ..settings(host)
            };
            hosts(vec![host]).is_ok()
        };
        for (address, by_itself, on_purpose) in [
            ("1.1.1.1", true, true),
            ("127.0.0.1", false, true),
            ("[::ffff:10.0.0.1]", false, true),
            ("169.254.169.254", false, true),
            ("0.0.0.0", false, false),
            ("[ff02::1]", false, false),
        ] {
            assert_eq!(
                (list(address, false), list(address, true)),
                (by_itself, on_purpose),
                "{address}"
            );
        }
    }
}
