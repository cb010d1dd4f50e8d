//! Records of a seed: every other one fine, the rest of random bytes or of texts that somebody may fall over.

use bytes::Bytes;
use schemas::{Encoder, Request, Timestamp, headers, request_kind};
use topics::{Headers, Output};

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Completed,
    Cancelled,
    /// A failed result and a dead letter.
    Refused,
    /// Bytes decide that nobody has looked at.
    Any,
}

/// NUL, noncharacters, the last one that there is, directions, what looks like an escape.
const TEXTS: [&str; 7] = [
    "\0",
    "a\0b",
    "\u{fffe}",
    "\u{ffff}\u{10ffff}",
    "\u{202e}abc",
    "\\u0000",
    "é\u{301}\u{200d}",
];
const NO_JSON: [&str; 6] = ["\0", "{", "1 2", "\"\\ud800\"", "{\"\\udc00\": 1}", "\"\u{1}\""];
const NO_PARAMS: [&str; 5] = [r#"{"a\u0000":1}"#, "[1]", "\0", r#"{"\ud800":1}"#, "{\"\u{fffe}\":1}"];
const ODD_JSON: [&str; 5] = [
    r#""\u0000""#,
    "\"\u{fffe}\"",
    r#"{"\u0000\ufffe": ["\ud83d\ude00"]}"#,
    "-0.0",
    "18446744073709551615",
];
const DATES: [i64; 6] = [
    i64::MIN,
    i64::MAX,
    i64::MIN / 1_000,
    i64::MAX / 1_000,
    -1,
    253_402_300_800_000_000,
];
const TURNS: [i32; 4] = [1, -1, i32::MIN, i32::MAX];
const MEGABYTE: usize = 1_000_000;
/// So many records, one has a word of a megabyte.
const RARELY: usize = 40;

/// So many records, one has a key that is longer than keys may be.
const LONG_KEY: usize = 401;

pub struct Generator {
    random: Random,
    topic: String,
    requests: Encoder<Request>,
    /// A frame of another schema.
    another: Bytes,
    number: usize,
}

impl Generator {
    pub fn new(seed: u64, topic: String, requests: Encoder<Request>, another: Bytes) -> Self {
        Self {
            random: Random(seed),
            topic,
            requests,
            another,
            number: 0,
        }
    }

    fn next_record(&mut self) -> (Option<Bytes>, Headers, Expected) {
        self.number += 1;
        if self.number.is_multiple_of(2) {
            return self.encoded(
                |_, request| request.input = format!("{{\"of\": \"{}\"}}", request.chain),
                Expected::Completed,
            );
        }
        match self.random.below(9) {
            0 => (Some(self.noise()), self.headers(), Expected::Refused),
            1 => (None, self.headers(), Expected::Refused),
            2 => (Some(self.framed_noise()), Headers::new(), Expected::Refused),
            3 => (Some(self.another.clone()), self.headers(), Expected::Refused),
            4 => self.broken_frame(),
            5 => self.encoded(harmless, Expected::Completed),
            6 => self.encoded(
                |random, request| request.deadline = Some(Timestamp(*random.of(&[i64::MIN, -1, 0, 1]))),
                Expected::Cancelled,
            ),
            7 => self.encoded(refused, Expected::Refused),
            _ => self.claimed(),
        }
    }

    /// A request that was fine, with a change.
    fn encoded(
        &mut self,
        change: impl FnOnce(&mut Random, &mut Request),
        expected: Expected,
    ) -> (Option<Bytes>, Headers, Expected) {
        let mut request = Request {
            request_id: Some(format!("request-{}", self.number)),
            chain: "echo".to_owned(),
            ..Request::default()
        };
        change(&mut self.random, &mut request);
        (Some(self.requests.encode(&request).unwrap()), self.headers(), expected)
    }

    /// Without a schema id, or with one that no registry gives out: one that it may give out yet is waited for.
    fn noise(&mut self) -> Bytes {
        let mut bytes = self.random.bytes(300);
        match bytes.as_mut_slice() {
            [0, id, ..] => *id |= 0x80,
            [first, ..] if self.number.is_multiple_of(3) => *first |= 1,
            _ => {}
        }
        bytes.into()
    }

    fn framed_noise(&mut self) -> Bytes {
        let frame = self.requests.encode(&Request::default()).unwrap();
        [&frame[..5], &self.random.bytes(300)].concat().into()
    }

    /// Some bytes behind the schema id are others.
    fn broken_frame(&mut self) -> (Option<Bytes>, Headers, Expected) {
        let request = Request {
            chain: "echo".to_owned(),
            conversation: Some("somebody".to_owned()),
            ..Request::default()
        };
        let mut frame = self.requests.encode(&request).unwrap().to_vec();
        for _ in 0..=self.random.below(4) {
            let at = 5 + self.random.below(frame.len() - 5);
            frame[at] = self.random.byte();
        }
        (Some(frame.into()), self.headers(), Expected::Any)
    }

    /// Headers that decide who it is.
    fn claimed(&mut self) -> (Option<Bytes>, Headers, Expected) {
        let (value, mut headers, _) = self.encoded(|_, _| {}, Expected::Refused);
        let name = *self.random.of(&[headers::REQUEST_ID, headers::TENANT]);
        let mut claim = self.random.bytes(200);
        claim.push(0xff);
        headers.push(name, Some(claim.into()));
        (value, headers, Expected::Refused)
    }

    fn headers(&mut self) -> Headers {
        let count = if self.random.below(50) == 0 {
            1_000
        } else {
            self.random.below(4)
        };
        let mut headers = Headers::new();
        for _ in 0..count {
            // Its first byte is that of no header which says who the request is.
            let name = [&[*self.random.of(b"\0\xff\xfe#")], self.random.bytes(12).as_slice()].concat();
            let value = (self.random.below(5) > 0).then(|| self.random.bytes(40).into());
            headers.push(name, value);
        }
        headers
    }

    fn key(&mut self) -> Option<Bytes> {
        match self.random.below(4) {
            0 => None,
            1 => Some(self.random.bytes(64).into()),
            _ => Some(Bytes::copy_from_slice(&[b'k', self.random.byte() % 16])),
        }
    }
}

impl Iterator for Generator {
    type Item = (Output, Expected);

    fn next(&mut self) -> Option<Self::Item> {
        let (value, headers, mut expected) = self.next_record();
        let mut key = self.key();
        if self.number.is_multiple_of(LONG_KEY) {
            key = Some(self.random.next().to_le_bytes().repeat(MEGABYTE / 7).into());
            expected = Expected::Refused;
        }
        let record = Output {
            topic: self.topic.clone(),
            partition: None,
            key,
            value,
            headers,
        };
        Some((record, expected))
    }
}

fn harmless(random: &mut Random, request: &mut Request) {
    request.created_at = Timestamp(*random.of(&DATES));
    request.deadline = Some(Timestamp(*random.of(&[i64::MAX, 253_402_300_800_000_000])));
    request.conversation = Some(random.text());
    request.metadata = [(random.text(), random.text())].into();
    request.input = match random.below(2) {
        0 => (*random.of(&ODD_JSON)).to_owned(),
        _ => format!("{:?}", "word".repeat(random.below(100))),
    };
    request.params = (*random.of(&["", "{}", "null"])).to_owned();
}

fn refused(random: &mut Random, request: &mut Request) {
    match random.below(8) {
        0 => request.request_id = Some(random.text()),
        1 => request.tenant = random.text(),
        2 => request.kind = random.text(),
        3 => request.chain = random.text(),
        4 => request.input = (*random.of(&NO_JSON)).to_owned(),
        5 => request.params = (*random.of(&NO_PARAMS)).to_owned(),
        6 => request.turn = *random.of(&TURNS),
        _ => {
            request.kind = request_kind::RESUME.to_owned();
            request.turn = *random.of(&TURNS);
            request.state = match random.below(3) {
                0 => None,
                1 => Some(random.text()),
                _ => Some(format!("{{\"format\": 1, \"accepted_at\": {}}}", random.of(&DATES))),
            };
        }
    }
}

/// SplitMix64: the same records each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn bytes(&mut self, limit: usize) -> Vec<u8> {
        (0..self.below(limit)).map(|_| self.byte()).collect()
    }

    fn of<'a, T>(&mut self, these: &'a [T]) -> &'a T {
        &these[self.below(these.len())]
    }

    /// Nothing that could name something.
    fn text(&mut self) -> String {
        if self.below(RARELY) == 0 {
            return "\0word".repeat(MEGABYTE / 5);
        }
        (0..=self.below(3)).map(|_| *self.of(&TEXTS)).collect()
    }
}
