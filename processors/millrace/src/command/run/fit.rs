//! Before a role that runs each record exactly once: its topics must be what that needs. See [`Admin::unfit`].

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use topics::{
    Catalog, KafkaSettings,
    admin::{Admin, AdminError, Finding},
};

use crate::telemetry;

const AGAIN: Duration = Duration::from_secs(2);

/// Returns when nothing keeps the role from its work; false if the shutdown came first.
pub(super) async fn wait(
    kafka: &KafkaSettings,
    catalog: &Catalog,
    role: &str,
    ready: &watch::Sender<Result<(), String>>,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    let Some(group) = catalog.group(role) else {
        return Ok(true);
    };
    let admin = Admin::new(kafka)?;
    let mut told = String::new();
    loop {
        let looked = tokio::select! {
            looked = admin.unfit(catalog, group) => looked,
            () = shutdown.cancelled() => return Ok(false),
        };
        let why = match looked {
            Ok(findings) if findings.is_empty() => return Ok(true),
            Ok(findings) => findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("; "),
            Err(error) if error.is_unsupported() => {
                tracing::warn!(
                    role,
                    error = telemetry::with_causes(&error),
                    "how the topics are configured is not known"
                );
                return Ok(true);
            }
            Err(error @ AdminError::Unreachable { .. }) => format!(
                "waiting for Kafka at {}: {}",
                kafka.bootstrap_servers,
                telemetry::with_causes(&error)
            ),
            Err(error) => telemetry::with_causes(&error),
        };
        if why != told {
            tracing::error!(role, "cannot begin: {why}");
            told.clone_from(&why);
        }
        ready.send_modify(|state| *state = Err(why));
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = shutdown.cancelled() => return Ok(false),
        }
    }
}
