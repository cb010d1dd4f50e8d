//! What people do with a chain file, by hand.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};

struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// In a folder of its own, with `chains/` in it.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("chains")).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join("chains").join(name), text).unwrap();
    }

    fn chain(&self, arguments: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_millrace"))
            .arg("chain")
            .args(arguments)
            .current_dir(self.0.path())
            .env(
                "MILLRACE_CONFIG",
                Path::new(env!("CARGO_MANIFEST_DIR")).join("millrace.yaml"),
            )
            .env("MILLRACE_CHAINS", self.0.path().join("chains"))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

fn shipped(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chains");
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn a_chain_begins_is_mended_and_tried() {
    let desk = Desk::new();

    let new = desk.chain(&["new", "sorter", "--from", "triage"]);
    assert_eq!(new.code, 0, "{}", new.err);
    assert!(new.out.contains("chains/sorter.yaml is there"), "{}", new.out);
    let again = desk.chain(&["new", "sorter"]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("already there"), "{}", again.err);

    let lint = desk.chain(&["lint"]);
    assert!(lint.out.starts_with("sorter@1  "), "{}", lint.out);
    assert!(lint.out.contains("at most 3 calls, "), "{}", lint.out);
    let test = desk.chain(&["test"]);
    assert_eq!((test.code, test.out.lines().last()), (0, Some("2 passed, 0 failed")));

    let text = fs::read_to_string(desk.0.path().join("chains/sorter.yaml")).unwrap();
    desk.write(
        "sorter.yaml",
        &text.replace("{queue: on-call, urgent: true}", "{queue: on-cal, urgent: true}"),
    );
    let wrong = desk.chain(&["lint"]);
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.contains("`.queue` may be `on-cal`"), "{}", wrong.err);
    assert!(wrong.err.contains("/chains/sorter.yaml:"), "{}", wrong.err);
    assert!(wrong.err.contains("^^^"), "{}", wrong.err);

    desk.write(
        "sorter.yaml",
        &text.replace("{queue: on-call, urgent: true}", "{queue: support, urgent: true}"),
    );
    let failed = desk.chain(&["test"]);
    assert_eq!(failed.code, 1);
    assert!(
        failed.out.contains("FAIL  sorter@1: an outage is urgent"),
        "{}",
        failed.out
    );
    assert!(failed.out.contains("-     \"queue\": \"on-call\""), "{}", failed.out);
    assert!(failed.out.contains("+     \"queue\": \"support\""), "{}", failed.out);
}

#[test]
fn what_would_be_sent_is_shown_to_the_byte() {
    let desk = Desk::new();
    desk.write("answer.yaml", &shipped("answer.yaml"));

    let without = desk.chain(&["render", "chains/answer.yaml", r#"{"question": "Who?"}"#]);
    assert!(without.err.contains("--mock 'docs="), "{}", without.err);

    let docs = r#"docs={"items": [{"id": "a", "score": 1, "text": "It was Ada.", "metadata": {}}]}"#;
    let shown = desk.chain(&[
        "render",
        "chains/answer.yaml",
        r#"{"question": "Who?"}"#,
        "--mock",
        docs,
    ]);
    let request: Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(
        (&request["step"], &request["provider"]),
        (&json!("answer"), &json!("local"))
    );
    let prompt = request["body"][1]["content"].as_str().unwrap();
    assert!(prompt.contains("<doc id=\"a\">It was Ada.</doc>"), "{prompt}");
    assert!(shown.err.contains("--mock 'answer="), "{}", shown.err);
}

#[test]
fn a_rerank_is_shown_as_it_goes_to_pinecone() {
    let desk = Desk::new();
    desk.write(
        "best.yaml",
        "apiVersion: chain/v1\nkind: Chain\nmetadata: {name: best, version: 1}\ninput: {schema: {}}\n\
         redact: {provider: {types: [email]}}\nsteps:\n\
         - {id: best, rerank: {model: bge-reranker-v2-m3, query: \"{{ input.q }}\", documents: [ada@example.com, Eve], top_n: 1}}\n\
         output: {value: \"{{ steps.best.items }}\"}\n",
    );

    let shown = desk.chain(&["render", "chains/best.yaml", r#"{"q": "Who?"}"#]);

    let request: Value = serde_json::from_str(&shown.out).unwrap();
    assert!(request["url"].as_str().unwrap().ends_with("/rerank"), "{request}");
    assert_eq!(
        request["body"],
        json!({
            "model": "bge-reranker-v2-m3", "query": "Who?", "documents": [{"text": "[REDACTED_EMAIL]"}, {"text": "Eve"}],
            "rank_fields": ["text"], "return_documents": false, "top_n": 1})
    );
    assert!(shown.err.contains("--mock 'best="), "{}", shown.err);
}

#[test]
fn a_new_version_says_whom_it_breaks() {
    let desk = Desk::new();
    let before = shipped("summarize.yaml");
    desk.write("before.yaml", &before);
    desk.write("same.yaml", &format!("# only a comment\n{before}"));
    desk.write(
        "after.yaml",
        &before.replace("required: [text]", "required: [text, about]"),
    );

    let diff = |after: &str| desk.chain(&["diff", "chains/before.yaml", after, "--fail-on-breaking"]);
    let same = diff("chains/same.yaml");
    assert_eq!((same.code, same.out.as_str()), (0, "the same in meaning\n"));
    let after = diff("chains/after.yaml");
    assert_eq!(after.code, 1);
    assert!(
        after.out.contains("+ input.schema.required.1: \"about\""),
        "{}",
        after.out
    );
    assert!(
        after.out.contains("BREAKS callers: `.about` may be absent"),
        "{}",
        after.out
    );
}

#[test]
fn a_chain_is_drawn_and_its_language_told() {
    let desk = Desk::new();
    desk.write("triage.yaml", &shipped("triage.yaml"));

    let graph = desk.chain(&["graph", "chains/triage.yaml"]);
    assert!(graph.out.starts_with("flowchart TD\n"), "{}", graph.out);
    assert!(
        graph.out.contains("subgraph s_route[\"route (switch)\"]"),
        "{}",
        graph.out
    );

    let schema = desk.chain(&["schema"]);
    let schema: Value = serde_json::from_str(&schema.out).unwrap();
    assert_eq!(schema["title"], "A chain of Millrace");
}
