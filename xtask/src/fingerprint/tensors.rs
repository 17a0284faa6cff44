//! Hash of a model's tensors that depends on shapes and values only: not on names, their order or the dtype.
//!
//! A safetensors file is the length of its header (8 bytes, little endian), the header (JSON: dtype, shape and byte range of
//! each tensor) and the bytes. Reading it here spares xtask, which a newcomer compiles first, a crate with procedural macros.

use std::path::Path;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Returns SHA-256 over the sorted hashes of the tensors of a file, in hexadecimal digits, and the number of tensors.
pub(crate) fn of_file(path: &Path) -> Result<(String, usize)> {
    let hashes = tensors(&fs::read(path)?).with_context(|| path.display().to_string())?;
    Ok((of_list(hashes.clone()), hashes.len()))
}

/// Returns SHA-256 over hashes in sorted order.
pub(crate) fn of_list<H: AsRef<[u8]> + Ord>(mut hashes: Vec<H>) -> String {
    hashes.sort();
    let mut all = Sha256::new();
    for hash in &hashes {
        all.update(hash);
    }
    hexadecimal(&all.finalize())
}

/// Returns the hash of each tensor of a safetensors file.
fn tensors(file: &[u8]) -> Result<Vec<[u8; 32]>> {
    let (length, rest) = file.split_first_chunk::<8>().context("too short for a safetensors file")?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let Some((header, data)) = rest.split_at_checked(length) else { bail!("its header is truncated") };
    let header: Value = serde_json::from_slice(header).context("its header is not JSON")?;
    let entries = header.as_object().context("its header is not a JSON object")?;
    let named = entries.iter().filter(|(name, _)| *name != "__metadata__");
    named.map(|(name, entry)| tensor(entry, data).with_context(|| format!("tensor {name}"))).collect()
}

/// SHA-256 over number of dimensions, dimensions and values of one tensor.
fn tensor(entry: &Value, data: &[u8]) -> Result<[u8; 32]> {
    let whole = |value: &Value| value.as_u64().context("a size is not an integer");
    let dtype = entry["dtype"].as_str().context("it has no dtype")?;
    let shape = entry["shape"].as_array().context("it has no shape")?;
    let from = whole(&entry["data_offsets"][0])? as usize;
    let to = whole(&entry["data_offsets"][1])? as usize;
    let bytes = data.get(from..to).context("its bytes are outside the file")?;
    let mut hash = Sha256::new();
    hash.update((shape.len() as u64).to_le_bytes());
    for size in shape {
        hash.update(whole(size)?.to_le_bytes());
    }
    // Wider formats hold every value of narrower ones, so one model has one hash whatever it is stored as.
    match dtype {
        "F32" => {
            for chunk in bytes.as_chunks::<4>().0 {
                hash.update(f64::from(f32::from_le_bytes(*chunk)).to_le_bytes());
            }
        }
        "BF16" => {
            for &[low, high] in bytes.as_chunks::<2>().0 {
                hash.update(f64::from(f32::from_le_bytes([0, 0, low, high])).to_le_bytes());
            }
        }
        "F64" => hash.update(bytes),
        other => {
            hash.update(other);
            hash.update(bytes);
        }
    }
    Ok(hash.finalize().into())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Builds a safetensors file of two-dimensional tensors.
    fn file(tensors: &[(&str, &str, [u64; 2], Vec<u8>)]) -> Vec<u8> {
        let mut header = json!({ "__metadata__": { "format": "pt" } });
        let mut data: Vec<u8> = Vec::new();
        for (name, dtype, shape, bytes) in tensors {
            let from = data.len();
            data.extend(bytes);
            header[*name] = json!({ "dtype": dtype, "shape": shape, "data_offsets": [from, data.len()] });
        }
        let header = header.to_string();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.extend(data);
        file
    }

    fn f32s(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn hash(file: &[u8]) -> String {
        of_list(tensors(file).unwrap())
    }

    #[test]
    fn names_and_order_do_not_matter_but_one_bit_does() {
        let (left, right) = (f32s(&[1.0, 2.5, -0.0, 1e-30]), f32s(&[3.0, 4.0]));
        let plain = file(&[("a", "F32", [2, 2], left.clone()), ("b", "F32", [1, 2], right.clone())]);
        let renamed = file(&[("z.w", "F32", [1, 2], right.clone()), ("y.w", "F32", [2, 2], left.clone())]);
        assert_eq!(hash(&plain), hash(&renamed));
        let mut bit = left.clone();
        bit[0] ^= 1;
        assert_ne!(
            hash(&plain),
            hash(&file(&[("a", "F32", [2, 2], bit), ("b", "F32", [1, 2], right.clone())]))
        );
        assert_ne!(hash(&plain), hash(&file(&[("a", "F32", [4, 1], left), ("b", "F32", [1, 2], right)])));
    }

    #[test]
    fn the_number_format_does_not_matter_but_the_value_does() {
        let f64s: Vec<u8> = [1.5f64, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let bf16: Vec<u8> =
            [1.5f32, -2.0].iter().flat_map(|value| value.to_le_bytes()[2..].to_vec()).collect();
        let wide = hash(&file(&[("a", "F64", [1, 2], f64s)]));
        assert_eq!(hash(&file(&[("a", "F32", [1, 2], f32s(&[1.5, -2.0]))])), wide);
        assert_eq!(hash(&file(&[("a", "BF16", [1, 2], bf16)])), wide);
        assert_ne!(hash(&file(&[("a", "F32", [1, 2], f32s(&[1.5, 2.0]))])), wide);
    }

    #[test]
    fn a_broken_file_is_refused() {
        let whole = file(&[("a", "F32", [1, 1], f32s(&[1.0]))]);
        for (bytes, reason) in [
            (&whole[..4], "too short for a safetensors file"),
            (&whole[..20], "its header is truncated"),
            (&whole[..whole.len() - 1], "tensor a: its bytes are outside the file"),
        ] {
            assert_eq!(format!("{:#}", tensors(bytes).unwrap_err()), reason);
        }
    }
}
