use models::Role;
use yaml::{Content, Fields, Node, Problems};

use super::prompt::Prompt;
use crate::chain::template::Template;

/// `examples: [{input, output}]` of a chat: what a user could say and what the model should answer then, as messages.
pub(super) fn examples(node: &Node, problems: &Problems) -> Vec<Prompt> {
    let Content::List(items) = &node.content else {
        let message = format!("`examples` must be a list, and this is {}", node.kind());
        let help = "for example examples: [{input: \"Where is it?\", output: \"On its way.\"}]";
        problems.add(node.position, message, help);
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| example(item, problems))
        .flatten()
        .collect()
}

fn example(node: &Node, problems: &Problems) -> Option<[Prompt; 2]> {
    let fields = Fields::of(node, "an example", &["input", "output"], &[], problems)?;
    let input = fields.require_text("input", "\"Where is my order?\"");
    let output = fields.require_text("output", "\"It is on its way.\"");
    let said = |role, text| Prompt::new(role, Template::parse(text, problems));
    Some([said(Role::User, input?), said(Role::Assistant, output?)])
}
