//! Which step waits for which: the order comes from references, not from the file.

use serde_json::{Value, json};
use yaml::Problems;

use super::{block::Block, steps::Step};

/// For each step the places of the steps that it reads. Repeated ids and circles are problems; a circle is opened, so that
/// the rest can still be checked.
pub(crate) fn order(steps: &[Step], problems: &Problems) -> Vec<Vec<usize>> {
    let place = |id: &str| steps.iter().position(|step| step.id == id);
    let mut waits_for = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if place(&step.id) != Some(at) {
            let message = format!("there are two steps `{}`", step.id);
            problems.add(step.position, message, "rename one: templates find steps by their id");
        }
        waits_for.push(step.reads().iter().filter_map(|id| place(id)).collect());
    }
    break_circles(steps, &mut waits_for, problems);
    waits_for
}

/// The steps in an order in which each comes after those it waits for.
pub(crate) fn sorted(waits_for: &[Vec<usize>]) -> Vec<usize> {
    let mut sorted: Vec<usize> = Vec::new();
    while sorted.len() < waits_for.len() {
        let next = (0..waits_for.len())
            .find(|step| !sorted.contains(step) && waits_for[*step].iter().all(|before| sorted.contains(before)));
        match next {
            Some(step) => sorted.push(step),
            None => break,
        }
    }
    sorted
}

/// The steps with their kinds and what each waits for, as the `chains` topic carries it; a step that holds others has them
/// in `blocks`.
pub(crate) fn describe(block: &Block) -> Value {
    let step = |(step, reads): (&Step, _)| {
        let reads: Vec<&str> = Iterator::map(reads, |read: &Step| read.id.as_str()).collect();
        let mut described = json!({"id": step.id, "kind": step.kind(), "waits_for": reads});
        let blocks: Vec<Value> = step
            .blocks()
            .into_iter()
            .map(|(name, block)| json!({"name": name, "steps": describe(block)["steps"]}))
            .collect();
        if !blocks.is_empty() {
            described["blocks"] = Value::Array(blocks);
        }
        described
    };
    json!({"steps": block.steps().map(step).collect::<Vec<_>>()})
}

fn break_circles(steps: &[Step], waits_for: &mut [Vec<usize>], problems: &Problems) {
    loop {
        let settled = sorted(waits_for);
        let Some(start) = (0..waits_for.len()).find(|step| !settled.contains(step)) else {
            return;
        };
        // Every step that is not settled waits for one that is not settled either: following them leads into the circle.
        let mut path = vec![start];
        let (from, to) = loop {
            let last = path[path.len() - 1];
            match waits_for[last].iter().find(|read| !settled.contains(read)) {
                Some(next) if path.contains(next) => break (last, *next),
                Some(next) => path.push(*next),
                None => return,
            }
        };
        let circle = path.iter().skip_while(|step| **step != to).chain([&to]);
        let names: Vec<String> = circle.map(|step| format!("`{}`", steps[*step].id)).collect();
        let message = format!("steps that wait for each other: {}", names.join(" reads "));
        problems.add(
            steps[to].position,
            message,
            "a step may read only what can be ready before it",
        );
        waits_for[from].retain(|read| *read != to);
    }
}
