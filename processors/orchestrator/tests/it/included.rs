//! A schema in a file of its own: what it is for, and what is said where it is not there.

use std::{fs, path::Path};

use orchestrator::{Chain, LoadError, load_one};
use schemas::ChainRecord;
use serde_json::json;

use crate::resources::resources;

const ORDER: &str =
    "{\n  \"type\": \"object\",\n  \"required\": [\"id\"],\n  \"properties\": {\"id\": {\"type\": \"string\"}}\n}\n";

/// Each reference stands in front of something that has a place.
fn chain(input: &str, output: &str, value: &str) -> String {
    format!(
        "apiVersion: chain/v1\nkind: Chain\nmetadata: {{name: orders, version: 1}}\ninput: {{{input}}}\n\
         steps: [{{id: name, transform: \"{{{{ input.id | upper }}}}\"}}]\noutput: {{{output}, value: \"{value}\"}}\n\
         tests: [{{name: a value may have any key, input: {{id: a, schema_ref: nowhere.json}}, expect: {{output: {{id: A}}}}}}]\n"
    )
}

fn told(folder: &Path) -> String {
    match load_one(&folder.join("orders.yaml"), &resources()) {
        Ok(chain) => panic!("{} has no mistake", chain.key()),
        Err(LoadError::Problems(problems)) => {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            told.join("\n").replace(&format!("{}/", folder.display()), "")
        }
        Err(error @ LoadError::Read { .. }) => panic!("{error}"),
    }
}

#[test]
fn a_chain_with_a_reference_is_the_chain_with_the_schema_in_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("shapes")).unwrap();
    fs::write(folder.path().join("shapes/order.json"), ORDER).unwrap();
    let whole = chain(
        "schema: {type: object, required: [id], properties: {id: {type: string}}}",
        "schema: {type: object, required: [id], properties: {id: {type: string}}}",
        "{{ {'id': steps.name} }}",
    );
    let whole = Chain::read(&whole, "whole.yaml", &resources()).unwrap();
    let file = folder.path().join("orders.yaml");
    let refers = chain(
        "schema_ref: shapes/order.json",
        "schema_ref: 'shapes/order.json'",
        "{{ {'id': steps.name} }}",
    );
    fs::write(&file, &refers).unwrap();

    let loaded = load_one(&file, &resources()).unwrap();
    assert_eq!(loaded.id, whole.id);
    assert!(loaded.accept(json!({"id": "a"}), json!({})).is_ok());
    let refused = loaded.accept(json!({"id": 1}), json!({})).unwrap_err();
    assert!(refused.contains("/id"), "{refused}");

    // Another process knows the source alone.
    let learned = ChainRecord {
        name: loaded.name.clone(),
        version: loaded.version,
        digest: loaded.digest.clone(),
        source: loaded.source.clone(),
        ..ChainRecord::default()
    };
    let (chains, resources) = crate::chains::empty();
    chains.learn(&learned, &resources).unwrap();
    assert_eq!(chains.find("orders").unwrap().id, loaded.id);

    fs::write(
        folder.path().join("shapes/order.json"),
        ORDER.replace("\"string\"", "\"string\", \"maxLength\": 9"),
    )
    .unwrap();
    let changed = load_one(&file, &resources).unwrap();
    assert_ne!(changed.digest, loaded.digest, "a schema that changes is another chain");
}

#[test]
fn what_a_schema_says_in_unusual_letters_stays() {
    let folder = tempfile::tempdir().unwrap();
    let odd = json!({"description": "\u{7f}\u{85}\u{2028}\u{feff}\u{0}\t\"\\ é 🦀 # : - {}"});
    fs::write(folder.path().join("odd.json"), odd.to_string()).unwrap();
    let file = folder.path().join("orders.yaml");
    fs::write(&file, chain("schema_ref: odd.json", "schema: {}", "{{ steps.name }}")).unwrap();

    assert_eq!(load_one(&file, &resources()).unwrap().input_schema(), &odd);
}

#[test]
fn every_mistake_is_told_where_it_can_be_mended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.yaml");

    fs::write(folder.path().join("order.json"), ORDER).unwrap();
    let refers = chain("schema_ref: order.json", "schema_ref: order.json", "{{ steps.nmae }}");
    fs::write(&file, refers).unwrap();
    assert_eq!(
        told(folder.path()),
        "orders.yaml:6:45: there is no `steps.nmae`\n  help: did you mean `name`?"
    );

    fs::write(
        folder.path().join("order.json"),
        ORDER.replace("\"string\"", "\"text\""),
    )
    .unwrap();
    let refers = chain(
        "schema_ref: order.json",
        "schema_ref: ../order.json",
        "{{ steps.nmae }}",
    );
    fs::write(&file, refers).unwrap();
    assert_eq!(
        told(folder.path()),
        "orders.yaml:6:48: there is no `steps.nmae`\n  help: did you mean `name`?\n\
         orders.yaml:6:22: `schema_ref: ../order.json` leads out of the folder of the chain's file\n  \
         help: put the schema beside the chain, or in a folder below it\n\
         order.json:4:33: the schema is not a valid schema: there is no `type: text`\n  help: there is: object, array, string, \
         number, integer, boolean, null"
    );

    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("link.json")).unwrap();
    let refers = chain("schema_ref: link.json", "schema_ref: order.yaml", "{{ steps.name }}");
    fs::write(&file, refers).unwrap();
    assert_eq!(
        told(folder.path()),
        "orders.yaml:4:21: `schema_ref: link.json` leads out of the folder of the chain's file\n  \
         help: put the schema beside the chain, or in a folder below it\n\
         orders.yaml:6:22: `schema_ref: order.yaml` is no JSON file\n  help: the name of a schema's file ends in `.json`"
    );

    let refers = chain(
        "schema_ref: gone.json",
        "schema_ref: order.json, schema: {}",
        "{{ steps.name }}",
    );
    fs::write(&file, refers).unwrap();
    let told = told(folder.path());
    assert!(
        told.contains("orders.yaml:4:21: the schema `gone.json` cannot be read: No such file"),
        "{told}"
    );
    assert!(told.contains("`schema` is given twice"), "{told}");
}
