//! Functions `ids`, `describe` and `tasks`: what there is to play.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use stepladder_env::Reader;
use stepladder_families::named;

use crate::errors::Fault;
use crate::shared::{Source, open, read_split};

/// Lists the ids of the environments.
#[pyfunction]
pub(crate) fn ids() -> Vec<&'static str> {
    stepladder_families::ids()
}

/// Describes an environment as a dictionary.
#[pyfunction]
pub(crate) fn describe<'py>(py: Python<'py>, id: &str) -> PyResult<Bound<'py, PyDict>> {
    let family = named(id).map_err(Fault::UnknownEnvironment)?;
    let spec = family.spec;
    let options = PyDict::new(py);
    for option in family.options.iter().filter(|option| option.readers.contains(&Reader::Play)) {
        options.set_item(option.name, format!("{} ({})", option.meaning, option.values))?;
    }
    let described = PyDict::new(py);
    described.set_item("id", spec.id)?;
    described.set_item("version", spec.version)?;
    described.set_item("summary", spec.summary)?;
    described.set_item("upstream", spec.upstream)?;
    described.set_item("data_licence", spec.data_licence)?;
    described.set_item("splits", spec.splits)?;
    described.set_item("max_steps", spec.max_steps)?;
    described.set_item("reward_range", spec.reward_range)?;
    described.set_item("score_range", spec.score_range)?;
    described.set_item("deterministic", spec.deterministic)?;
    described.set_item("forkable", !family.child_processes)?;
    described.set_item("options", options)?;
    Ok(described)
}

/// Lists the ids of the tasks of a split.
#[pyfunction]
#[pyo3(signature = (id, split, *, options, data))]
pub(crate) fn tasks(
    py: Python<'_>,
    id: String,
    split: &str,
    options: BTreeMap<String, String>,
    data: Option<PathBuf>,
) -> PyResult<Vec<String>> {
    let source = Source { id, options, data };
    let split = py.detach(|| {
        let opened = open(&source)?;
        read_split(&opened.shared, split)
    })?;
    Ok(split.keys().iter().map(|key| key.id.clone()).collect())
}
