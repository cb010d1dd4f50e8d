use yaml::{Content, Fields, Node, Problems};

/// `metadata: {name, version, description}`: who a chain is.
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) version: i32,
    pub(super) description: Option<String>,
}

impl Metadata {
    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "`metadata`", &["name", "version", "description"], &[], problems)?;
        let name = fields.require_text("name", "triage").and_then(|text| {
            let valid = schemas::is_chain_name(&text.value);
            if !valid {
                let help = "use 1 to 64 lower-case letters, digits and `-`: requests say <name> or <name>@<version>";
                problems.add(
                    text.position_of(0, 0),
                    format!("`{}` cannot be the name of a chain", text.value),
                    help,
                );
            }
            valid.then(|| text.value.clone())
        });
        let version = fields.require("version", "1").and_then(|node| {
            let version = match &node.content {
                Content::Scalar(scalar) => scalar.value.as_i64().and_then(|version| i32::try_from(version).ok()),
                Content::Text(_) | Content::List(_) | Content::Map(_) => None,
            };
            let version = version.filter(|version| *version >= 1);
            if version.is_none() {
                let help = "count from 1, and raise it whenever the file changes";
                problems.add(node.position, "`version` must be a whole number of at least 1", help);
            }
            version
        });
        let description = match fields.get("description") {
            Some(node) => Some(node.text("description", problems)?.value.clone()),
            None => None,
        };
        Some(Self {
            name: name?,
            version: version?,
            description,
        })
    }
}
