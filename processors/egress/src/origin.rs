use std::{fmt, net::IpAddr};

use url::{Host, Url};

/// Where a request goes: scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub(crate) plain: bool,
    host: Host,
    port: u16,
}

impl Origin {
    /// From the beginning of a URL: `https://api.example.com:8443`.
    ///
    /// # Errors
    /// What is wrong with it, as it follows the name of what holds it: "must begin with …".
    pub fn parse(text: &str) -> Result<Self, String> {
        if !["https://", "http://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err("must begin with https:// and a host".to_owned());
        }
        if text.contains('@') {
            return Err("must not hold a user: secrets belong to the host in millrace.yaml".to_owned());
        }
        let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
        Self::of(&url).ok_or_else(|| "names no host".to_owned())
    }

    /// `None` if it is no URL of HTTP.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return None,
        };
        Some(Self {
            plain,
            host: url.host()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// Without scheme and port.
    #[must_use]
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// `None` for a name.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some((*address).into()),
            Host::Ipv6(address) => Some((*address).into()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.plain { ("http", 80) } else { ("https", 443) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}
