use std::{fmt::Write, path::Path, process::ExitCode};

use orchestrator::Resources;
use serde_json::Value;

use super::read;
use crate::command::output;

pub(super) fn execute(file: &Path, resources: &Resources) -> anyhow::Result<ExitCode> {
    let Some(chain) = read(file, resources)? else {
        return Ok(ExitCode::FAILURE);
    };
    output::text(mermaid(&chain.graph()))?;
    Ok(ExitCode::SUCCESS)
}

/// A flowchart in Mermaid's language (<https://mermaid.js.org/syntax/flowchart.html>): a step is a box with its kind, a step
/// that holds others is a box around them.
fn mermaid(graph: &Value) -> String {
    let mut chart = String::from("flowchart TD\n");
    let steps = list(&graph["steps"]);
    let is_read = |id: &str| {
        steps
            .iter()
            .any(|step| list(&step["waits_for"]).iter().any(|read| read == id))
    };
    chart.push_str("    input([input])\n    output([output])\n");
    draw(steps, "", 1, &mut chart);
    for step in steps {
        let id = text(&step["id"]);
        if list(&step["waits_for"]).is_empty() {
            let _ = writeln!(chart, "    input --> s_{id}");
        }
        if !is_read(id) {
            let _ = writeln!(chart, "    s_{id} --> output");
        }
    }
    chart
}

/// `within`: the ids of what is around, joined, so that steps of two branches may have one name.
fn draw(steps: &[Value], within: &str, depth: usize, chart: &mut String) {
    let indent = "    ".repeat(depth);
    for step in steps {
        let (id, kind) = (text(&step["id"]), text(&step["kind"]));
        let name = format!("{within}{id}");
        let blocks = list(&step["blocks"]);
        if blocks.is_empty() {
            let _ = writeln!(chart, "{indent}s_{name}[\"{id}<br/><small>{kind}</small>\"]");
        } else {
            let _ = writeln!(chart, "{indent}subgraph s_{name}[\"{id} ({kind})\"]");
            for (number, block) in blocks.iter().enumerate() {
                let inner = format!("{name}_{number}");
                let _ = writeln!(
                    chart,
                    "{indent}    subgraph s_{inner}[\"{}\"]",
                    escaped(text(&block["name"]))
                );
                draw(list(&block["steps"]), &format!("{inner}_"), depth + 2, chart);
                let _ = writeln!(chart, "{indent}    end");
            }
            let _ = writeln!(chart, "{indent}end");
        }
    }
    for step in steps {
        for read in list(&step["waits_for"]) {
            let _ = writeln!(
                chart,
                "{indent}s_{within}{} --> s_{within}{}",
                text(read),
                text(&step["id"])
            );
        }
    }
}

/// The names of cases are texts of the file's author.
fn escaped(text: &str) -> String {
    text.replace('"', "#quot;")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn steps_are_boxes_and_what_holds_steps_is_around_them() {
        let graph = json!({"steps": [
            {"id": "docs", "kind": "retrieve", "waits_for": []},
            {"id": "both", "kind": "parallel", "waits_for": ["docs"], "blocks": [
                {"name": "a", "steps": [{"id": "one", "kind": "chat", "waits_for": []}]}]}]});

        assert_eq!(
            mermaid(&graph),
            "\
flowchart TD
    input([input])
    output([output])
    s_docs[\"docs<br/><small>retrieve</small>\"]
    subgraph s_both[\"both (parallel)\"]
        subgraph s_both_0[\"a\"]
            s_both_0_one[\"one<br/><small>chat</small>\"]
        end
    end
    s_docs --> s_both
    input --> s_docs
    s_both --> output
"
        );
    }
}
