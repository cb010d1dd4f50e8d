use std::collections::BTreeSet;

use models::{Content, Detail, ImageUrl, Part, Role};
use yaml::{Fields, Node, Position, Problems};

use crate::chain::{
    error::StepError,
    steps::Check,
    template::Template,
    types::Type,
    typing::{self, Sink},
};

const WHAT_AN_IMAGE_IS: &str = "an image must be an `https:` URL, or a `data:` URL of a PNG, JPEG, GIF or WebP in base64, such as `data:image/png;base64,…`";

/// What a message says, before a run fills it in: a text, or a list of `{text}` and `{image, detail}`.
#[derive(Debug)]
pub(super) enum Said {
    Text(Template),
    Parts(Vec<Piece>),
}

#[derive(Debug)]
pub(super) enum Piece {
    Text(Template),
    /// Its URL. It may come from a stranger: the provider looks at it, nothing here fetches it.
    Image {
        url: Template,
        detail: Option<Detail>,
        position: Position,
    },
}

impl Said {
    pub(super) fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let yaml::Content::List(items) = &node.content else {
            let text = node.text("content", problems)?;
            return Some(Self::Text(Template::parse(text, problems)));
        };
        if items.is_empty() {
            let help = "for example content: [{text: What is this?}, {image: \"{{ input.url }}\"}]";
            problems.add(node.position, "`content` is empty", help);
        }
        Some(Self::Parts(
            items.iter().filter_map(|item| Piece::read(item, problems)).collect(),
        ))
    }

    pub(super) fn has_images(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Parts(pieces) => pieces.iter().any(|piece| matches!(piece, Piece::Image { .. })),
        }
    }

    pub(super) fn reads(&self, steps: &mut BTreeSet<String>) {
        for template in self.templates() {
            steps.extend(template.steps().iter().cloned());
        }
    }

    /// Whether the file itself has this word in it, in whatever case.
    pub(super) fn mentions(&self, word: &str) -> bool {
        self.templates()
            .iter()
            .any(|template| template.source().to_ascii_lowercase().contains(word))
    }

    /// Whether what it says may come from a stranger.
    pub(super) fn check(&self, role: Role, sink: Option<Sink>, check: &Check<'_>) -> bool {
        let infer = |template: &Template| typing::infer(template, check.scope, sink, check.problems);
        let pieces = match self {
            Self::Text(template) => return infer(template).is_untrusted(),
            Self::Parts(pieces) => pieces,
        };
        let mut untrusted = false;
        for piece in pieces {
            let of = match piece {
                Piece::Text(template) => infer(template),
                Piece::Image { url, position, .. } => {
                    if role != Role::User {
                        let message = "only a user message can show an image";
                        check
                            .problems
                            .add(*position, message, "move it to a message with `role: user`");
                    }
                    image(url, *position, infer(url), check.problems)
                }
            };
            untrusted |= of.is_untrusted();
        }
        untrusted
    }

    /// The text, where every run says the same.
    pub(super) fn constant(&self) -> Option<&str> {
        match self {
            Self::Text(template) => template.constant(),
            Self::Parts(_) => None,
        }
    }

    pub(super) fn content(&self, scope: &minijinja::Value) -> Result<Content, StepError> {
        match self {
            Self::Text(template) => Ok(Content::Text(template.render(scope)?)),
            Self::Parts(pieces) => {
                let parts = pieces.iter().map(|piece| piece.part(scope));
                Ok(Content::Parts(parts.collect::<Result<_, _>>()?))
            }
        }
    }

    fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Text(template) => vec![template],
            Self::Parts(pieces) => {
                let templates = pieces.iter().map(|piece| match piece {
                    Piece::Text(template) | Piece::Image { url: template, .. } => template,
                });
                templates.collect()
            }
        }
    }
}

