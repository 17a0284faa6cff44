//! Pretrained models in memory. Policies with adapters share them: a run holds one copy for its policy, its reference policy and
//! the agents that it evaluates.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind};

use super::files::TensorFiles;
use super::{load, read_config};
use crate::ModelError;
use crate::engine::placement;
use crate::weights::Weights;

/// Pretrained model that a policy was trained from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseId {
    /// Directory of the model.
    pub path: PathBuf,
    /// Fingerprint of names, dtypes, shapes and values of its tensors: 16 hexadecimal digits.
    pub fingerprint: String,
}

impl BaseId {
    /// Reads the identity of the model in a directory.
    ///
    /// # Errors
    /// [`ModelError::Checkpoint`] for a missing or incomplete file.
    pub fn read(directory: &Path) -> Result<Self, ModelError> {
        let fingerprint = format!("{:016x}", TensorFiles::open(directory)?.fingerprint());
        Ok(Self { path: directory.to_owned(), fingerprint })
    }
}

/// Pretrained models in memory, each read once per device. All parameters are frozen, in one dtype: by default that of matrix
/// products on the device.
#[derive(Debug, Default)]
pub struct Bases {
    loaded: RefCell<Vec<Loaded>>,
    /// Identities that were read already: a fingerprint needs every byte of the model.
    known: RefCell<Vec<BaseId>>,
    dtype: Option<Kind>,
}

#[derive(Debug)]
struct Loaded {
    id: BaseId,
    device: Device,
    weights: Rc<Weights>,
}

impl Bases {
    /// Creates a place for models in `dtype`; in the default dtype if absent.
    pub fn in_dtype(dtype: Option<Kind>) -> Self {
        Self { dtype, ..Self::default() }
    }

    /// Returns the identity of the model in a directory, read once.
    ///
    /// # Errors
    /// As [`BaseId::read`].
    pub fn id_of(&self, directory: &Path) -> Result<BaseId, ModelError> {
        if let Some(known) = self.known.borrow().iter().find(|known| known.path == directory) {
            return Ok(known.clone());
        }
        let id = BaseId::read(directory)?;
        self.known.borrow_mut().push(id.clone());
        Ok(id)
    }

    /// Returns a pretrained model: the one in memory with this fingerprint, or that of the directory.
    ///
    /// # Errors
    /// [`ModelError::Checkpoint`] for a missing or broken file, or if the directory holds another model by now.
    pub fn get(&self, id: &BaseId, device: Device) -> Result<Rc<Weights>, ModelError> {
        let same = |loaded: &&Loaded| loaded.id.fingerprint == id.fingerprint && loaded.device == device;
        if let Some(found) = self.loaded.borrow().iter().find(same) {
            return Ok(found.weights.clone());
        }
        let fail = |reason: String| ModelError::Checkpoint { path: id.path.display().to_string(), reason };
        if !id.path.is_dir() {
            return Err(fail(
                "the pretrained model below the adapter is not there; put its directory back".to_owned(),
            ));
        }
        let found = self.id_of(&id.path)?.fingerprint;
        if found != id.fingerprint {
            return Err(fail(format!(
                "its tensors have the fingerprint {found}, but the adapter was trained over {}; put the original model back",
                id.fingerprint
            )));
        }
        let all = read_config(&id.path)?.parameters().into_iter().map(|parameter| parameter.name).collect();
        let dtype = self.dtype.unwrap_or(placement(device, 1).1);
        let weights = Rc::new(load(&id.path, &all, device)?.cast_frozen(dtype));
        self.loaded.borrow_mut().push(Loaded { id: id.clone(), device, weights: weights.clone() });
        Ok(weights)
    }
}
