//! Class `Sessions`: several environments, stepped on threads.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFrozenSet, PySet, PyString};
use rayon::prelude::*;
use stepladder_env::session::{Reset, TaskChoice};

use crate::errors::Fault;
use crate::held::Held;
use crate::outcome::{Outcome, columns};
use crate::session::{choice, kind, text, whole};
use crate::shared::{Source, on_threads, open, read_split};

/// One environment of several, with the task that it plays in every episode.
struct Member {
    held: Held,
    task: Option<TaskChoice>,
}

/// Result of one environment in a step.
struct Stepped {
    /// What the caller sees.
    outcome: Outcome,
    /// The last step of an episode after which the next one began at once.
    last: Option<Outcome>,
}

/// Several environments of one kind.
#[pyclass(frozen, module = "stepladder._stepladder")]
pub(crate) struct Sessions {
    members: Mutex<Vec<Member>>,
    follow: Follow,
}

/// Positions, texts and infos of episodes that ended.
type Finals<'py> = (Vec<usize>, Vec<String>, Bound<'py, PyDict>);

/// What follows a finished episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// The next episode in the next step.
    NextStep,
    /// The next episode in the same step.
    SameStep,
    /// Nothing: further steps leave it as it is.
    Nothing,
}

impl Sessions {
    fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the same for every environment and its own argument, on threads.
    fn all<A: Send, T: Send>(
        &self,
        arguments: Vec<A>,
        work: impl Fn(&mut Member, A) -> Result<T, Fault> + Sync,
    ) -> Result<Vec<T>, Fault> {
        let mut guard = self.members();
        let members = &mut *guard;
        let count = members.len();
        if arguments.len() != count {
            let text = format!("{} values for {count} environments", arguments.len());
            return Err(Fault::Usage(text));
        }
        on_threads(|| {
            members.par_iter_mut().zip(arguments).map(|(member, argument)| work(member, argument)).collect()
        })?
    }
}

impl Member {
    fn next_episode(&mut self) -> Result<Outcome, Fault> {
        self.held.reset(&Reset { task: self.task.clone(), ..Reset::default() })
    }

    fn step(&mut self, action: &str, follow: Follow) -> Result<Stepped, Fault> {
        let over = self.held.over();
        let outcome = match follow {
            Follow::NextStep if over => self.next_episode()?,
            Follow::Nothing if over => self.held.stay()?,
            _ => self.held.step(action)?,
        };
        if follow == Follow::SameStep && outcome.end.is_some() {
            return Ok(Stepped { outcome: self.next_episode()?, last: Some(outcome) });
        }
        Ok(Stepped { outcome, last: None })
    }
}

#[pymethods]
impl Sessions {
    #[new]
    #[pyo3(signature = (id, split, *, options, data, max_steps, seeds, tasks, admissible_actions, follow))]
    #[expect(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        id: String,
        split: &str,
        options: BTreeMap<String, String>,
        data: Option<PathBuf>,
        max_steps: Option<u32>,
        seeds: Vec<u64>,
        tasks: Vec<Option<Bound<'_, PyAny>>>,
        admissible_actions: bool,
        follow: &str,
    ) -> PyResult<Self> {
        let source = Source { id, options, data };
        let tasks = choices(&tasks)?;
        let follow = match follow {
            "next_step" => Follow::NextStep,
            "same_step" => Follow::SameStep,
            "nothing" => Follow::Nothing,
            _ => return Err(Fault::Usage(format!("nothing known follows as `{follow}`")).into()),
        };
        let members = py.detach(|| {
            let opened = open(&source)?;
            let member = |(seed, task)| {
                let held = Held::new(&opened, split, max_steps, seed, admissible_actions)?;
                Ok::<_, Fault>(Member { held, task })
            };
            read_split(&opened.shared, split)?;
            seeds.into_iter().zip(tasks).map(member).collect::<Result<_, _>>()
        })?;
        Ok(Self { members: Mutex::new(members), follow })
    }

    #[pyo3(signature = (seeds, split, tasks))]
    fn reset<'py>(
        &self,
        py: Python<'py>,
        seeds: Vec<Option<Bound<'py, PyAny>>>,
        split: Option<String>,
        tasks: Vec<Option<Bound<'py, PyAny>>>,
    ) -> PyResult<(Vec<String>, Bound<'py, PyDict>)> {
        let seeds: Vec<Option<u64>> =
            seeds.iter().map(|seed| seed.as_ref().map(whole).transpose()).collect::<Result<_, _>>()?;
        let arguments: Vec<_> = seeds.into_iter().zip(choices(&tasks)?).collect();
        let outcomes = py.detach(|| {
            if let Some(split) = &split {
                let shared = self.members().first_mut().map(|member| member.held.shared()).transpose()?;
                shared.map(|shared| read_split(&shared, split)).transpose()?;
            }
            self.all(arguments, |member, (seed, task)| {
                let task = task.or_else(|| member.task.clone());
                member.held.reset(&Reset { seed, split: split.clone(), task })
            })
        })?;
        let infos = columns(py, &outcomes)?;
        Ok((texts(outcomes), infos))
    }

    /// The third value describes the environments whose episode ended and was followed by the next one at once: their positions,
    /// last texts and infos.
    fn step<'py>(
        &self,
        py: Python<'py>,
        actions: &Bound<'py, PyAny>,
    ) -> PyResult<(Vec<String>, Bound<'py, PyDict>, Option<Finals<'py>>)> {
        let wrong = || {
            let kind = kind(actions);
            Fault::Usage(format!(
                "actions are a list with one text per environment, not an object of the type {kind}"
            ))
        };
        // Neither a text nor what has no order.
        if actions.is_instance_of::<PyString>()
            || actions.is_instance_of::<PySet>()
            || actions.is_instance_of::<PyFrozenSet>()
            || actions.is_instance_of::<PyDict>()
        {
            return Err(wrong().into());
        }
        let actions = actions.try_iter().map_err(|_| wrong())?;
        let actions = actions.map(|action| Ok(text(&action?)?)).collect::<PyResult<Vec<String>>>()?;
        let follow = self.follow;
        let stepped =
            py.detach(|| self.all(actions, |member, action: String| member.step(&action, follow)))?;
        let (mut outcomes, mut ended, mut lasts) =
            (Vec::with_capacity(stepped.len()), Vec::new(), Vec::new());
        for (index, Stepped { mut outcome, last }) in stepped.into_iter().enumerate() {
            if let Some(last) = last {
                (outcome.reward, outcome.end) = (last.reward, last.end);
                ended.push(index);
                lasts.push(last);
            }
            outcomes.push(outcome);
        }
        let infos = columns(py, &outcomes)?;
        let finals = match lasts.is_empty() {
            true => None,
            false => {
                let infos = columns(py, &lasts)?;
                Some((ended, texts(lasts), infos))
            }
        };
        Ok((texts(outcomes), infos, finals))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.members().iter_mut().for_each(|member| member.held.close()));
    }
}

fn texts(outcomes: Vec<Outcome>) -> Vec<String> {
    outcomes.into_iter().map(|outcome| outcome.observation).collect()
}

fn choices(tasks: &[Option<Bound<'_, PyAny>>]) -> Result<Vec<Option<TaskChoice>>, Fault> {
    tasks.iter().map(|task| task.as_ref().map(choice).transpose()).collect()
}
