//! What the author of a wrong chain file is told: `wrong/<name>.yaml` → `wrong/<name>.txt`.

use std::{fs, path::Path, sync::Arc};

use orchestrator::{Chain, Resources};

use crate::resources::resources;

/// Chains that a wrong one may run.
const OTHERS: [&str; 2] = [
    "{apiVersion: chain/v1, kind: Chain, metadata: {name: triage, version: 1},
      input: {schema: {type: object, required: [text], properties: {text: {type: string, x-trust: untrusted}}}},
      params: {limit: {type: integer, minimum: 1, maximum: 10, default: 3}, tone: {enum: [dry, warm], default: dry}},
      steps: [{id: kind, transform: 1}], output: {value: 1}}",
    "{apiVersion: chain/v1, kind: Chain, metadata: {name: plain, version: 1},
      input: {schema: {}}, steps: [{id: said, transform: 1}], output: {value: 1}}",
];

fn with_others() -> Resources {
    let mut resources = resources();
    for source in OTHERS {
        let chain = Chain::read(source, "other.yaml", &resources).unwrap();
        resources.chains.add(Arc::new(chain));
    }
    resources
}

#[test]
fn every_wrong_file_gets_the_help_it_got_before() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let (resources, mut differing) = (with_others(), Vec::new());
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let problems = Chain::read(&fs::read_to_string(&path).unwrap(), &name, &resources).expect_err(&name);
        let told: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
        let golden = path.with_extension("txt");
        if update {
            fs::write(&golden, &told).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != told {
            differing.push(format!("--- {name} is told now:\n{told}"));
        }
    }
    assert!(
        differing.is_empty(),
        "{}\nUPDATE_GOLDEN=1 takes it over, if it is better",
        differing.join("\n")
    );
}
