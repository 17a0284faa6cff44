//! Class `Session`: one environment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use stepladder_core::End;
use stepladder_env::session::{Reset, TaskChoice};

use crate::errors::Fault;
use crate::held::Held;
use crate::shared::{Source, open, read_split};

/// One environment that plays episodes on demand.
#[pyclass(frozen, module = "stepladder._stepladder")]
pub(crate) struct Session {
    held: Mutex<Held>,
}

impl Session {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Session {
    #[new]
    #[pyo3(signature = (id, split, *, options, data, max_steps, seed, admissible_actions))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        id: String,
        split: &str,
        options: BTreeMap<String, String>,
        data: Option<PathBuf>,
        max_steps: Option<u32>,
        seed: u64,
        admissible_actions: bool,
    ) -> PyResult<Self> {
        let source = Source { id, options, data };
        let held = py.detach(|| {
            let opened = open(&source)?;
            read_split(&opened.shared, split)?;
            Held::new(&opened, split, max_steps, seed, admissible_actions)
        })?;
        Ok(Self { held: Mutex::new(held) })
    }

    #[pyo3(signature = (seed, split, task))]
    fn reset<'py>(
        &self,
        py: Python<'py>,
        seed: Option<&Bound<'py, PyAny>>,
        split: Option<String>,
        task: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(String, Bound<'py, PyDict>)> {
        let request =
            Reset { seed: seed.map(whole).transpose()?, split, task: task.map(choice).transpose()? };
        let outcome = py.detach(|| {
            if let Some(split) = &request.split {
                let shared = self.held().shared()?;
                read_split(&shared, split)?;
            }
            self.held().reset(&request)
        })?;
        let info = outcome.info(py)?;
        Ok((outcome.observation, info))
    }

    fn step<'py>(
        &self,
        py: Python<'py>,
        action: &Bound<'py, PyAny>,
    ) -> PyResult<(String, f64, bool, bool, Bound<'py, PyDict>)> {
        let action = text(action)?;
        let outcome = py.detach(|| self.held().step(&action))?;
        let info = outcome.info(py)?;
        let [terminated, truncated] = [End::Terminated, End::Truncated].map(|end| outcome.end == Some(end));
        Ok((outcome.observation, outcome.reward, terminated, truncated, info))
    }

    fn admissible_actions(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(py.detach(|| self.held().admissible_actions())?)
    }

    fn solution(&self, py: Python<'_>) -> PyResult<Option<Vec<String>>> {
        Ok(py.detach(|| self.held().solution())?)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.held().close());
    }

    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        py.detach(|| self.held().closed())
    }
}

/// Reads an action.
pub(crate) fn text(action: &Bound<'_, PyAny>) -> Result<String, Fault> {
    let Ok(action) = action.cast::<PyString>() else {
        return Err(Fault::Action(kind(action)));
    };
    action
        .to_str()
        .map(str::to_owned)
        .map_err(|_| Fault::Action("text with half a surrogate pair".to_owned()))
}

/// Reads a seed.
pub(crate) fn whole(seed: &Bound<'_, PyAny>) -> Result<u64, Fault> {
    seed.extract()
        .map_err(|_| Fault::Usage(format!("a seed is a whole number from 0 to 2**64 - 1, not {seed}")))
}

/// Reads the choice of a task.
pub(crate) fn choice(task: &Bound<'_, PyAny>) -> Result<TaskChoice, Fault> {
    if let Ok(id) = task.extract() {
        return Ok(TaskChoice::Id(id));
    }
    let wrong =
        || format!("a task is an id (str) or a position in the list of the split (int from 0), not {task}");
    task.extract().map(TaskChoice::Index).map_err(|_| Fault::Usage(wrong()))
}

/// Returns the name of an object's type.
pub(crate) fn kind(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}
