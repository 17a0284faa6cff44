//! Named tensors in safetensors files.

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use tch::{Device, Kind, Tensor};

use crate::ModelError;

/// Copies the values of an f32 tensor on any device.
pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.to_device(Device::Cpu).contiguous().view([-1])).expect("a vector of f32")
}

/// Values that are checked at once.
const PIECE: i64 = 1 << 18;

/// Checks that all values of a tensor are finite.
///
/// # Errors
/// A sentence that names the tensor, if a value is NaN or infinite.
pub fn check_finite(name: &str, tensor: &Tensor) -> Result<(), String> {
    let values = tensor.reshape([-1]);
    // In pieces: libtorch needs a multiple of the tensor's memory.
    let mut pieces = (0..values.numel() as i64).step_by(PIECE as usize);
    let finite = |from: i64| {
        let piece = values.narrow(0, from, PIECE.min(values.numel() as i64 - from));
        piece.isfinite().all().int64_value(&[]) != 0
    };
    if pieces.all(finite) {
        return Ok(());
    }
    Err(format!("`{name}` contains NaN or infinite values; use an earlier checkpoint, or train again"))
}

/// Dtypes of files and their equivalents in libtorch.
const DTYPES: [(Dtype, Kind); 3] =
    [(Dtype::F32, Kind::Float), (Dtype::BF16, Kind::BFloat16), (Dtype::F16, Kind::Half)];

/// Encodes a tensor for a file: dtype and little-endian bytes.
fn encoded(tensor: &Tensor) -> Result<(Dtype, Vec<u8>), String> {
    let kind = tensor.kind();
    let dtype = DTYPES.into_iter().find(|(_, known)| *known == kind);
    let (dtype, _) = dtype.ok_or_else(|| format!("is {kind:?}; files hold f32, bf16 and f16"))?;
    if kind == Kind::Float {
        return Ok((dtype, values(tensor).iter().flat_map(|value| value.to_le_bytes()).collect()));
    }
    let halves = tensor.to_device(Device::Cpu).contiguous().view([-1]).view_dtype(Kind::Int16);
    let halves: Vec<i16> = Vec::try_from(halves).map_err(|error: tch::TchError| error.to_string())?;
    Ok((dtype, halves.iter().flat_map(|value| value.to_le_bytes()).collect()))
}

/// Writes named floating-point tensors as a safetensors file; each keeps its dtype.
///
/// # Errors
/// [`ModelError::Checkpoint`] for another dtype, or if the file cannot be written.
pub fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), ModelError> {
    let fail = |reason: String| ModelError::Checkpoint { path: path.display().to_string(), reason };
    let mut encodings = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let shape: Vec<usize> = tensor.size().iter().map(|&size| size as usize).collect();
        let (dtype, data) = encoded(tensor).map_err(|reason| fail(format!("`{name}` {reason}")))?;
        encodings.push((name.as_str(), dtype, shape, data));
    }
    let views: Vec<(&str, TensorView<'_>)> = encodings
        .iter()
        .map(|(name, dtype, shape, data)| {
            TensorView::new(*dtype, shape.clone(), data).map(|view| (*name, view))
        })
        .collect::<Result<_, _>>()
        .map_err(|error| fail(error.to_string()))?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let data = safetensors::serialize(views, Some(metadata)).map_err(|error| fail(error.to_string()))?;
    fs_err::write(path, data).map_err(|error| fail(error.to_string()))
}

/// Reads all tensors of a safetensors file; each keeps its dtype.
///
/// # Errors
/// [`ModelError::Checkpoint`] for a missing or broken file or a dtype that is not f32, bf16 or f16.
pub fn read_tensors(path: &Path) -> Result<HashMap<String, Tensor>, ModelError> {
    let fail = |reason: String| ModelError::Checkpoint { path: path.display().to_string(), reason };
    let data = fs_err::read(path).map_err(|error| fail(error.to_string()))?;
    let file =
        SafeTensors::deserialize(&data).map_err(|error| fail(format!("not a safetensors file: {error}")))?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        let tensor = decoded(&name, view.dtype(), view.shape(), view.data()).map_err(fail)?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// Returns libtorch's equivalent of the dtype of a file.
///
/// # Errors
/// A sentence that names the tensor, if the dtype is not supported.
pub(super) fn check_dtype(name: &str, dtype: Dtype) -> Result<Kind, String> {
    let known = DTYPES.into_iter().find(|(known, _)| *known == dtype);
    let refused = || format!("`{name}` is {dtype:?}; this program reads F32, BF16 and F16");
    known.map(|(_, kind)| kind).ok_or_else(refused)
}

/// Copies the bytes of a tensor.
pub(super) fn decoded(name: &str, dtype: Dtype, shape: &[usize], data: &[u8]) -> Result<Tensor, String> {
    let kind = check_dtype(name, dtype)?;
    let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
    Tensor::f_from_data_size(data, &shape, kind).map_err(|error| format!("`{name}`: {error}"))
}
