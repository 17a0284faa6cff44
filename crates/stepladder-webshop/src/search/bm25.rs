//! BM25 in the arithmetic of Lucene 9 (`org.apache.lucene.search.similarities.BM25Similarity`), with Anserini's k1 and b.

const K1: f32 = 0.9;
const B: f32 = 0.4;

/// `SmallFloat.intToByte4`: lengths to 39 as they are, then four significant bits.
pub(super) fn encode_length(length: u32) -> u8 {
    let length = length.min(i32::MAX as u32);
    // Codes that remain beside those of four bits: 255 - longToInt4(i32::MAX).
    match length.checked_sub(EXACT) {
        None => length as u8,
        Some(rest) if rest < 8 => (EXACT + rest) as u8,
        Some(rest) => {
            let shift = 28 - rest.leading_zeros();
            (EXACT + ((rest >> shift & 7) | (shift + 1) << 3)) as u8
        }
    }
}

const EXACT: u32 = 24;

/// `SmallFloat.byte4ToInt`.
fn decode_length(code: u8) -> u32 {
    match u32::from(code).checked_sub(EXACT) {
        None => u32::from(code),
        Some(rest) if rest < 8 => EXACT + rest,
        Some(rest) => EXACT + (((rest & 7) | 8) << ((rest >> 3) - 1)),
    }
}

/// Weight of a term that `containing` of `documents` documents contain.
///
/// `documents` counts those with a term at all, as `CollectionStatistics.docCount` does.
pub(super) fn idf(documents: u32, containing: u32) -> f32 {
    let (documents, containing) = (f64::from(documents), f64::from(containing));
    (1.0 + (documents - containing + 0.5) / (containing + 0.5)).ln() as f32
}

/// Reciprocal of the length norm of every code of a length.
pub(super) fn norms(average: f32) -> [f32; 256] {
    std::array::from_fn(|code| {
        let length = decode_length(code as u8) as f32;
        1.0 / (K1 * ((1.0 - B) + B * length / average))
    })
}

/// Share of a term in a document's score, which never falls as `saturation`, its frequency times its norm, rises.
#[inline]
pub(super) fn score(weight: f32, saturation: f32) -> f32 {
    weight - weight / (1.0 + saturation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_keep_four_significant_bits() {
        for length in 0..40 {
            assert_eq!(decode_length(encode_length(length)), length);
        }
        assert_eq!([40, 41, 42, 43, 100, 1000].map(encode_length), [40, 40, 41, 41, 57, 87]);
        assert_eq!(encode_length(i32::MAX as u32), 255);
        for code in 0..=255 {
            assert_eq!(encode_length(decode_length(code)), code);
        }
    }
}
