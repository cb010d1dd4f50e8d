//! Server-sent events, incrementally: <https://html.spec.whatwg.org/multipage/server-sent-events.html>, of which model
//! providers use `data` and comments.

/// Cuts a byte stream into the `data` of its events. Chunks may end anywhere, also inside a character.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// The `data` of the event that is not complete yet.
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a carriage return: a line feed after it belongs to the same line end.
    after_return: bool,
}

impl Events {
    /// The events that `chunk` completes, in order.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        for &byte in chunk {
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                byte => self.line.push(byte),
            }
        }
        events
    }

    /// Bytes held back for an event that is not complete.
    pub(crate) fn pending(&self) -> usize {
        self.line.len() + self.data.len()
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        if self.line.is_empty() {
            return std::mem::take(&mut self.has_data).then(|| std::mem::take(&mut self.data));
        }
        let line = std::mem::take(&mut self.line);
        if let Some(value) = line.strip_prefix(b"data:") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            self.has_data = true;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(chunks: &[&[u8]]) -> Vec<String> {
        let mut stream = Events::default();
        let events = chunks.iter().flat_map(|chunk| stream.push(chunk));
        events.map(|event| String::from_utf8(event).unwrap()).collect()
    }

    #[test]
    fn an_event_ends_at_a_blank_line_whatever_the_line_ends_are() {
        assert_eq!(events(&[b"data: a\n\ndata:b\r\n\r\ndata: c\r\r"]), ["a", "b", "c"]);
        assert_eq!(events(&[b"data: a\r", b"\n\r", b"\ndata: b\n\n"]), ["a", "b"]);
    }

    #[test]
    fn comments_and_other_fields_are_skipped_and_data_lines_joined() {
        assert_eq!(events(&[b": ping\n\nid: 1\nevent: x\ndata: a\ndata: b\n\n"]), ["a\nb"]);
        assert_eq!(events(&[b"data: never finished"]), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn where_the_chunks_end_makes_no_difference(
            bytes in proptest::collection::vec(proptest::sample::select(b"data: x\r\n:".to_vec()), 0..80),
            cut in 0usize..80,
        ) {
            let whole = Events::default().push(&bytes);
            let (left, right) = bytes.split_at(cut.min(bytes.len()));
            let mut stream = Events::default();
            let mut parts = stream.push(left);
            parts.extend(stream.push(right));
            prop_assert_eq!(whole, parts);
        }
    }
}
