use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::dialect::estimate;

/// What a message says, in the form of OpenAI's API: a text, or texts and images in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    Text { text: String },
    ImageUrl { image_url: ImageUrl },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageUrl {
    /// `https:`, fetched by the provider, or `data:` with the image in it.
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}

/// How closely a model looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    Auto,
    Low,
    High,
}

/// An image in low detail costs this part of one in high detail at most: 85 of 1445 tokens with gpt-4o, and in the same
/// proportion with its sisters.
const LOW: i64 = 17;

impl Content {
    /// Its texts, one a line.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Parts(parts) => {
                let texts = parts.iter().filter_map(|part| match part {
                    Part::Text { text } => Some(text.as_str()),
                    Part::ImageUrl { .. } => None,
                });
                Cow::Owned(texts.collect::<Vec<_>>().join("\n"))
            }
        }
    }

    /// For who changes its texts.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let (whole, parts) = match self {
            Self::Text(text) => (Some(text), [].as_mut_slice()),
            Self::Parts(parts) => (None, parts.as_mut_slice()),
        };
        whole.into_iter().chain(parts.iter_mut().filter_map(|part| match part {
            Part::Text { text } => Some(text),
            Part::ImageUrl { .. } => None,
        }))
    }

    #[must_use]
    pub fn has_images(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Parts(parts) => parts.iter().any(|part| matches!(part, Part::ImageUrl { .. })),
        }
    }

    /// Tokens, by estimate, where an image in high detail has `image_tokens` at most.
    pub(crate) fn tokens(&self, image_tokens: u32) -> i64 {
        match self {
            Self::Text(text) => estimate(text),
            Self::Parts(parts) => {
                let tokens = |part: &Part| match part {
                    Part::Text { text } => estimate(text),
                    Part::ImageUrl { image_url } => match image_url.detail {
                        Some(Detail::Low) => (i64::from(image_tokens) + LOW - 1) / LOW,
                        Some(Detail::Auto | Detail::High) | None => i64::from(image_tokens),
                    },
                };
                parts.iter().map(tokens).sum()
            }
        }
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn images_are_written_as_openai_reads_them_and_counted_by_their_detail() {
        let image = |detail| Part::ImageUrl {
            image_url: ImageUrl {
                url: "https://example.com/a.png".to_owned(),
                detail,
            },
        };
        let text = Part::Text {
            text: "What is it?!".to_owned(),
        };
        let content = Content::Parts(vec![text, image(None), image(Some(Detail::Low))]);
        let written = json!([
            {"type": "text", "text": "What is it?!"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}]);
        assert_eq!(serde_json::to_value(&content).unwrap(), written);
        assert_eq!(serde_json::from_value::<Content>(written).unwrap(), content);
        assert_eq!(content.text(), "What is it?!");
        assert_eq!(content.tokens(1445), 3 + 1445 + 85);
    }
}
