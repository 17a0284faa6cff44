//! Tensors of one or several safetensors files, read one at a time through a memory map.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fs_err::File;
use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;
use safetensors::tensor::{Dtype, Metadata};
use safetensors::{SafeTensorError, SafeTensors};
use serde_json::Value;
use stepladder_core::seed::Fingerprint;
use tch::Tensor;

use super::tensors::decoded;
use crate::ModelError;

/// File with the tensors of a model that is not split.
pub const WEIGHTS: &str = "model.safetensors";
/// File that names the shard of each tensor, in a model that is split.
pub const INDEX: &str = "model.safetensors.index.json";

/// One safetensors file.
struct Shard {
    path: PathBuf,
    map: Mmap,
    metadata: Metadata,
    /// Offset of the first tensor.
    start: usize,
}

/// Creates an error about a file.
pub(super) fn fail(path: &Path, reason: impl ToString) -> ModelError {
    ModelError::Checkpoint { path: path.display().to_string(), reason: reason.to_string() }
}

impl Shard {
    #[allow(unsafe_code)]
    fn open(path: PathBuf) -> Result<Self, ModelError> {
        let file = File::open(&path).map_err(|error| fail(&path, error))?;
        // SAFETY: the map is only read. A program that shortens the file meanwhile ends this one, as with every mapped file.
        let map = unsafe { Mmap::map(file.file()) }.map_err(|error| fail(&path, error))?;
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|error| match error {
            SafeTensorError::MetadataIncompleteBuffer | SafeTensorError::InvalidHeaderLength => fail(
                &path,
                "it does not have the size that its header describes: the file is incomplete; fetch it again",
            ),
            error => fail(&path, format!("not a safetensors file: {error}")),
        })?;
        let start = header + size_of::<u64>();
        Ok(Self { path, map, metadata, start })
    }

    /// Gives the memory of copied tensor bytes back, so that a model is not resident twice while it is loaded.
    #[cfg(unix)]
    #[allow(unsafe_code)]
    fn release(&self, from: usize, to: usize) {
        // SAFETY: the map is private, only read, and backed by the file; pages that are read again come from there.
        let released = unsafe {
            self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, self.start + from, to - from)
        };
        // Failing costs memory only.
        released.unwrap_or_default();
    }

    #[cfg(not(unix))]
    fn release(&self, _: usize, _: usize) {}
}

/// Tensors of a model that are not yet assigned to a parameter.
pub(super) struct TensorFiles {
    shards: Vec<Shard>,
    /// Shard of each tensor.
    of_tensor: BTreeMap<String, usize>,
}

impl TensorFiles {
    /// Opens the tensors of a checkpoint directory: [`WEIGHTS`], or the shards that [`INDEX`] names.
    pub(super) fn open(directory: &Path) -> Result<Self, ModelError> {
        let index = directory.join(INDEX);
        if !index.exists() || directory.join(WEIGHTS).exists() {
            return Self::open_file(directory.join(WEIGHTS));
        }
        let text = fs_err::read_to_string(&index).map_err(|error| fail(&index, error))?;
        let value: Value = serde_json::from_str(&text).map_err(|error| fail(&index, error))?;
        let map = value.get("weight_map").and_then(Value::as_object);
        let map = map.ok_or_else(|| fail(&index, "no object under `weight_map`"))?;
        let mut names = BTreeSet::new();
        for (tensor, shard) in map {
            let shard = shard.as_str().filter(|name| Path::new(name).file_name() == Some(name.as_ref()));
            names.insert(shard.ok_or_else(|| fail(&index, format!("`{tensor}` has no file name")))?);
        }
        let mut shards = Vec::new();
        for name in names {
            let path = directory.join(name);
            if !path.exists() {
                return Err(fail(
                    &path,
                    format!("this shard is missing, but {INDEX} names it; fetch it again"),
                ));
            }
            shards.push(Shard::open(path)?);
        }
        let files = Self::of(shards)?;
        match map.keys().find(|name| !files.of_tensor.contains_key(*name)) {
            Some(name) => Err(fail(&index, format!("`{name}` is in none of the shards; fetch them again"))),
            None => Ok(files),
        }
    }

