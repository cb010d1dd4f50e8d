//! How late runs end that are in the middle of something.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    ROUNDS, median,
    stage::{chain, context, print, resources},
};

/// How long after its deadline a run ends that is busy with something long.
pub async fn deadlines() {
    const DEADLINE: Duration = Duration::from_millis(5);
    let long = "{% for a in range(100000) %}{% for b in range(100000) %}{{ a * b }}{% endfor %}{% endfor %}";
    let nested = json!([{"id": "inner", "transform": "{% for a in range(2000) %}{{ a }}{% endfor %}"}]);
    for (what, steps) in [
        (
            "a template that would never end",
            json!([{"id": "long", "transform": long}]),
        ),
        (
            "a loop that would never end",
            json!([{"id": "long", "loop": {"max": 1_000_000, "until": false, "steps": nested}}]),
        ),
        (
            "a map that takes long",
            json!([{"id": "long", "map": {
                "over": "{{ range(100000) | list }}", "as": "n", "max_items": 100_000, "steps": nested}}]),
        ),
    ] {
        let trial = json!({"name": "t", "input": {"question": 1}, "expect": {"error": "deadline_exceeded"}});
        let chain = chain("late", &steps, "1", &json!([trial]), &resources());
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            chain.try_out(&chain.trials()[0], &context(DEADLINE)).await;
            rounds.push((began.elapsed().saturating_sub(DEADLINE)).as_secs_f64() * 1e3);
        }
        print(&format!("{what}, past its deadline"), median(rounds), "ms", Some(50.0));
    }
}
