//! A model provider that does as it is told: OpenAI-shaped HTTP whose latency, errors and answers are scripted for each
//! request, and which remembers every call.
//!
//! What a request gets is decided by, first to last: its own directive (the header `x-script`, or `<<script …>>` in its
//! last user message or embedding input), the first rule of the [`Script`] that matches, the script's defaults. Latency
//! is drawn from the script's seed, the request id and the attempt, so a run can be repeated.

mod answer;
mod calls;
mod control;
mod directive;
mod latency;
mod openai;
mod reply;
mod script;
mod server;

pub use answer::Answer;
pub use calls::{Call, Outcome, Summary};
pub use latency::Latency;
pub use script::{Rule, Script, When};
pub use server::{ScriptedModel, SetupError};
