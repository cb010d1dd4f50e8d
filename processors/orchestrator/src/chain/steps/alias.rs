use yaml::{Content, Node, Position, Problems};

use super::Check;

/// The aliases of `model: a` or `model: [a, b]`, as far as they can be read.
pub(super) fn aliases(node: &Node, problems: &Problems) -> Vec<Alias> {
    let items = match &node.content {
        Content::List(items) if !items.is_empty() => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    items.iter().filter_map(|item| Alias::read(item, problems)).collect()
}

/// A model, by its name in the models file.
#[derive(Debug)]
pub(super) struct Alias {
    pub(super) name: String,
    pub(super) position: Position,
}

impl Alias {
    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let name = &node.text("model", problems)?.value;
        if name.contains("{{") {
            problems.add(
                node.position,
                "a model cannot be chosen by a template yet",
                "name an alias of the models file",
            );
            return None;
        }
        Some(Self {
            name: name.clone(),
            position: node.position,
        })
    }

    /// The model it stands for, if the models file has it.
    pub(super) fn resolve<'m>(&self, check: &'m mut Check<'_>) -> Option<&'m models::Model> {
        let models = &check.resources.models;
        let found = models.get(&self.name);
        if found.is_none() {
            let message = format!("the models file has no `{}`", self.name);
            check
                .problems
                .add_unknown(self.position, message, &self.name, models.aliases());
        }
        found.map(AsRef::as_ref)
    }
}
