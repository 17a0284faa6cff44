//! WebShop as an environment.

use std::sync::Arc;

use stepladder_core::{End, Start, Step, TaskKey};
use stepladder_env::{Admissible, Env, EnvError, EnvSpec, Walkthrough};

use crate::action::Action;
use crate::pages::{Form, Page, SEARCH, Store, Visit};
use crate::solution::solve;

/// Source of an environment's tasks.
pub trait GoalSource: Send + Sync {
    /// Specification of the environment that plays these tasks.
    fn spec(&self) -> &EnvSpec;

    /// Returns the shop of a task, and a visit there with its goal.
    ///
    /// # Errors
    /// [`EnvError::UnknownTask`], [`EnvError::Data`], [`EnvError::NoDataRoot`].
    fn begin(&self, task: &TaskKey) -> Result<(Arc<dyn Store>, Visit), EnvError>;
}

/// WebShop environment. Every observation is the whole page. The episode ends with `click[Buy Now]`, whose reward is the score of
/// the purchase; all other rewards are 0. An action that the page does not offer changes nothing and shows the page again.
pub struct WebShopEnv {
    source: Arc<dyn GoalSource>,
    form: Form,
    playing: Option<(Arc<dyn Store>, Visit)>,
}

impl WebShopEnv {
    /// Creates an environment that plays the tasks of a source.
    pub fn new(source: Arc<dyn GoalSource>, form: Form) -> Self {
        Self { source, form, playing: None }
    }

    /// Current visit, for experts and checks. `None` before the first reset.
    pub fn visit(&self) -> Option<&Visit> {
        self.playing.as_ref().map(|(_, visit)| visit)
    }

    /// Shop of the current task. `None` before the first reset.
    pub fn store(&self) -> Option<&dyn Store> {
        self.playing.as_ref().map(|(store, _)| &**store)
    }
}

impl Env for WebShopEnv {
    fn spec(&self) -> &EnvSpec {
        self.source.spec()
    }

    fn reset(&mut self, task: &TaskKey, _seed: u64) -> Result<Start, EnvError> {
        let (store, visit) = self.source.begin(task)?;
        let goal = visit.goal();
        let start = Start {
            text: visit.text(&*store, self.form),
            task: goal.instruction.to_string(),
            // Every answer is the whole page, with the instruction.
            context: String::new(),
            family: store.products()[goal.product as usize].category.to_string(),
        };
        self.playing = Some((store, visit));
        Ok(start)
    }

    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        let env = self.source.spec().id;
        let (store, visit) = self.playing.as_mut().ok_or(EnvError::StepBeforeReset { env })?;
        if matches!(visit.page(), Page::Done(_)) {
            return Err(EnvError::EpisodeOver { env });
        }
        let understood = Action::parse(action).is_some_and(|action| visit.act(&**store, &action));
        let bought = match visit.page() {
            Page::Done(reward) => Some(reward),
            _ => None,
        };
        Ok(Step {
            observation: visit.text(&**store, self.form),
            reward: bought.unwrap_or(0.0),
            won: bought == Some(1.0),
            unknown_action: !understood,
            context: None,
            end: bought.map(|_| End::Terminated),
        })
    }

    fn admissible(&mut self) -> Option<&mut dyn Admissible> {
        self.playing.is_some().then_some(self)
    }

    fn walkthrough(&mut self) -> Option<&mut dyn Walkthrough> {
        self.playing.is_some().then_some(self)
    }
}

/// What the page offers, as actions: a click on every text that can be clicked, once, without `search`, which the original lists and then
/// ignores. Searching takes any text; on the page with the search bar, where nothing else can be done, the list holds the search for the
/// instruction.
impl Admissible for WebShopEnv {
    fn admissible_actions(&mut self) -> Vec<String> {
        let Some((store, visit)) = &self.playing else { return Vec::new() };
        let mut actions: Vec<String> = match visit.has_search_bar() {
            true => Action::search(&visit.goal().instruction).into_iter().collect(),
            false => {
                let texts = visit.clickables(&**store).into_iter().filter(|text| text != SEARCH);
                texts.filter_map(|text| Action::click(&text)).collect()
            }
        };
        actions.sort_unstable();
        // Identifiers may differ in case alone.
        actions.dedup();
        actions
    }
}

/// A way to the product that the goal was made from, found on request. Empty if no search finds it, or if the purchase has a reward below
/// 1, as for some goals of the original.
impl Walkthrough for WebShopEnv {
    fn solution(&self) -> Vec<String> {
        let solution = self.playing.as_ref().and_then(|(store, visit)| solve(&**store, visit));
        solution.unwrap_or_default()
    }
}
