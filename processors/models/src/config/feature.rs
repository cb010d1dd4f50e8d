use std::collections::BTreeSet;
use yaml::{Fields, Node};

/// What a model may be able to do besides answering a text with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// It can ask for tools.
    Tools,
    /// Its provider holds it to a JSON Schema.
    JsonSchema,
    /// It sees images.
    Images,
    /// It answers piece by piece.
    Streaming,
}

impl Feature {
    pub const ALL: [Self; 4] = [Self::Tools, Self::JsonSchema, Self::Images, Self::Streaming];

    /// The word for it in the models file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::JsonSchema => "json_schema",
            Self::Images => "images",
            Self::Streaming => "streaming",
        }
    }
}

/// `features: [tools, …]`; `None` where the file does not say.
pub(super) fn read(fields: &Fields<'_>) -> Option<BTreeSet<Feature>> {
    fields.get("features")?;
    let items = fields.require_list("features", "[tools, json_schema, images, streaming]")?;
    Some(items.iter().filter_map(|item| feature(item, fields)).collect())
}

fn feature(node: &Node, fields: &Fields<'_>) -> Option<Feature> {
    let written = &node.text("features", fields.problems)?.value;
    let found = Feature::ALL.into_iter().find(|feature| feature.as_str() == written);
    if found.is_none() {
        let message = format!("`{written}` in `features` of {} is no feature", fields.what);
        let known = Feature::ALL.into_iter().map(Feature::as_str);
        fields.problems.add_unknown(node.position, message, written, known);
    }
    found
}
