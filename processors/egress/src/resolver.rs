//! Names become addresses here, where the connection is made, and what must not be reached is not among them.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::address::Reach;

/// Of the hosts that may lead inside, or of those that may not.
pub(crate) struct Resolver {
    pub(crate) private: bool,
}

/// A name has no address but such as must not be reached.
#[derive(Debug, thiserror::Error)]
#[error("every address of `{name}` is one that it must not lead to")]
pub(crate) struct Inside {
    name: String,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        let open = move |address: &SocketAddr| Reach::of(address.ip()).is_open(private);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let kept: Vec<SocketAddr> = found.iter().copied().filter(open).collect();
            if kept.is_empty() && !found.is_empty() {
                let name = name.as_str().to_owned();
                return Err(Inside { name }.into());
            }
            let addresses: Addrs = Box::new(kept.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_has_no_address_that_it_must_not_lead_to() {
        let resolve = |private| Resolver { private }.resolve("localhost".parse().unwrap());
        let refused = resolve(false).await.err().unwrap();
        assert!(refused.is::<Inside>(), "{refused}");
        assert!(resolve(true).await.unwrap().all(|address| address.ip().is_loopback()));
    }
}
