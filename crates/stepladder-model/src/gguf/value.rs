//! Metadata values, read where they are.

use std::fmt::Display;

/// Largest depth of arrays in arrays; recursion ends here.
pub(super) const DEPTH: u32 = 4;

/// Value of a metadata key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    /// 8, 16, 32 or 64 bits without sign.
    Unsigned(u64),
    /// 8, 16, 32 or 64 bits with sign.
    Signed(i64),
    /// 32 bits.
    F32(f32),
    /// 64 bits.
    F64(f64),
    /// Truth value.
    Bool(bool),
    /// Text.
    Text(&'a str),
    /// Values of one type.
    Array(Array<'a>),
}

impl<'a> Value<'a> {
    /// Returns a whole number that is not negative.
    pub(super) fn unsigned(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(value) => Some(value),
            Self::Signed(value) => u64::try_from(value).ok(),
            _ => None,
        }
    }

    /// Returns a number. An f32 becomes the shortest decimal number that denotes it: 1e-5, not 9.999999747378752e-6.
    pub(super) fn real(&self) -> Option<f64> {
        match *self {
            Self::F32(value) => value.to_string().parse().ok(),
            Self::F64(value) => Some(value),
            Self::Unsigned(value) => Some(value as f64),
            Self::Signed(value) => Some(value as f64),
            _ => None,
        }
    }

    /// Returns text.
    pub(super) fn text(&self) -> Option<&'a str> {
        if let Self::Text(text) = *self { Some(text) } else { None }
    }

    /// Returns a truth value.
    pub(super) fn bool(&self) -> Option<bool> {
        if let Self::Bool(value) = *self { Some(value) } else { None }
    }

    /// Returns an array.
    pub(super) fn array(&self) -> Option<Array<'a>> {
        if let Self::Array(array) = *self { Some(array) } else { None }
    }
}

/// Returns the bytes of a value of a type, if all values of it have the same.
fn element_size(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// Array in a file, which was walked once and is decoded as it is read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Array<'a> {
    kind: u32,
    count: u64,
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    /// Wraps `count` values of a type.
    fn new(kind: u32, count: u64, bytes: &'a [u8]) -> Self {
        Self { kind, count, bytes }
    }

    /// Returns the number of values.
    pub(super) fn len(&self) -> u64 {
        self.count
    }

    /// Decodes the values.
    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let Self { kind, count, bytes } = *self;
        let mut cursor = Cursor { rest: bytes };
        (0..count).map_while(move |_| cursor.value(kind, u32::MAX, "an array").ok())
    }
}

/// Unread rest of a file, or of an array in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Returns the next bytes; the error says in what the file ends.
    pub(super) fn take(&mut self, count: u64, what: impl Display) -> Result<&'a [u8], String> {
        let split = usize::try_from(count).ok().and_then(|count| self.rest.split_at_checked(count));
        let Some((taken, rest)) = split else {
            return Err(format!("the file ends within {what}: it is incomplete or damaged; fetch it again"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: impl Display) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N as u64, what)?);
        Ok(bytes)
    }

    /// Reads a little-endian number.
    pub(super) fn u32(&mut self, what: impl Display) -> Result<u32, String> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// Reads a little-endian number.
    pub(super) fn u64(&mut self, what: impl Display) -> Result<u64, String> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Reads a length and as many bytes of UTF-8.
    pub(super) fn text(&mut self, what: impl Display) -> Result<&'a str, String> {
        let length = self.u64(&what)?;
        let bytes = self.take(length, &what)?;
        std::str::from_utf8(bytes).map_err(|_| format!("{what} is not UTF-8: the file is damaged"))
    }

    /// Reads one value of a type, with arrays in arrays down to `depth`.
    pub(super) fn value(&mut self, kind: u32, depth: u32, what: impl Display) -> Result<Value<'a>, String> {
        let what = &what as &dyn Display;
        Ok(match kind {
            0 => Value::Unsigned(self.array(what).map(u8::from_le_bytes)?.into()),
            1 => Value::Signed(self.array(what).map(i8::from_le_bytes)?.into()),
            2 => Value::Unsigned(self.array(what).map(u16::from_le_bytes)?.into()),
            3 => Value::Signed(self.array(what).map(i16::from_le_bytes)?.into()),
            4 => Value::Unsigned(self.u32(what)?.into()),
            5 => Value::Signed(self.array(what).map(i32::from_le_bytes)?.into()),
            6 => Value::F32(self.array(what).map(f32::from_le_bytes)?),
            7 => match self.array(what)? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [other] => return Err(format!("{what} is a truth value of {other}: the file is damaged")),
            },
            8 => Value::Text(self.text(what)?),
            9 => Value::Array(self.values(depth, what)?),
            10 => Value::Unsigned(self.u64(what)?),
            11 => Value::Signed(self.array(what).map(i64::from_le_bytes)?),
            12 => Value::F64(self.array(what).map(f64::from_le_bytes)?),
            _ => return Err(format!("{what} has the unknown type {kind}: the file is damaged")),
        })
    }

    /// Walks over an array.
    fn values(&mut self, depth: u32, what: &dyn Display) -> Result<Array<'a>, String> {
        let depth =
            depth.checked_sub(1).ok_or_else(|| format!("{what} has arrays in arrays beyond reason"))?;
        let kind = self.u32(what)?;
        let count = self.u64(what)?;
        let before = self.rest;
        match element_size(kind) {
            Some(size) => {
                self.take(count.saturating_mul(size), what)?;
            }
            None => {
                for _ in 0..count {
                    self.value(kind, depth, what)?;
                }
            }
        }
        let bytes = &before[..before.len() - self.rest.len()];
        Ok(Array::new(kind, count, bytes))
    }
}