impl Piece {
    fn read(node: &Node, problems: &Problems) -> Option<Self> {
        let fields = Fields::of(node, "a part of a message", &["text", "image", "detail"], &[], problems)?;
        let detail = fields.get("detail").map(|_| fields.scalar("detail", detail));
        let template = |key: &str| {
            let node = fields.get(key)?;
            Some((Template::parse(node.text(key, problems)?, problems), node.position))
        };
        match (fields.get("text"), fields.get("image")) {
            (Some(_), None) => {
                if let Some(node) = fields.get("detail") {
                    problems.add(
                        node.position,
                        "`detail` is of an `image`, and this is text",
                        "remove it",
                    );
                }
                template("text").map(|(template, _)| Self::Text(template))
            }
            (None, Some(_)) => {
                let (url, position) = template("image")?;
                let detail = detail.map_or(Some(None), |detail| Some(Some(detail?.value)))?;
                Some(Self::Image { url, detail, position })
            }
            (Some(_), Some(node)) => {
                let message = "a part is text or an image, and this is both";
                problems.add(node.position, message, "make two parts of it");
                None
            }
            (None, None) => {
                let help = "write {text: What is this?} or {image: \"{{ input.url }}\"}";
                problems.add(node.position, "a part of a message needs `text` or `image`", help);
                None
            }
        }
    }

    fn part(&self, scope: &minijinja::Value) -> Result<Part, StepError> {
        match self {
            Self::Text(template) => Ok(Part::Text {
                text: template.render(scope)?,
            }),
            Self::Image { url, detail, .. } => {
                let url = url.render(scope)?;
                if !is_image(&url) {
                    let message = WHAT_AN_IMAGE_IS.to_owned();
                    return Err(StepError::Option { message });
                }
                let detail = *detail;
                Ok(Part::ImageUrl {
                    image_url: ImageUrl { url, detail },
                })
            }
        }
    }
}

/// The type of an image's URL, checked.
fn image(url: &Template, position: Position, of: Type, problems: &Problems) -> Type {
    if url.constant().is_some_and(|url| !is_image(url)) {
        problems.add_plain(position, WHAT_AN_IMAGE_IS);
    }
    match of {
        Type::Text { .. } | Type::Choice(_) | Type::Any { .. } => {}
        Type::Null | Type::Number | Type::Boolean | Type::List(_) | Type::Object { .. } => {
            let message = format!("`image` must be the URL of an image, and this is {}", of.describe());
            problems.add_plain(position, message);
        }
    }
    of
}

fn is_image(url: &str) -> bool {
    if let Some(rest) = url.strip_prefix("https://") {
        return rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
            && !rest.contains(|c: char| c.is_whitespace() || c.is_control());
    }
    let kinds = ["png", "jpeg", "gif", "webp"];
    let data = kinds.iter().find_map(|kind| {
        let rest = url.strip_prefix("data:image/")?;
        rest.strip_prefix(kind)?.strip_prefix(";base64,")
    });
    data.is_some_and(|data| {
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        !data.is_empty() && data.bytes().all(is_base64)
    })
}

fn detail(written: &str) -> Result<Detail, String> {
    match written {
        "auto" => Ok(Detail::Auto),
        "low" => Ok(Detail::Low),
        "high" => Ok(Detail::High),
        other => Err(format!("must be `auto`, `low` or `high`, not `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_a_url_that_a_provider_may_look_at() {
        for url in [
            "https://example.com/a.png?x=1",
            "https://[::1]/a",
            "data:image/png;base64,iVBORw0KGgo=",
            "data:image/jpeg;base64,/9j/4A+",
        ] {
            assert!(is_image(url), "{url}");
        }
        for url in [
            "",
            "http://example.com/a.png",
            "https://",
            "https:///etc/passwd",
            "https://example.com/a b",
            "file:///etc/passwd",
            "data:text/html;base64,aaaa",
            "data:image/svg+xml;base64,aaaa",
            "data:image/png;base64,",
            "data:image/png;base64,a b",
        ] {
            assert!(!is_image(url), "{url}");
        }
    }
}
