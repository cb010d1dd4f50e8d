use super::stream::ChatStream;
use crate::dialect::Failure;

/// The largest answer that is read: 2,048 vectors of 3,072 numbers in base64 are 33 MB.
const MAX_BODY: usize = 64 << 20;

/// An answer as its bytes come in.
#[derive(Debug)]
pub(crate) enum Body {
    Whole(Vec<u8>),
    Stream(Box<ChatStream>),
}

impl Body {
    /// # Errors
    /// It is too large, or not what it should be. The rest need not be read.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Whole(bytes) if bytes.len() + chunk.len() > MAX_BODY => {
                Err(Failure::malformed("the answer is larger than 64 MiB"))
            }
            Self::Whole(bytes) => {
                bytes.extend_from_slice(chunk);
                Ok(())
            }
            Self::Stream(stream) => stream.push(chunk),
        }
    }

    /// Bytes that a stream has said so far.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Whole(_) => 0,
            Self::Stream(stream) => stream.length(),
        }
    }

    /// A stream said that it is over, though its connection may not be.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Whole(_) => false,
            Self::Stream(stream) => stream.is_over(),
        }
    }

    /// What a stream said until it broke.
    pub(crate) fn into_said(self) -> Option<String> {
        match self {
            Self::Whole(_) => None,
            Self::Stream(stream) => Some(stream.into_said()).filter(|said| !said.is_empty()),
        }
    }
}
