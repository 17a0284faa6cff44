//! Bytes that tokens add to a text: with byte-pair encoding a token may be a part of a character, or of several words.

/// Bytes of the text of each token id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBytes {
    bytes: Vec<u8>,
    /// End of each token in `bytes`.
    ends: Vec<usize>,
}

impl TokenBytes {
    /// Collects the bytes of all tokens, by id.
    pub fn new<T: AsRef<[u8]>>(tokens: impl IntoIterator<Item = T>) -> Self {
        let mut all = Self { bytes: Vec::new(), ends: Vec::new() };
        for token in tokens {
            all.bytes.extend_from_slice(token.as_ref());
            all.ends.push(all.bytes.len());
        }
        all
    }

    /// Returns the bytes of a token; none for an id outside the vocabulary.
    pub fn of(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let begin = id.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(id).map_or(&[], |&end| &self.bytes[begin..end])
    }
}

/// Text that a policy writes, token by token, before it is read as a native reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writing {
    /// Bytes of each token.
    pub tokens: TokenBytes,
    /// Text between a prompt and its reply, with which the policy may begin; it belongs to no reply.
    pub lead: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_its_bytes() {
        let bytes = TokenBytes::new([&b"go"[..], b"", b"\xe2\x82"]);
        assert_eq!([0, 1, 2, 3, u32::MAX].map(|id| bytes.of(id)), [&b"go"[..], b"", b"\xe2\x82", b"", b""]);
    }
}
