//! Binary format of requests and replies (documented in `bridge/Bridge.java`).

/// Operation of the bridge.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    Hello = 0,
    Load = 1,
    Step = 2,
    Valid = 3,
    GoalProgress = 4,
    Forget = 5,
    Gold = 6,
    Tasks = 7,
    Variations = 8,
}

/// Request under construction; the call number is filled in when it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Request(Vec<u8>);

impl Request {
    pub(crate) fn new(op: Op) -> Self {
        let mut bytes = vec![0; 8];
        bytes.push(op as u8);
        Self(bytes)
    }

    pub(crate) fn byte(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(crate) fn int(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        let mut with_length = self.int(text.len() as u32);
        with_length.0.extend(text.as_bytes());
        with_length
    }

    /// Returns the frame for a call number.
    pub(crate) fn frame(&mut self, number: u32) -> &[u8] {
        let length = (self.0.len() - 4) as u32;
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0[4..8].copy_from_slice(&number.to_be_bytes());
        &self.0
    }
}

/// Reply being parsed. `None` from any method means that the bytes do not have the expected fields.
#[derive(Debug)]
pub(crate) struct Reply<'a>(pub(crate) &'a [u8]);

impl<'a> Reply<'a> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.bytes().map(|[byte]| byte)
    }

    pub(crate) fn int(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_be_bytes)
    }

    pub(crate) fn long(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_be_bytes)
    }

    pub(crate) fn double(&mut self) -> Option<f64> {
        self.bytes().map(f64::from_be_bytes)
    }

    pub(crate) fn bool(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn str(&mut self) -> Option<&'a str> {
        let length = self.int()? as usize;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        self.str().map(str::to_owned)
    }

    pub(crate) fn list(&mut self) -> Option<Texts> {
        let count = self.int()? as usize;
        let (lengths, rest) = self.0.split_at_checked(count.checked_mul(4)?)?;
        let mut end = 0_usize;
        let lengths = lengths.as_chunks::<4>().0.iter();
        let ends: Vec<usize> = lengths
            .map(|length| {
                end += u32::from_be_bytes(*length) as usize;
                end
            })
            .collect();
        let (all, rest) = rest.split_at_checked(end)?;
        self.0 = rest;
        let all = std::str::from_utf8(all).ok()?;
        ends.iter().all(|end| all.is_char_boundary(*end)).then(|| Texts { all: all.to_owned(), ends })
    }

    /// Returns the value if the reply ends here.
    pub(crate) fn end<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

/// List of texts in one string, since lists can have thousands of entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    /// Returns the number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Iterates over the texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.all[std::mem::replace(&mut start, *end)..*end])
    }

    /// Copies the texts.
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }
}

/// Parses a reply that is one list.
pub(crate) fn whole_list(mut reply: Reply<'_>) -> Option<Texts> {
    let list = reply.list()?;
    reply.end(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_its_length_and_number() {
        let mut request = Request::new(Op::Step).int(7).text("äb");
        let frame = request.frame(0x0102);
        assert_eq!(frame, [0, 0, 0, 16, 0, 0, 1, 2, 2, 0, 0, 0, 7, 0, 0, 0, 3, 0xc3, 0xa4, b'b']);
    }

    #[test]
    fn replies_that_are_too_short_too_long_or_no_text_are_refused() {
        let list = [0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0xc3, 0xa4];
        let mut reply = Reply(&list);
        let read = reply.list().map(|list| list.to_vec());
        assert_eq!(reply.end(read), Some(Some(vec!["ä".to_owned(), String::new()])));
        for end in 0..list.len() {
            assert_eq!(Reply(&list[..end]).list(), None);
        }
        assert_eq!(Reply(&[0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0xc3, 0xa4]).list(), None);
        assert_eq!(Reply(&[0xff; 8]).list(), None);
        assert_eq!(Reply(&[0, 0, 0, 1, 0xff]).str(), None);
        assert_eq!(Reply(&[2]).bool(), None);
        assert_eq!(Reply(&[0, 1]).end(()), None);
    }
}
