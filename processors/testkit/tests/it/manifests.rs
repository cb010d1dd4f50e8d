//! The architecture as absences: who must not know whom, held over the manifests of the workspace.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

/// A package, and the crates that may name it outside their tests. `testkit` is exempt: its floors need the raw parts.
const MAY_KNOW: [(&str, &[&str]); 6] = [
    ("rdkafka", &["topics"]),
    ("apache-avro", &["schemas"]),
    ("schema_registry_converter", &["schemas"]),
    ("warp", &["api"]),
    ("reqwest", &["models", "retrieval", "egress", "schemas"]),
    ("sqlx", &["recorder", "api"]),
];

/// A crate, and the crates of this workspace that it may name outside its tests.
const MAY_USE: [(&str, &[&str]); 11] = [
    ("yaml", &[]),
    ("schemas", &[]),
    ("topics", &["yaml"]),
    ("retrieval", &[]),
    // the one reader of JSON, for what services answer
    ("egress", &["schemas"]),
    ("models", &["schemas", "yaml"]),
    (
        "orchestrator",
        &["schemas", "topics", "models", "retrieval", "egress", "yaml"],
    ),
    ("indexer", &["schemas", "topics", "models", "retrieval"]),
    ("recorder", &["schemas", "topics"]),
    ("api", &["schemas", "topics"]),
    ("testkit", &["schemas", "topics"]),
];

#[test]
fn each_outside_package_is_known_in_one_room_only() {
    let crates = dependencies();
    for (package, rooms) in MAY_KNOW {
        let strangers: Vec<&String> = crates
            .iter()
            .filter(|(name, _)| name.as_str() != "testkit" && !rooms.contains(&name.as_str()))
            .filter_map(|(name, needs)| needs.iter().any(|need| need == package).then_some(name))
            .collect();
        assert!(
            strangers.is_empty(),
            "{package} belongs to {rooms:?}, but {strangers:?} name it"
        );
    }
}

#[test]
fn crates_know_only_the_crates_below_them() {
    let crates = dependencies();
    for (name, below) in MAY_USE {
        let needs = &crates[name];
        let above: Vec<&String> = needs
            .iter()
            .filter(|need| crates.contains_key(need.as_str()) && !below.contains(&need.as_str()))
            .collect();
        assert!(above.is_empty(), "{name} may know {below:?}, not {above:?}");
    }
}

#[test]
fn there_are_no_drawers() {
    let listing = run("git", &["ls-files", "--cached", "--others", "--exclude-standard"]);
    let drawers: Vec<&str> = listing
        .lines()
        .filter(|path| {
            path.split(['/', '.'])
                .any(|part| matches!(part, "common" | "util" | "utils" | "helper" | "helpers"))
        })
        .collect();
    assert!(
        drawers.is_empty(),
        "a name that says nothing about what is inside: {drawers:?}"
    );
}

/// The normal dependencies of each crate of the workspace.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let metadata: Value =
        serde_json::from_str(&run(env!("CARGO"), &["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let needs = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| dependency["kind"].is_null())
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .collect();
            (package["name"].as_str().unwrap().to_owned(), needs)
        })
        .collect()
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
