//! What a step allocates. It is a program of its own: counting would cost the other figures a tenth of their time.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking, and prints what it measured"
)]

mod stage;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let chain = stage::eight_steps();
    let region = Region::new(ALLOCATOR);
    runtime.block_on(stage::run(&chain));
    let counted = region.change();

    let each = |count: usize| count as f64 / stage::STEPS_RUN as f64;
    let calls = each(counted.allocations + counted.reallocations);
    let what = |what| format!("one of eight steps that render 1 KB, {what}");
    stage::print(&what("allocations"), calls, "allocations", Some(60.0));
    stage::print(
        &what("what it allocates"),
        each(counted.bytes_allocated) / 1e3,
        "KB",
        None,
    );
}
