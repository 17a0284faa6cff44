//! Dequantisation to f32, bit for bit as `gguf.quants.dequantize` of PyPI's `gguf` computes it.
//!
//! Layouts of blocks: `ggml-common.h` and `ggml-quants.c` in the repository of ggml.

use half::{bf16, f16};

/// Type of a tensor's blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 32-bit floats.
    F32,
    /// 16-bit floats of IEEE 754.
    F16,
    /// Upper halves of 32-bit floats.
    Bf16,
    /// 32 values: scale, signed bytes.
    Q8_0,
    /// 32 values: scale, nibbles less 8.
    Q4_0,
    /// 32 values: scale, minimum, nibbles.
    Q4_1,
    /// 32 values: scale, fifth bits, nibbles, less 16.
    Q5_0,
    /// 32 values: scale, minimum, fifth bits, nibbles.
    Q5_1,
    /// 256 values: scales of scales and of minima, eight of both in 6 bits, nibbles.
    Q4K,
    /// 256 values: 6 bits less 32, sixteen scales of 8 bits, scale of scales.
    Q6K,
}

/// Types that are read: id and name in ggml, values and bytes of a block.
const READ: [(Kind, u32, &str, usize, usize); 10] = [
    (Kind::F32, 0, "F32", 1, 4),
    (Kind::F16, 1, "F16", 1, 2),
    (Kind::Bf16, 30, "BF16", 1, 2),
    (Kind::Q8_0, 8, "Q8_0", 32, 34),
    (Kind::Q4_0, 2, "Q4_0", 32, 18),
    (Kind::Q4_1, 3, "Q4_1", 32, 20),
    (Kind::Q5_0, 6, "Q5_0", 32, 22),
    (Kind::Q5_1, 7, "Q5_1", 32, 24),
    (Kind::Q4K, 12, "Q4_K", 256, 144),
    (Kind::Q6K, 14, "Q6_K", 256, 210),
];

/// Types that are refused by name.
const REFUSED: [(u32, &str); 24] = [
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (13, "Q5_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
    (41, "Q1_0"),
];

impl Kind {
    /// Returns the type with an id.
    ///
    /// # Errors
    /// The name of a type that is not read, and the names of those that are.
    pub(super) fn from_id(id: u32) -> Result<Self, String> {
        if let Some((kind, ..)) = READ.into_iter().find(|known| known.1 == id) {
            return Ok(kind);
        }
        let name = REFUSED.into_iter().find(|known| known.0 == id);
        let name = name.map_or_else(|| format!("of the unknown type {id}"), |(_, name)| name.to_owned());
        let read = READ.map(|(_, _, name, ..)| name).join(", ");
        Err(format!("{name}; this program reads {read}: take a file in one of these"))
    }

    fn row(self) -> (Self, u32, &'static str, usize, usize) {
        READ.into_iter().find(|known| known.0 == self).unwrap_or(READ[0])
    }

    /// Returns the name in ggml.
    pub(super) fn name(self) -> &'static str {
        self.row().2
    }

    /// Returns the values of a block.
    pub(super) fn values(self) -> usize {
        self.row().3
    }

    /// Returns the bytes of a block.
    pub(super) fn bytes(self) -> usize {
        self.row().4
    }

    /// Appends the values of whole blocks.
    pub(super) fn dequantise(self, data: &[u8], values: &mut Vec<f32>) {
        for block in data.chunks_exact(self.bytes()) {
            match self {
                Self::F32 => values.push(f32::from_le_bytes([block[0], block[1], block[2], block[3]])),
                Self::F16 => values.push(half(block)),
                Self::Bf16 => values.push(bf16::from_le_bytes([block[0], block[1]]).to_f32()),
                Self::Q8_0 => {
                    let scale = half(block);
                    values.extend(block[2..].iter().map(|&byte| f32::from(byte as i8) * scale));
                }
                Self::Q4_0 => {
                    let scale = half(block);
                    values.extend(nibbles(&block[2..]).map(|value| scale * f32::from(value as i8 - 8)));
                }
                Self::Q4_1 => {
                    let (scale, least) = (half(block), half(&block[2..]));
                    values.extend(nibbles(&block[4..]).map(|value| scale * f32::from(value) + least));
                }
                Self::Q5_0 => {
                    let scale = half(block);
                    values.extend(five(&block[2..]).map(|value| scale * f32::from(value as i8 - 16)));
                }
                Self::Q5_1 => {
                    let (scale, least) = (half(block), half(&block[2..]));
                    values.extend(five(&block[4..]).map(|value| scale * f32::from(value) + least));
                }
                Self::Q4K => q4_k(block, values),
                Self::Q6K => q6_k(block, values),
            }
        }
    }
}

/// Converts the 16-bit float at the beginning of some bytes.
fn half(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// Yields the low nibbles of all bytes, then the high ones.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().map(|byte| byte & 15).chain(bytes.iter().map(|byte| byte >> 4))
}

/// Yields 32 values of 5 bits: 4 bytes of fifth bits, then 16 bytes of nibbles.
fn five(bytes: &[u8]) -> impl Iterator<Item = u8> {
    let fifth = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    nibbles(&bytes[4..]).enumerate().map(move |(index, low)| low | ((fifth >> index & 1) as u8) << 4)
}

/// Scale, scale of minima, 12 bytes of eight scales and eight minima, 128 bytes of nibbles.
fn q4_k(block: &[u8], values: &mut Vec<f32>) {
    let (scale, least) = (half(block), half(&block[2..]));
    let packed = &block[4..16];
    for group in 0..8 {
        let (factor, minimum) = if group < 4 {
            (packed[group] & 63, packed[group + 4] & 63)
        } else {
            let (low, minima, both) = (packed[group - 4], packed[group], packed[group + 4]);
            (both & 15 | low >> 2 & 48, both >> 4 | minima >> 2 & 48)
        };
        let (factor, minimum) = (scale * f32::from(factor), least * f32::from(minimum));
        let shift = group % 2 * 4;
        let bytes = block[16..].chunks_exact(32).nth(group / 2).unwrap_or_default();
        values.extend(bytes.iter().map(|byte| factor * f32::from(byte >> shift & 15) - minimum));
    }
}

/// 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 scales, scale of scales.
fn q6_k(block: &[u8], values: &mut Vec<f32>) {
    let (low, high, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let scale = half(&block[208..]);
    for group in 0..8 {
        let (half, quarter) = (group / 4, group % 4);
        for index in 0..32 {
            let nibble = low[half * 64 + quarter % 2 * 32 + index] >> (quarter / 2 * 4) & 15;
            let pair = high[half * 32 + index] >> (quarter * 2) & 3;
            let factor = scale * f32::from(scales[group * 2 + index / 16] as i8);
            values.push(factor * f32::from((nibble | pair << 4) as i8 - 32));
        }
    }
}
