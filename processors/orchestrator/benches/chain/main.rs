//! What a chain costs around its calls: `make bench SCENARIO=chain`. One JSON object a line, as the other scenarios print.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench fails by panicking, and prints what it measured"
)]

mod late;
mod stage;
mod work;

const ROUNDS: usize = 7;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        work::steps().await;
        work::chats().await;
        work::lint();
        work::branches().await;
        late::every_kind().await;
    });
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}
