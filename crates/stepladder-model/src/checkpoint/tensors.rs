//! Named tensors in safetensors files.

use std::collections::HashMap;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use tch::{Device, Tensor};

use crate::ModelError;

/// All numbers of an f32 tensor, wherever it is.
pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.to_device(Device::Cpu).contiguous().view([-1])).expect("a vector of f32")
}

/// Refuses weights with which nothing can be computed.
///
/// # Errors
/// A sentence that names the tensor, if a number of it is NaN or infinite.
pub fn check_finite(name: &str, tensor: &Tensor) -> Result<(), String> {
    if tensor.isfinite().all().int64_value(&[]) != 0 {
        return Ok(());
    }
    Err(format!("`{name}` holds NaN or infinite numbers; use an earlier checkpoint, or train again"))
}

/// Writes named f32 tensors as a safetensors file.
///
/// # Errors
/// [`ModelError::Checkpoint`].
pub fn write_tensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), ModelError> {
    let fail = |reason: String| ModelError::Checkpoint { path: path.display().to_string(), reason };
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let shape = tensor.size().iter().map(|&size| size as usize).collect();
            (name.clone(), shape, values(tensor).iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views: Vec<(&str, TensorView<'_>)> = bytes
        .iter()
        .map(|(name, shape, data)| {
            TensorView::new(Dtype::F32, shape.clone(), data).map(|view| (name.as_str(), view))
        })
        .collect::<Result<_, _>>()
        .map_err(|error| fail(error.to_string()))?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let data = safetensors::serialize(views, Some(metadata)).map_err(|error| fail(error.to_string()))?;
    fs_err::write(path, data).map_err(|error| fail(error.to_string()))
}

/// Reads all f32 tensors of a safetensors file.
///
/// # Errors
/// [`ModelError::Checkpoint`] for a missing or broken file or another number format.
pub fn read_tensors(path: &Path) -> Result<HashMap<String, Tensor>, ModelError> {
    let fail = |reason: String| ModelError::Checkpoint { path: path.display().to_string(), reason };
    let data = fs_err::read(path).map_err(|error| fail(error.to_string()))?;
    let file =
        SafeTensors::deserialize(&data).map_err(|error| fail(format!("not a safetensors file: {error}")))?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(fail(format!("`{name}` is {:?}; this program stores F32", view.dtype())));
        }
        let (chunks, _) = view.data().as_chunks::<4>();
        let numbers: Vec<f32> = chunks.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
        let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
        tensors.insert(name, Tensor::from_slice(&numbers).view(shape.as_slice()));
    }
    Ok(tensors)
}
