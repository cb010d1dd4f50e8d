//! Kafka's frames: four bytes of length, then a request (API key, API version, correlation id, ...) or an answer
//! (correlation id, ...).

use std::collections::HashMap;

/// Bytes before they are complete frames.
#[derive(Debug, Default)]
pub struct Frames(Vec<u8>);

impl Frames {
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next complete frame, its length in front.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        let length = u32::from_be_bytes(*self.0.first_chunk()?);
        let whole = usize::try_from(length).ok()?.checked_add(4)?;
        if self.0.len() < whole {
            return None;
        }
        let rest = self.0.split_off(whole);
        Some(std::mem::replace(&mut self.0, rest))
    }
}

/// Which kind of request each unanswered correlation id of one connection belongs to.
#[derive(Debug, Default)]
pub struct Asked(HashMap<i32, i16>);

impl Asked {
    pub fn request(&mut self, frame: &[u8]) {
        if let (Some(key), Some(id)) = (at(frame, 4), at(frame, 8)) {
            self.0.insert(i32::from_be_bytes(id), i16::from_be_bytes(key));
        }
    }

    /// The API key of the request that this answers.
    pub fn answer(&mut self, frame: &[u8]) -> Option<i16> {
        self.0.remove(&i32::from_be_bytes(at(frame, 4)?))
    }
}

fn at<const N: usize>(frame: &[u8], place: usize) -> Option<[u8; N]> {
    frame.get(place..)?.first_chunk().copied()
}
