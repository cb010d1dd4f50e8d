use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

/// The `http:` part of the configuration: what `http` steps of chains may call. Nothing, where it says nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EgressSettings {
    pub hosts: Vec<HostSettings>,
}

/// One host that chains may call: `https://<host>:<port>`, exactly.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSettings {
    /// A name or an address, without wildcards: `api.example.com`.
    pub host: String,
    /// 443 if not said, and 80 for a plain one.
    #[serde(default)]
    pub port: Option<u16>,
    /// It is called over `http`, which anybody on the way can read and change.
    #[serde(default)]
    pub plain: bool,
    /// It may lead to this machine or into a private network. The addresses where clouds hand out credentials stay closed,
    /// unless `host` is that very address.
    #[serde(default)]
    pub private: bool,
    /// The token of `authorization: Bearer …`.
    #[serde(default)]
    pub bearer: Option<String>,
    /// Headers that hold secrets. They are sent to this host and never to where it redirects.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

impl fmt::Debug for HostSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HostSettings").field(&self.host).finish()
    }
}
