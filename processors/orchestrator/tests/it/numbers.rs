//! No number changes on its way through a chain: it comes out as it went in, or the step that would change it fails.

use orchestrator::{Chain, Ending};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::run::{Run, failure};

/// Where a run goes on.
struct Place {
    runtime: Runtime,
    run: Run,
}

impl Place {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let run = runtime.block_on(Run::new());
        let inner = "apiVersion: chain/v1\nkind: Chain\nmetadata: {name: inner, version: 1}\ninput: {schema: {}}\n\
                     steps: [{id: a, transform: \"{{ input }}\"}]\noutput: {value: \"{{ steps.a }}\"}\n";
        let inner = run.read(inner);
        Self {
            run: run.knowing(inner),
            runtime,
        }
    }

    fn chain(&self, steps: &Value, output: &str) -> Chain {
        self.run.chain(steps, output)
    }

    /// The output as text, which tells -0.0 from 0; or the class of the failure.
    fn output(&self, chain: &Chain, input: Value) -> Result<String, String> {
        let outcome = self.runtime.block_on(self.run.run(chain, input));
        match &outcome.ending {
            Ending::Completed(output) => Ok(output.to_string()),
            _ => Err(failure(&outcome).class.clone()),
        }
    }

    fn of(&self, expression: &str, input: Value) -> Result<String, String> {
        let chain = self.chain(&json!([{"id": "a", "transform": expression}]), "{{ steps.a }}");
        self.output(&chain, input)
    }
}

fn any_number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no other", |number| number.is_finite())
            .prop_map(Value::from),
        prop::sample::select(vec![
            json!(-0.0),
            json!(9_007_199_254_740_993_u64),
            json!(5e-324),
            json!(f64::MAX),
            json!(1e22)
        ]),
    ]
}

#[test]
fn numbers_come_out_as_they_went_in() {
    let place = Place::new();
    let chain = place.chain(
        &json!([
            {"id": "made", "transform": {"as_is": "{{ input.n }}", "list": ["{{ input.list }}"], "text": "{{ input | tojson }}"}},
            {"id": "each", "map": {"over": "{{ input.list }}", "as": "item", "max_items": 9, "steps": [
                {"id": "same", "transform": {"n": "{{ item }}"}}]}},
            {"id": "inner", "chain": {"name": "inner@1", "input": "{{ input }}"}},
            {"id": "parsed", "parse": {"text": "{{ steps.made.text }}", "json": {}}},
            {"id": "chosen", "switch": {"cases": [{"when": "{{ input.list | length > 100 }}", "steps": [{"id": "no", "transform": 1}]}],
                "default": [{"id": "yes", "transform": "{{ input.list | sort | unique | list }}"}]}}]),
        "{{ [steps.made.as_is, steps.made.list[0], steps.each.items | map(attribute='n') | list, steps.inner, steps.parsed] }}",
    );
    proptest!(ProptestConfig::with_cases(100), |(n in any_number(), list in prop::collection::vec(any_number(), 1..5))| {
        let input = json!({"n": n, "list": list});
        let expected = json!([n, list, list, input, input]).to_string();
        prop_assert_eq!(place.output(&chain, input), Ok(expected));
    });
}

