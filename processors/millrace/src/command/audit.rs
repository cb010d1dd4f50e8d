use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use recorder::{LostCall, RecordedGap, UnresolvedFilter};
use schemas::Money;

use crate::config::Config;

use super::output;

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    Unresolved(Unresolved),
    Gaps(Gaps),
}

/// List calls that may have been paid without an outcome
///
/// Every paid call is announced on `attempts` before it leaves and ends in the audit, or as settled or abandoned. A call
/// without an end was in flight when its process died; it may have cost its estimate. It is listed once its run has a
/// result without it, or when it is older than --older-than; until then it may still be running. Read from Postgres, so
/// as new as what the recorder has written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace audit unresolved
  millrace audit unresolved --since 24h --tenant acme
  millrace audit unresolved --json | jq -s 'map(.estimate_nanos) | add / 1e9'")]
pub struct Unresolved {
    /// Only of requests accepted this long ago or later, such as 24h or 7d
    #[arg(long, value_name = "AGE", value_parser = yaml::duration)]
    since: Option<Duration>,
    #[arg(long)]
    tenant: Option<String>,
    /// From which age on a call is listed whose run has no result yet; longer than any chain may take
    #[arg(long, value_name = "AGE", default_value = "15m", value_parser = yaml::duration)]
    older_than: Duration,
    /// One JSON object a line, without the sum
    #[arg(long)]
    json: bool,
}

/// List records that Kafka had deleted before they were recorded
///
/// Retention is shorter than the recorder was away, or a topic was made anew. The recorder notes the gap and goes on where
/// the log begins; /health shows it until somebody says with --accept that he knows. Exits 1 while there are gaps that
/// nobody has accepted.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  millrace audit gaps
  millrace audit gaps --accept
  millrace audit gaps --json | jq 'select(.accepted_at == null)'")]
pub struct Gaps {
    /// Say that you know of all gaps that are listed: health is well again within seconds
    #[arg(long)]
    accept: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub async fn execute(command: AuditCommand, config: &Config) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::Unresolved(command) => unresolved(command, config).await,
        AuditCommand::Gaps(command) => gaps(&command, config).await,
    }
}

async fn unresolved(command: Unresolved, config: &Config) -> anyhow::Result<ExitCode> {
    let filter = UnresolvedFilter {
        since: command.since,
        tenant: command.tenant,
        older_than: command.older_than,
    };
    let recorder::Unresolved { calls, maybe_running } = recorder::unresolved(&config.postgres.url, &filter).await?;
    if command.json {
        for call in &calls {
            output::json(call)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !calls.is_empty() {
        output::text(table(&calls))?;
    }
    let sum: Money = calls.iter().map(|call| call.estimate_nanos).sum();
    output::line(format_args!(
        "{} calls may have been paid without an outcome: {sum} at most",
        calls.len()
    ))?;
    if maybe_running > 0 {
        output::line(format_args!(
            "{maybe_running} more may still be running: they have begun less than {:?} ago, and their runs have no result yet",
            command.older_than
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn gaps(command: &Gaps, config: &Config) -> anyhow::Result<ExitCode> {
    if command.accept {
        recorder::accept_gaps(&config.postgres.url).await?;
    }
    let gaps = recorder::gaps(&config.postgres.url).await?;
    let open = gaps.iter().filter(|gap| gap.accepted_at.is_none()).count();
    if command.json {
        for gap in &gaps {
            output::json(gap)?;
        }
    } else {
        for gap in &gaps {
            output::line(format_args!("{}", shown(gap)))?;
        }
        output::line(format_args!("{} gaps, {open} of them not accepted", gaps.len()))?;
    }
    Ok(if open == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn shown(gap: &RecordedGap) -> String {
    let RecordedGap {
        topic,
        partition,
        from_offset,
        to_offset,
        log_end,
        seen_at,
        accepted_at,
    } = gap;
    let missing = if from_offset <= to_offset {
        format!("offsets {from_offset} to {} were deleted unread", to_offset - 1)
    } else {
        format!(
            "the log was made anew or cut: {from_offset} was next, and it ends at {log_end}; read again from {to_offset}"
        )
    };
    let accepted = accepted_at.map_or_else(String::new, |at| format!(", accepted {at}"));
    format!("{topic}/{partition}  {missing}  seen {seen_at}{accepted}")
}

fn table(calls: &[LostCall]) -> String {
    const HEADS: [&str; 7] = [
        "STARTED",
        "TENANT",
        "REQUEST",
        "CHAIN/STEP",
        "MODEL",
        "ATTEMPT",
        "ESTIMATE",
    ];
    let rows = calls.iter().map(|call| {
        // The digest of the chain is for machines.
        let chain = call.chain.as_deref().unwrap_or("-").split('#').next().unwrap_or("-");
        [
            call.started_at.to_string(),
            call.tenant.clone(),
            call.request_id.clone(),
            format!("{chain}/{}", call.step),
            format!("{}/{}", call.provider, call.model),
            call.attempt.to_string(),
            call.estimate_nanos.to_string(),
        ]
    });
    let rows: Vec<_> = std::iter::once(HEADS.map(str::to_owned)).chain(rows).collect();
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String; 7]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}
