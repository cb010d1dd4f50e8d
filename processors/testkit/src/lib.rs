//! For development only: the real parts that tests and the demo run against, and the servers and readers that judge them.
//!
//! [`parts`] has the broker, the registry and PostgreSQL; [`Space`] is one test's corner of them; [`Process`] runs a
//! program that must not outlive its test; [`until`] waits for a state instead of sleeping; [`ScriptedModel`] is the
//! model provider that answers, fails and hangs as it is told; [`history`] reads what a run claims to have done.

mod binary;
pub mod chaos;
pub mod history;
pub mod kafka;
mod launch;
pub mod parts;
mod process;
pub mod proxy;
pub mod python;
pub mod scripted;
pub mod simulation;
mod space;
mod until;
mod usage;

pub use binary::{BinaryError, binary, build, build_with};
pub use launch::{Launch, User};
pub use parts::{Broker, OwnParts, Parts, PartsConfig, Ports, parts};
pub use process::{Process, ProcessError};
pub use proxy::{Answered, Proxy, Rule as ProxyRule};
pub use rustix::process::Signal;
pub use scripted::{Answer, Latency, Outcome, Rule, Script, ScriptedModel, When};
pub use space::Space;
pub use until::{Late, until};
pub use usage::Usage;
