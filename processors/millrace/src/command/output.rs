//! Standard output, which may be a pipe that its reader has closed (`millrace tail | head`): that is an end, not a panic.

use std::{
    fmt,
    io::{self, Write},
};

use anyhow::Context;

/// What is asked for, as it is.
pub fn text(text: impl fmt::Display) -> anyhow::Result<()> {
    write(format_args!("{text}"))
}

pub fn line(line: impl fmt::Display) -> anyhow::Result<()> {
    write(format_args!("{line}\n"))
}

/// One line of JSON.
pub fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(value).context("cannot print as JSON")?)
}

/// Whether nobody reads any more.
pub fn is_closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

fn write(arguments: fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    output
        .write_fmt(arguments)
        .and_then(|()| output.flush())
        .context("cannot write to standard output")
}
