//! The chains of one process: several versions side by side, from files and from others.

use std::fs;

use orchestrator::{Chain, Chains, LoadError, Missing, Resources};
use schemas::ChainRecord;

use crate::resources::resources;

fn source(name: &str, version: i32, step: &str) -> String {
    format!(
        "apiVersion: chain/v1\nkind: Chain\nmetadata: {{name: {name}, version: {version}}}\ninput: {{schema: {{}}}}\n\
         steps: [{{id: a, {step}}}]\noutput: {{value: 1}}\n"
    )
}

fn published(name: &str, version: i32, step: &str, digest: &str) -> ChainRecord {
    let source = source(name, version, step);
    ChainRecord {
        name: name.to_owned(),
        version,
        digest: digest.to_owned(),
        source,
        ..ChainRecord::default()
    }
}

pub(crate) fn empty() -> (Chains, Resources) {
    (Chains::load(&[], &resources()).unwrap(), resources())
}

#[test]
fn no_version_means_the_highest() {
    let (chains, resources) = empty();
    for version in [2, 10, 9] {
        chains
            .learn(&published("mine", version, "transform: 1", "d"), &resources)
            .unwrap();
    }

    assert_eq!(chains.find("mine").unwrap().version, 10);
    assert_eq!(chains.find("mine@9").unwrap().version, 9);
    assert!(matches!(chains.find("mine@3"), Err(Missing::Unknown { .. })));
    assert!(matches!(chains.find("yours"), Err(Missing::Unknown { .. })));
    for reference in ["", "@1", "mine@", "mine@x", "mine@1@2"] {
        assert!(
            matches!(chains.find(reference), Err(Missing::Malformed { .. })),
            "{reference}"
        );
    }
}

#[test]
fn a_version_that_needs_what_is_not_here_is_known_but_not_chosen() {
    let (chains, resources) = empty();
    let newer = "chat: {model: brand-new, messages: [{role: user, content: hello}]}";
    chains
        .learn(&published("mine", 1, "transform: 1", "d1"), &resources)
        .unwrap();
    chains.learn(&published("mine", 2, newer, "d2"), &resources).unwrap();

    assert_eq!(
        chains.find("mine").unwrap().version,
        1,
        "an older deployment goes on with what it has"
    );
    let missing = chains.find("mine@2").unwrap_err();
    assert!(
        missing.to_string().contains("the models file has no `brand-new`"),
        "{missing}"
    );
}

#[test]
fn a_version_never_changes_its_content() {
    let (chains, resources) = empty();
    let chain = Chain::read(&source("mine", 1, "transform: 1"), "mine.yaml", &resources).unwrap();
    let first = published("mine", 1, "transform: 1", &chain.digest);
    chains.learn(&first, &resources).unwrap();
    chains.learn(&first, &resources).unwrap();

    let conflict = chains
        .learn(&published("mine", 1, "transform: 2", "other"), &resources)
        .unwrap_err();

    assert_eq!(
        (conflict.key.as_str(), conflict.published.as_str()),
        ("mine@1", "other")
    );
    assert_eq!(chains.find("mine@1").unwrap().digest, chain.digest);
}

#[test]
fn every_mistake_of_every_file_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (file, source) in [
        ("a.yaml", source("mine", 1, "transform: 1")),
        ("b.yml", source("mine", 1, "transform: 2")),
        ("c.yaml", source("yours", 1, "transform: \"{{ x }}\"")),
        ("notes.txt", "not a chain".to_owned()),
    ] {
        fs::write(folder.path().join(file), source).unwrap();
    }

    let error = Chains::load(&[folder.path().to_owned()], &resources()).unwrap_err();

    let LoadError::Problems(problems) = error else {
        panic!("{error}")
    };
    let told: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(told, ["another file is chain `mine@1` too", "there is no `x`"]);
    let missing = Chains::load(&[folder.path().join("none")], &resources()).unwrap_err();
    let said = missing.to_string();
    assert!(said.contains("none;") && said.contains("MILLRACE_CHAINS"), "{said}");
}

fn file(folder: &std::path::Path, name: &str, step: &str) {
    fs::write(folder.join(format!("{name}.yaml")), source(name, 1, step)).unwrap();
}

#[test]
fn a_chain_runs_another_whatever_their_order() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "outer", "chain: {name: zinner@1, input: {}}");
    file(folder.path(), "zinner", "transform: 1");

    let chains = Chains::load(&[folder.path().to_owned()], &resources()).unwrap();
    chains.find("outer").unwrap();
    orchestrator::load_one(&folder.path().join("outer.yaml"), &resources()).unwrap();

    // Published in this order, the outer one has to wait.
    let (chains, resources) = empty();
    chains
        .learn(
            &published("outer", 1, "chain: {name: zinner@1, input: {}}", "d1"),
            &resources,
        )
        .unwrap();
    let missing = chains.find("outer").unwrap_err();
    assert!(
        missing.to_string().contains("there is no chain `zinner@1`"),
        "{missing}"
    );
    chains
        .learn(&published("zinner", 1, "transform: 1", "d2"), &resources)
        .unwrap();
    chains.find("outer").unwrap();
}

#[test]
fn chains_that_run_each_other_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "a", "chain: {name: b@1, input: {}}");
    file(folder.path(), "b", "chain: {name: c@1, input: {}}");
    file(folder.path(), "c", "chain: {name: a@1, input: {}}");
    file(folder.path(), "fine", "transform: 1");

    let error = Chains::load(&[folder.path().to_owned()], &resources()).unwrap_err();

    assert!(
        error
            .to_string()
            .contains("chains that run each other: this one runs b@1"),
        "{error}"
    );
    assert!(!error.to_string().contains("there is no chain"), "{error}");
}
