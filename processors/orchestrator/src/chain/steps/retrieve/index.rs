use models::Kind;
use retrieval::{IndexSpec, Metric};
use yaml::Position;

use crate::chain::steps::{Check, number::Number};

/// That there is an index of this name, and that its embedding model makes vectors for it.
pub(super) fn check(name: &str, position: Position, min_score: Option<&Number>, check: &Check<'_>) {
    let resources = check.resources;
    let Some(spec) = resources.index(name) else {
        let message = format!("no index `{name}` is configured");
        let known = resources.indexes.iter().map(|spec| spec.name.as_str());
        check.problems.add_unknown(position, message, name, known);
        return;
    };
    let (name, embedding) = (&spec.name, &spec.embedding);
    let message = match resources.models.get(embedding).map(|model| model.kind) {
        None => format!("index `{name}` is embedded by `{embedding}`, which the models file does not have"),
        Some(Kind::Chat { .. }) => format!("index `{name}` is embedded by `{embedding}`, which is a chat model"),
        Some(Kind::Embed { dimension }) if dimension != spec.dimension => format!(
            "index `{name}` has vectors of {} numbers, its embedding model `{embedding}` gives {dimension}",
            spec.dimension
        ),
        Some(Kind::Embed { .. }) => {
            check_min_score(spec, min_score, check);
            return;
        }
    };
    let help = "mend `indexes:` in millrace.yaml or the models file";
    check.problems.add(position, message, help);
}

fn check_min_score(spec: &IndexSpec, min_score: Option<&Number>, check: &Check<'_>) {
    if let Some(min_score) = min_score
        && spec.metric == Metric::Euclidean
    {
        let message = format!(
            "index `{}` measures distance: its nearest passages have the lowest scores",
            spec.name
        );
        check
            .problems
            .add(min_score.value.position, message, "remove `min_score`");
    }
}
