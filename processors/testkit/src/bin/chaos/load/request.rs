//! What is asked: seeded, so that a run can be repeated.

use rand::{Rng, SeedableRng, rngs::StdRng};
use schemas::{Request, Timestamp, request_kind};

use super::{ASKING, FICKLE, KEPT, SHAKY, TAIL};
use crate::board::{ASKS, SLOW};

const KEYS: u32 = 100;
/// The second one.
const TENANT: &str = "acme";

pub struct Requests {
    random: StdRng,
    name: String,
    number: u64,
}

pub struct Drawn {
    pub id: String,
    pub key: Option<String>,
    pub is_interactive: bool,
    /// The tenant, where the header says it and not the record.
    pub tenant: Option<&'static str>,
    pub request: Request,
    /// Its bytes are damaged before they leave.
    pub damage: Option<Damage>,
}

#[derive(Debug, Clone, Copy)]
pub enum Damage {
    /// A schema that nobody registered.
    Id,
    /// A frame that is no record of its schema.
    Body,
}

impl Requests {
    pub fn new(name: &str, seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            name: name.to_owned(),
            number: 0,
        }
    }

    pub fn draw(&mut self) -> Drawn {
        self.number += 1;
        let random = &mut self.random;
        let is_late = random.random_bool(0.01);
        let is_poison = !is_late && random.random_bool(0.01);
        let (chain, suffix) = match random.random_range(0..100) {
            _ if is_late => ("one", SLOW),
            0..63 => ("one", ""),
            63..78 => ("three", ""),
            78..93 => (KEPT, ""),
            93..98 => (FICKLE, ""),
            _ => (ASKING, ASKS),
        };
        // who asks is to be understood
        let is_poison = is_poison && chain != ASKING;
        let id = format!("{}-{}{suffix}", self.name, self.number);
        let shaky = if random.random_bool(0.3) { SHAKY } else { "sure" };
        let late = if is_late { TAIL } else { "" };
        let question = serde_json::json!({"question": format!("{id} {shaky} {late}")});
        let (tenant, says) = match random.random_range(0..10) {
            // people decide for the first tenant
            _ if chain == ASKING => (None, ""),
            0 => (Some(TENANT), ""),
            1 => (None, TENANT),
            _ => (None, ""),
        };
        let mut drawn = Drawn {
            key: random
                .random_bool(0.6)
                .then(|| format!("key-{}", random.random_range(0..KEYS))),
            is_interactive: random.random_bool(0.2),
            request: Request {
                request_id: Some(id.clone()),
                kind: request_kind::RUN.to_owned(),
                chain: chain.to_owned(),
                tenant: says.to_owned(),
                input: question.to_string(),
                created_at: Timestamp::now(),
                ..Request::default()
            },
            id,
            tenant,
            damage: None,
        };
        if is_poison {
            match random.random_range(0..5) {
                0 => drawn.damage = Some(Damage::Id),
                1 => drawn.damage = Some(Damage::Body),
                2 => drawn.request.chain = "nobody-has-it".to_owned(),
                3 => drawn.request.input = "{not json".to_owned(),
                _ => drawn.request.input = r#"{"query": "no such member"}"#.to_owned(),
            }
        }
        drawn
    }
}

impl Damage {
    /// `frame`: a zero, four bytes of schema id, the record.
    pub fn to(self, frame: &[u8]) -> Vec<u8> {
        match self {
            Self::Id => [&[0, 0x7f, 0xff, 0xff, 0xff][..], frame.get(5..).unwrap_or_default()].concat(),
            Self::Body => [frame.get(..5).unwrap_or_default(), &[0xff; 9]].concat(),
        }
    }
}