    /// Opens one file.
    pub(super) fn open_file(path: PathBuf) -> Result<Self, ModelError> {
        Self::of(vec![Shard::open(path)?])
    }

    fn of(shards: Vec<Shard>) -> Result<Self, ModelError> {
        let mut of_tensor = BTreeMap::new();
        for (at, shard) in shards.iter().enumerate() {
            for name in shard.metadata.offset_keys() {
                if let Some(other) = of_tensor.insert(name.clone(), at) {
                    let other = shards[other].path.display();
                    return Err(fail(
                        &shard.path,
                        format!("`{name}` is also in {other}; remove one of them"),
                    ));
                }
            }
        }
        Ok(Self { shards, of_tensor })
    }

    /// Returns the path of the first file, for messages.
    pub(super) fn path(&self) -> &Path {
        self.shards.first().map_or(Path::new(WEIGHTS), |shard| &shard.path)
    }

    /// Returns the bytes of all tensors by dtype.
    pub(super) fn sizes(&self) -> BTreeMap<String, u64> {
        let mut sizes = BTreeMap::new();
        for (name, at) in &self.of_tensor {
            if let Some(info) = self.shards[*at].metadata.info(name) {
                let (from, to) = info.data_offsets;
                *sizes.entry(info.dtype.to_string()).or_default() += (to - from) as u64;
            }
        }
        sizes
    }

    /// Computes the fingerprint of names, dtypes, shapes and values of the tensors that were not taken.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hash = Fingerprint::default();
        for (name, at) in &self.of_tensor {
            let shard = &self.shards[*at];
            let Some(info) = shard.metadata.info(name) else { continue };
            let (from, to) = info.data_offsets;
            hash.add(format!("{name} {} {:?} {}\n", info.dtype, info.shape, to - from).as_bytes());
            // Safetensors checks on opening that all offsets are inside the file.
            hash.add(shard.map.get(shard.start + from..shard.start + to).unwrap_or_default());
        }
        hash.finish()
    }

    /// Returns the path of the file with this tensor, for messages; of the first file, if it is in none.
    pub(super) fn path_of(&self, name: &str) -> &Path {
        self.of_tensor.get(name).map_or(self.path(), |shard| &self.shards[*shard].path)
    }

    /// Returns dtype and shape of a tensor that was not taken yet.
    pub(super) fn info(&self, name: &str) -> Option<(Dtype, &[usize])> {
        let info = self.shards[*self.of_tensor.get(name)?].metadata.info(name)?;
        Some((info.dtype, &info.shape))
    }

    /// Whether a tensor of this name was not taken yet.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.of_tensor.contains_key(name)
    }

    /// Copies a tensor out of its file; each can be taken once. None for an unknown name.
    pub(super) fn take(&mut self, name: &str) -> Result<Option<Tensor>, String> {
        self.with(name, |dtype, shape, data| decoded(name, dtype, shape, data))
    }

    /// Calls a function with dtype, shape and bytes of a tensor; each can be read once. None for an unknown name.
    pub(super) fn with<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Dtype, &[usize], &[u8]) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let Some(shard) = self.of_tensor.remove(name).map(|at| &self.shards[at]) else { return Ok(None) };
        let info = shard.metadata.info(name).ok_or_else(|| format!("no tensor `{name}`"))?;
        let (from, to) = info.data_offsets;
        let data = shard.map.get(shard.start + from..shard.start + to);
        let data = data.ok_or_else(|| format!("`{name}` ends after the end of the file"))?;
        let found = read(info.dtype, &info.shape, data)?;
        shard.release(from, to);
        Ok(Some(found))
    }

    /// Returns the names of the tensors that were not taken.
    pub(super) fn left(&self) -> impl Iterator<Item = &str> {
        self.of_tensor.keys().map(String::as_str)
    }
}
