//! Whole payloads in a file that may be torn: `length: u32 LE, crc32 of the payload: u32 LE, payload`.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use crc::{CRC_32_ISCSI, Crc};

use super::log::LogError;

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
/// Above every write's size: a longer frame is not one of ours.
const LONGEST_FRAME: u32 = 64 << 20;

pub(super) fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(8 + payload.len());
    frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    frame.extend_from_slice(&CHECKSUM.checksum(payload).to_le_bytes());
    frame.extend_from_slice(payload);
    frame
}

pub(super) struct Frames<'a> {
    path: &'a Path,
    reader: BufReader<&'a File>,
    /// Where the next frame begins.
    pub(super) at: u64,
    length: u64,
}

impl<'a> Frames<'a> {
    /// The first `length` bytes of the file.
    pub(super) fn new(path: &'a Path, file: &'a File, length: u64) -> Self {
        Self {
            path,
            reader: BufReader::new(file),
            at: 0,
            length,
        }
    }

    /// The payload of the next frame; `None` at the end and at a torn frame, which is one that reaches the end of the file
    /// without being whole.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, LogError> {
        let left = self.length - self.at;
        if left < 8 {
            return Ok(None);
        }
        let [length, checksum] = [self.read_u32()?, self.read_u32()?];
        if u64::from(length) > left - 8 {
            return Ok(None);
        }
        if length > LONGEST_FRAME {
            return Err(self.damaged());
        }
        let mut payload = vec![0; length as usize];
        self.reader
            .read_exact(&mut payload)
            .map_err(|source| self.failed(source))?;
        if CHECKSUM.checksum(&payload) != checksum {
            if u64::from(length) == left - 8 {
                return Ok(None);
            }
            return Err(self.damaged());
        }
        self.at += 8 + u64::from(length);
        Ok(Some(payload))
    }

    fn read_u32(&mut self) -> Result<u32, LogError> {
        let mut bytes = [0; 4];
        self.reader
            .read_exact(&mut bytes)
            .map_err(|source| self.failed(source))?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn failed(&self, source: io::Error) -> LogError {
        LogError::Read {
            path: self.path.to_owned(),
            source,
        }
    }

    fn damaged(&self) -> LogError {
        LogError::Damaged {
            path: self.path.to_owned(),
            at: self.at,
        }
    }
}
