//! What chains may call outside: requests to the hosts that the configuration lists, and to nobody else.
//!
//! In reading order: [`Hosts`], the list; a [`Call`], which becomes a [`Request`] to one of them; and [`Egress`], which sends
//! it. What a name resolves to is filtered where the connection is made (`resolver`, `address`), so that no answer of DNS
//! between a check and its use leads inside; redirects are followed by hand, each held to the same list.
//!
//! It knows no chain, no Kafka and no SQL.

mod address;
mod answer;
mod call;
mod client;
mod error;
mod hosts;
mod metrics;
mod origin;
mod resolver;
mod settings;

pub use answer::Answer;
pub use call::{Call, METHODS, Method, Request, encoded, is_free_header};
pub use client::{Egress, SetupError};
pub use error::EgressError;
pub use hosts::{Hosts, NotAllowed};
pub use origin::Origin;
pub use settings::{EgressSettings, HostSettings};
