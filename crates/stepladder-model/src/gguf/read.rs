//! Reader of GGUF versions 2 and 3: header, metadata and tensor table of a file in memory.
//!
//! Everything borrows from the file. No claimed length is allocated: arrays are walked where they are, so that a hostile
//! file cannot make the reader allocate more than a multiple of the file's size.
//! Source of the format: `docs/gguf.md` in the repository of ggml.

use std::collections::BTreeMap;

use super::blocks::Kind;
use super::value::{Cursor, DEPTH, Value};

const MAGIC: &[u8; 4] = b"GGUF";
const VERSIONS: [u32; 2] = [2, 3];
/// Alignment of tensors where the metadata names none.
const ALIGNMENT: u64 = 32;
/// Largest number of dimensions of a tensor in ggml.
const DIMENSIONS: u32 = 4;

/// Contents of a GGUF file.
#[derive(Debug)]
pub(super) struct Gguf<'a> {
    /// Values by key.
    pub(super) metadata: BTreeMap<&'a str, Value<'a>>,
    /// Tensors by name.
    pub(super) tensors: BTreeMap<&'a str, Tensor<'a>>,
}

/// Tensor of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tensor<'a> {
    /// Type of its blocks.
    pub(super) kind: Kind,
    /// Sizes as in libtorch: rows first. The file stores them in the opposite order.
    pub(super) shape: Vec<usize>,
    /// All blocks, row after row.
    pub(super) data: &'a [u8],
}

impl Tensor<'_> {
    /// Returns the number of values of a row.
    pub(super) fn columns(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
}

impl<'a> Gguf<'a> {
    /// Reads a file and checks every length and offset of it.
    ///
    /// # Errors
    /// One sentence without the name of the file.
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, String> {
        let mut cursor = Cursor { rest: file };
        if file.get(..4) != Some(MAGIC) {
            return Err("not a GGUF file: it does not begin with `GGUF`".to_owned());
        }
        cursor.take(4, "the header")?;
        let version = cursor.u32("the header")?;
        if VERSIONS.contains(&version.swap_bytes()) {
            return Err("a big-endian GGUF file; convert it to little-endian".to_owned());
        }
        if !VERSIONS.contains(&version) {
            return Err(format!(
                "GGUF version {version}; this program reads versions 2 and 3: convert the file with a current llama.cpp"
            ));
        }
        let tensors = cursor.u64("the header")?;
        let keys = cursor.u64("the header")?;
        let mut metadata = BTreeMap::new();
        for index in 0..keys {
            let key = cursor.text(format_args!("metadata key {index} of {keys}"))?;
            let kind = cursor.u32(format_args!("`{key}`"))?;
            let value = cursor.value(kind, DEPTH, format_args!("`{key}`"))?;
            if metadata.insert(key, value).is_some() {
                return Err(format!("the metadata key `{key}` is there twice: the file is damaged"));
            }
        }
        let mut table = Vec::new();
        for index in 0..tensors {
            table.push(Entry::read(&mut cursor, index, tensors)?);
        }
        let alignment = match metadata.get("general.alignment") {
            None => ALIGNMENT,
            Some(value) => value
                .unsigned()
                .filter(|alignment| alignment.is_power_of_two())
                .ok_or("`general.alignment` is not a power of two: the file is damaged")?,
        };
        let header = (file.len() - cursor.rest.len()) as u64;
        let start = header.checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
        let mut found = BTreeMap::new();
        for entry in table {
            let name = entry.name;
            let tensor = entry.locate(file, start, alignment)?;
            if found.insert(name, tensor).is_some() {
                return Err(format!("the tensor `{name}` is there twice: the file is damaged"));
            }
        }
        Ok(Self { metadata, tensors: found })
    }
}

/// Line of the tensor table.
struct Entry<'a> {
    name: &'a str,
    kind: Kind,
    /// Sizes in the order of the file: columns first.
    sizes: Vec<u64>,
    /// Offset from the beginning of the data.
    offset: u64,
}

impl<'a> Entry<'a> {
    /// Reads a line of the tensor table.
    fn read(cursor: &mut Cursor<'a>, index: u64, count: u64) -> Result<Self, String> {
        let name = cursor.text(format_args!("the name of tensor {index} of {count}"))?;
        let what = format_args!("the tensor table, at `{name}`");
        let dimensions = cursor.u32(what)?;
        if dimensions > DIMENSIONS {
            return Err(format!("the tensor `{name}` has {dimensions} dimensions: the file is damaged"));
        }
        let mut sizes = Vec::new();
        for _ in 0..dimensions {
            sizes.push(cursor.u64(what)?);
        }
        let kind = cursor.u32(what)?;
        let kind = Kind::from_id(kind).map_err(|reason| format!("the tensor `{name}` is {reason}"))?;
        Ok(Self { name, kind, sizes, offset: cursor.u64(what)? })
    }

    /// Finds the data in the file.
    fn locate(self, file: &'a [u8], start: u64, alignment: u64) -> Result<Tensor<'a>, String> {
        let Self { name, kind, sizes, offset } = self;
        if !offset.is_multiple_of(alignment) {
            return Err(format!(
                "the tensor `{name}` is not aligned to {alignment} bytes: the file is damaged"
            ));
        }
        let (block, bytes) = (kind.values() as u64, kind.bytes() as u64);
        let columns = sizes.first().copied().unwrap_or(1);
        if !columns.is_multiple_of(block) {
            return Err(format!(
                "the tensor `{name}` has rows of {columns} values, which are no whole blocks of {}: the file is damaged",
                kind.name()
            ));
        }
        let values = sizes.iter().try_fold(1u64, |product, size| product.checked_mul(*size));
        let length = values.and_then(|values| (values / block).checked_mul(bytes));
        let begin = start.checked_add(offset);
        let end = begin.zip(length).and_then(|(begin, length)| begin.checked_add(length));
        let range = begin
            .zip(end)
            .and_then(|(begin, end)| Some(usize::try_from(begin).ok()?..usize::try_from(end).ok()?));
        let data = range.and_then(|range| file.get(range)).ok_or_else(|| {
            format!("the file ends before the end of the tensor `{name}`: it is incomplete; fetch it again")
        })?;
        // Sizes whose product fits into the file may still contain a zero beside a huge one.
        let sizes = sizes.iter().rev().map(|size| usize::try_from(*size).ok());
        let shape = sizes
            .collect::<Option<Vec<usize>>>()
            .ok_or_else(|| format!("the tensor `{name}` is too large for this machine"))?;
        Ok(Tensor { kind, shape, data })
    }
}
