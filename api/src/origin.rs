//! Under which names the api may be called.
//!
//! It listens on loopback and asks nobody who they are, so a web page must not reach it through its visitor's browser:
//! neither by a name of its own that it lets resolve to 127.0.0.1 (DNS rebinding: then `Host` is foreign), nor by a
//! request across sites (then `Origin` is).

use std::{net::IpAddr, sync::Arc};

use url::{Host, Url};
use warp::http::{
    HeaderMap,
    header::{HOST, ORIGIN},
};

use crate::problem::{Kind, Problem};

/// Loopback names and addresses are always among them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(Arc<[String]>);

impl Names {
    /// Names without a port.
    pub fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    /// # Errors
    /// 421 for a foreign `Host`, 403 for a foreign `Origin`. Clients that send neither are no browsers.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        if let Some(host) = text(HOST)
            && !self.is_own(Url::parse(&format!("http://{host}")).ok().as_ref())
        {
            return Err(Problem::new(
                Kind::ForeignHost,
                "Host is not a name of this api; call it by a loopback address, or add the name to api.hosts",
            ));
        }
        if let Some(origin) = text(ORIGIN)
            && !self.is_own(Url::parse(origin).ok().as_ref())
        {
            return Err(Problem::new(
                Kind::ForeignOrigin,
                "pages of other origins may not call this api; add the name of the page's host to api.hosts if this one may",
            ));
        }
        Ok(())
    }

    fn is_own(&self, url: Option<&Url>) -> bool {
        match url.and_then(Url::host) {
            Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback() || self.has(&address.to_string()),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback() || self.has(&address.to_string()),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost") || self.has(name),
            None => false,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(name: &'static str, value: &str) -> Option<u16> {
        let names = Names::new(&["Millrace.example".to_owned()]);
        let headers = HeaderMap::from_iter([(warp::http::HeaderName::from_static(name), value.parse().unwrap())]);
        names
            .check(&headers)
            .err()
            .map(|problem| problem.into_response("/").status().as_u16())
    }

    #[test]
    fn only_loopback_and_configured_names_are_ours() {
        for own in [
            "localhost",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "demo.localhost:1",
            "MILLRACE.example:443",
        ] {
            assert_eq!(status("host", own), None, "{own}");
            assert_eq!(status("origin", &format!("https://{own}")), None, "{own}");
        }
        for foreign in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "[::2]",
            "",
        ] {
            assert_eq!(status("host", foreign), Some(421), "{foreign}");
            assert_eq!(status("origin", &format!("http://{foreign}")), Some(403), "{foreign}");
        }
        assert_eq!(status("origin", "null"), Some(403));
        assert!(Names::default().check(&HeaderMap::new()).is_ok());
    }
}