#[test]
fn what_is_computed_is_exact_or_fails() {
    let place = Place::new();
    let failed = || Err("template".to_owned());
    let chain = |expression: &str| place.chain(&json!([{"id": "a", "transform": expression}]), "{{ steps.a }}");
    let (sum, product) = (chain("{{ input.a + input.b }}"), chain("{{ input.a * input.b }}"));
    proptest!(ProptestConfig::with_cases(100), |(a in any::<i64>(), b in any::<i64>(), x in any::<f64>(), y in any::<f64>())| {
        for (chain, exact) in [(&sum, i128::from(a) + i128::from(b)), (&product, i128::from(a) * i128::from(b))] {
            let holds = i64::try_from(exact).is_ok() || u64::try_from(exact).is_ok();
            let expected = if holds { Ok(exact.to_string()) } else { failed() };
            prop_assert_eq!(place.output(chain, json!({"a": a, "b": b})), expected);
        }
        if x.is_finite() && y.is_finite() {
            let exact = x * y;
            let expected = if exact.is_finite() { Ok(json!(exact).to_string()) } else { failed() };
            prop_assert_eq!(place.output(&product, json!({"a": x, "b": y})), expected);
        }
    });
    let (large, most) = (json!(9_007_199_254_740_993_u64), json!(u64::MAX));
    for (expression, input, expected) in [
        ("{{ input }}", most.clone(), Ok("18446744073709551615")),
        ("{{ input + 1 }}", most.clone(), Err(())),
        ("{{ -input }}", json!(i64::MIN), Ok("9223372036854775808")),
        ("{{ [input, input] | sum }}", most.clone(), Err(())),
        ("{{ [input, 1] | max }}", most, Ok("18446744073709551615")),
        (
            "{{ [input, 9007199254740992] | sort }}",
            large.clone(),
            Ok("[9007199254740992,9007199254740993]"),
        ),
        ("{{ input == 9007199254740992 }}", large.clone(), Ok("false")),
        ("{{ input > 9007199254740992.0 }}", large.clone(), Ok("true")),
        ("{{ 1 / input }}", json!(0), Err(())),
        ("{{ {\"a\": [1 / input]} | tojson }}", json!(0), Err(())),
        ("a {{ 1e308 * input }}", json!(10), Err(())),
        ("{{ input | int }}", json!("9007199254740993"), Ok("9007199254740993")),
        ("{{ input | int }}", json!("9007199254740993.0"), Err(())),
        ("{{ input | int }}", json!("1e400"), Err(())),
        ("{{ input | int }}", json!(1e300), Err(())),
        ("{{ input | int }}", json!(-7.9), Ok("-7")),
        ("{{ input | int }}", json!("12345678901234567890123"), Err(())),
        ("{{ input | float }}", json!("0.1"), Ok("0.1")),
        ("{{ input | float }}", json!("0.10000000000000000001"), Err(())),
        ("{{ input | float }}", json!("nan"), Err(())),
        ("{{ input | float }}", large.clone(), Err(())),
        ("{{ input | abs }}", json!(i64::MIN), Ok("9223372036854775808")),
        (
            "{{ input | tojson }} {{ input }}",
            large,
            Ok("\"9007199254740993 9007199254740993\""),
        ),
        (
            "{{ input }} EUR",
            json!(-136_126_556_681_038.12),
            Ok("\"-136126556681038.12 EUR\""),
        ),
        ("{{ input }}", json!(-0.0), Ok("-0.0")),
    ] {
        let expected = expected.map(str::to_owned).map_err(|()| "template".to_owned());
        assert_eq!(place.of(expression, input.clone()), expected, "{expression} of {input}");
    }
}

/// What a model writes is its answer, so that is sent back to it, or ends the step; it is never another number.
#[test]
fn json_in_a_text_is_not_rounded_either() {
    let place = Place::new();
    let chain = place.chain(
        &json!([{"id": "a", "parse": {"text": "{{ input }}", "json": {}}}]),
        "{{ steps.a }}",
    );
    for (text, expected) in [
        (
            "{\"id\": 18446744073709551615, \"x\": 1e22}",
            Ok("{\"id\":18446744073709551615,\"x\":1e+22}"),
        ),
        ("Here: {\"id\": 18446744073709551616}", Err("parse")),
        ("{\"x\": 1e-400}", Err("parse")),
        ("{\"x\": 1, \"x\": 2}", Err("parse")),
    ] {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(place.output(&chain, json!(text)), expected, "{text}");
    }
}

#[test]
fn a_number_of_the_file_is_held_as_it_is_written() {
    let place = Place::new();
    assert_eq!(
        place.of("{{ 0.1 + 0.2 }}", json!(null)),
        Ok("0.30000000000000004".to_owned())
    );
    let document = json!({
        "apiVersion": "chain/v1", "kind": "Chain", "metadata": {"name": "test", "version": 1}, "input": {"schema": {}},
        "steps": [{"id": "a", "transform": "{{ 0.10000000000000000001 }}"}], "output": {"value": "{{ steps.a }}"}});
    let problems = Chain::read(&document.to_string(), "test.yaml", &crate::resources::resources()).unwrap_err();
    assert!(
        problems[0].to_string().contains("more digits than 64 bits hold"),
        "{}",
        problems[0]
    );
}
