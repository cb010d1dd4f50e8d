use std::collections::BTreeSet;

use models::ChatRequest;
use yaml::{Content, Fields, Node, Problems};

use crate::chain::{
    error::StepError,
    steps::{Check, number::Number},
    template::Template,
    typing,
};

/// What a chat model may be asked for at most; a model's own limit is usually far lower.
const MAX_TOKENS: f64 = 1_000_000.0;
/// Whole numbers up to here are the same in every language that reads JSON.
const MAX_SEED: f64 = 9_007_199_254_740_991.0;
/// OpenAI takes no more.
const MAX_STOPS: usize = 4;

/// `params: {temperature, top_p, max_tokens, stop, seed}` of a chat.
#[derive(Debug, Default)]
pub(super) struct Params {
    temperature: Option<Number>,
    top_p: Option<Number>,
    max_tokens: Option<Number>,
    seed: Option<Number>,
    /// The answer ends before the first of these.
    stop: Vec<Template>,
}

impl Params {
    pub(super) fn read(node: &Node, problems: &Problems) -> Self {
        let known = ["temperature", "top_p", "max_tokens", "stop", "seed"];
        let Some(fields) = Fields::of(node, "`params` of a chat step", &known, &[], problems) else {
            return Self::default();
        };
        let number = |name, bounds| Number::read(&fields, name, bounds, problems);
        Self {
            temperature: number("temperature", (0.0, 2.0)),
            top_p: number("top_p", (0.0, 1.0)),
            max_tokens: number("max_tokens", (1.0, MAX_TOKENS)),
            seed: number("seed", (-MAX_SEED, MAX_SEED)).map(Number::whole),
            stop: fields.get("stop").map_or_else(Vec::new, |node| stops(node, problems)),
        }
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        for number in self.numbers() {
            number.value.steps(steps);
        }
        for stop in &self.stop {
            steps.extend(stop.steps().iter().cloned());
        }
    }

    pub(super) fn check(&self, check: &mut Check<'_>) {
        self.numbers().for_each(|number| number.check(check));
        for stop in &self.stop {
            typing::infer(stop, check.scope, None, check.problems);
        }
    }

    /// The cap that the file itself says. A template may give any number in its bounds: the model's own cap holds then.
    pub(super) fn literal_max_tokens(&self) -> Option<u32> {
        let literal = self.max_tokens.as_ref()?.value.literal_number()?;
        // Between 1 and MAX_TOKENS.
        Some(literal as u32)
    }

    pub(super) fn fill(&self, request: &mut ChatRequest, scope: &minijinja::Value) -> Result<(), StepError> {
        let value = |number: &Option<Number>| number.as_ref().map(|number| number.value(scope)).transpose();
        request.temperature = value(&self.temperature)?;
        request.top_p = value(&self.top_p)?;
        // Between 1 and MAX_TOKENS.
        request.max_tokens = value(&self.max_tokens)?.map(|tokens| tokens as u32);
        // Whole, and not above MAX_SEED.
        request.seed = value(&self.seed)?.map(|seed| seed as i64);
        let stops = self.stop.iter().map(|stop| Ok(stop.render(scope)?));
        request.stop = stops.collect::<Result<_, StepError>>()?;
        if request.stop.iter().any(String::is_empty) {
            let message = "a text of `stop` is empty".to_owned();
            return Err(StepError::Option { message });
        }
        Ok(())
    }

    fn numbers(&self) -> impl Iterator<Item = &Number> {
        [&self.temperature, &self.top_p, &self.max_tokens, &self.seed]
            .into_iter()
            .flatten()
    }
}

fn stops(node: &Node, problems: &Problems) -> Vec<Template> {
    let help = "for example stop: [\"\\n\\n\", END]";
    let Content::List(items) = &node.content else {
        let message = format!("`stop` must be a list of texts, and this is {}", node.kind());
        problems.add(node.position, message, help);
        return Vec::new();
    };
    if !(1..=MAX_STOPS).contains(&items.len()) {
        let message = format!("`stop` must have 1 to {MAX_STOPS} texts, not {}", items.len());
        problems.add(node.position, message, help);
    }
    let stop = |item: &Node| {
        let text = item.text("stop", problems)?;
        if text.value.is_empty() {
            problems.add(
                item.position,
                "a text of `stop` is empty",
                "an answer would end before it began",
            );
        }
        Some(Template::parse(text, problems))
    };
    items.iter().filter_map(stop).collect()
}
