//! Whatever a file holds, it is a chain or gets an answer; nothing panics.

use orchestrator::Chain;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::resources::resources;

/// Words that lead far into the reading of a chain, so that noise gets there too.
const WORDS: &[&str] = &[
    "apiVersion: chain/v1",
    "kind: Chain",
    "metadata: ",
    "name: a",
    "version: 1",
    "input: ",
    "schema: ",
    "params: ",
    "steps: ",
    "  - ",
    "id: a",
    "chat: ",
    "embed: ",
    "retrieve: ",
    "http: ",
    "url: ",
    "https://api.example.com/",
    "method: POST",
    "query: ",
    "response: ",
    "rerank: ",
    "redact: ",
    "provider: ",
    "audit: ",
    "strategy: hash",
    "documents: ",
    "index: films",
    "filter: ",
    "$in: ",
    "year: ",
    "transform: ",
    "switch: ",
    "on: ",
    "cases: ",
    "default: ",
    "map: ",
    "over: ",
    "as: n",
    "max_items: 2",
    "loop: ",
    "max: 2",
    "stream: true",
    "strict: true",
    "method: json_mode",
    "stop: ",
    "seed: ",
    "history: ",
    "content: [{text: a}, {image: ",
    "detail: low",
    "examples: [{input: a, output: b}]",
    "defaults: {timeout: 1s}",
    "until: ",
    "parallel: ",
    "branches: ",
    "parse: ",
    "approve: ",
    "message: ",
    "when: ",
    "fallback: ",
    "retry: ",
    "tools: ",
    "output: ",
    "emit: {topic: acme.refunds, value: avro}",
    "value: ",
    "model: answer",
    "messages: ",
    "role: system",
    "content: ",
    "{{ ",
    "}}",
    "{% for x in ",
    "%}",
    "{% endfor %}",
    "steps.a",
    "input.",
    "type: object",
    "properties: ",
    "| default(1)",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "\n",
    "  ",
    "\"",
    "'",
    "&a",
    "*a",
    "!t",
    "|\n",
    ">\n",
    "#",
    "---",
    "\u{1F600}0x-1e9",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn noise_in_the_words_of_the_language(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..60)) {
        let _ = Chain::read(&words.concat(), "any.yaml", &resources());
    }

    #[test]
    fn noise(source in "\\PC{0,200}") {
        let _ = Chain::read(&source, "any.yaml", &resources());
    }

    #[test]
    fn any_template(template in "(\\{\\{|\\}\\}|\\{%|%\\}|input|steps|params|\\.|\\[|\\]|'|\"|\\||upper|default|\\(|\\)|for|in|if|is|end|set|=|~|-|\\+|[a-z0-9 é])*") {
        read_template(&template);
    }

    #[test]
    fn any_json_is_accepted_or_refused(input in any_json()) {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../chains/answer.yaml");
        let chain = Chain::read(&std::fs::read_to_string(shipped).unwrap(), "answer.yaml", &resources()).unwrap();
        let _ = chain.accept(input.clone(), Value::Null);
        let _ = chain.accept(json!({"question": "why?"}), input.clone());
        let _ = chain.resume(&input.to_string(), 1, input);
    }
}

/// Left to right such an expression is a tree as deep as it is long: what is let through fits the stack of a thread.
#[test]
fn a_very_long_expression_is_refused_or_read() {
    for operator in ["+1", "~1", " and 1", ".a", "|upper", "[0]", " if 1 else 1"] {
        for times in [150, 300, 450, 30_000] {
            read_template(&format!("{{{{ input{} }}}}", operator.repeat(times)));
        }
    }
    for times in [150, 300, 30_000] {
        read_template(&format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 2 %}".repeat(times)));
        read_template(&format!("{{{{ {}1{} }}}}", "(".repeat(times), ")".repeat(times)));
    }
}

fn read_template(template: &str) {
    let chain = json!({
        "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "a", "version": 1},
        "input": {"schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
        "steps": [{"id": "a", "chat": {"model": "answer", "messages": [{"role": "system", "content": template}]}}],
        "output": {"value": "{{ steps.a.text }}"}});
    let _ = Chain::read(&chain.to_string(), "any.yaml", &resources());
    for url in [template.to_owned(), format!("https://api.example.com/{template}")] {
        let mut chain = chain.clone();
        chain["steps"] = json!([{"id": "a", "http": {"url": url, "query": {"q": template}, "body": template}}]);
        let _ = Chain::read(&chain.to_string(), "any.yaml", &resources());
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map("question|top_k|[a-z]{0,5}", inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}
