//! The one binary: every role and every tool of Millrace. `command/` has a file for each subcommand.

#![deny(clippy::print_stdout)] // command::output

mod books;
mod command;
mod config;
mod shutdown;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

use crate::command::Arguments;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    telemetry::start(&arguments);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command::execute(arguments)) {
        Ok(code) => code,
        Err(error) if command::output::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", telemetry::with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
