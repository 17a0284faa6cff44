//! The task set: goals of a generated shop, and those of the official catalogues.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use stepladder_core::TaskKey;
use stepladder_env::{Env, EnvError, EnvSpec, TaskSet};

use crate::catalogue::Catalogue;
use crate::env::{GoalSource, WebShopEnv};
use crate::files::{self, Size};
use crate::floor::Floor;
use crate::generated::{self, Generator, Pages, Stock};
use crate::goal::Goal;
use crate::pages::{Form, Store, Visit};
use crate::search::Index;
use crate::shop::{Seeds, Shop};
use crate::splits::{Listing, Order};

/// Specification of WebShop.
pub static SPEC: EnvSpec = EnvSpec {
    id: "webshop",
    summary: "shopping by search and click: find and buy what an instruction describes: a generated shop (no download) and the official catalogue",
    version: generated::VERSION,
    upstream: "princeton-nlp/WebShop, and its variant in verl-agent",
    data_licence: "none needed for the generated shop; official catalogue: texts of Amazon's product pages, published with WebShop (MIT) for research",
    splits: &[
        "train",
        "dev",
        "test",
        "paper-test",
        "paper-eval",
        "paper-train",
        "verl-val",
        "verl-train",
        "verl-train_dev",
        "verl-train_fit",
    ],
    max_steps: 15,
    reward_range: (0.0, 1.0),
    score_range: Some((0.0, 1.0)),
    deterministic: true,
};

/// Products of a generated shop that a search looks through in less than a millisecond.
const FAST: u32 = 100_000;

/// Choices of a task set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choices {
    /// Form of observations.
    pub form: Form,
    /// Goals from instructions written by people.
    pub human: bool,
    /// Seed of prices and price limits, and in verl-agent's splits of the order of goals.
    pub seed: u64,
    /// Nouns of a simple rule instead of the table of the official tagger's: that rule stood in when the original's episodes were
    /// recorded.
    pub stub: bool,
    /// Official catalogue.
    pub size: Size,
    /// Products of the generated shop.
    pub products: u32,
    /// Seed of the generated shop.
    pub shop_seed: u64,
    /// Length of the generated shop's pages.
    pub pages: Pages,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            form: Form::Text,
            human: false,
            seed: Seeds::ORIGINAL.prices,
            stub: false,
            size: Size::Small,
            products: generated::PRODUCTS,
            shop_seed: 0,
            pages: Pages::Full,
        }
    }
}

/// WebShop's tasks. They are named `goal-17`: by their number in the shuffled list of official goals, or in a split of the generated shop,
/// whose split `train` lists 4000 goals and has as many as there are numbers.
///
/// ```
/// use stepladder_env::TaskSet;
/// use stepladder_webshop::{Choices, WebShop};
/// let set = WebShop::new(None, Choices::default());
/// let mut env = set.make()?;
/// let start = env.reset(&set.tasks("dev")?[0], 0)?;
/// assert!(start.text.starts_with("WebShop [SEP] Instruction: [SEP] ") && start.text.ends_with(" [SEP] Search"));
/// let step = env.step("search[blue lamp]")?;
/// assert!(step.observation.contains("[SEP] Page 1 (Total results: "));
/// # Ok::<(), stepladder_env::EnvError>(())
/// ```
#[derive(Clone)]
pub struct WebShop {
    shared: Arc<Shared>,
}

struct Shared {
    data_root: Option<PathBuf>,
    choices: Choices,
    stock: Kept<Shelves>,
    /// Shops by the order of their goals.
    paper: Kept<Floor>,
    verl_agent: Kept<Floor>,
    generated: Kept<Floor>,
    generator: Generator,
}

/// What the official shops of both orders share.
struct Shelves {
    catalogue: Arc<Catalogue>,
    index: Arc<Index>,
}

/// A value that is made on first use. A failure is not kept.
struct Kept<T>(Mutex<Option<Arc<T>>>);

impl<T> Kept<T> {
    const fn empty() -> Self {
        Self(Mutex::new(None))
    }

    fn get(&self, make: impl FnOnce() -> Result<T, EnvError>) -> Result<Arc<T>, EnvError> {
        // A second caller waits rather than read the files again.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(value) => Ok(value.clone()),
            None => Ok(kept.insert(Arc::new(make()?)).clone()),
        }
    }
}

impl WebShop {
    /// Creates the task set. The files below the data root are read when a task is first asked for.
    pub fn new(data_root: Option<&Path>, choices: Choices) -> Self {
        Self {
            shared: Arc::new(Shared {
                data_root: data_root.map(Path::to_owned),
                choices,
                stock: Kept::empty(),
                paper: Kept::empty(),
                verl_agent: Kept::empty(),
                generated: Kept::empty(),
                generator: Generator::new(choices.shop_seed, choices.pages),
            }),
        }
    }

    /// Opens the official shop whose goals are in an order.
    ///
    /// # Errors
    /// [`EnvError::NoDataRoot`], [`EnvError::Data`].
    pub fn floor(&self, order: Order) -> Result<Arc<Floor>, EnvError> {
        self.shared.floor(order)
    }

    /// Creates an environment.
    pub fn env(&self) -> WebShopEnv {
        WebShopEnv::new(self.shared.clone(), self.shared.choices.form)
    }
}

impl TaskSet for WebShop {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
        let numbers = match Listing::named(split)? {
            Listing::Generated(listed) => 0..listed.listed(),
            Listing::Official(listed) => {
                let goals = self.floor(listed.order)?.shop.goals.len();
                let numbers = listed.numbers(goals);
                if numbers.is_empty() {
                    let root = self.shared.data_root.as_deref().unwrap_or(Path::new(""));
                    let reason =
                        format!("these files make {goals} goals, and the split `{split}` begins after them");
                    return Err(EnvError::Data { path: root.join(files::DIRECTORY), reason });
                }
                numbers.start as u64..numbers.end as u64
            }
        };
        Ok(numbers.map(|number| TaskKey::new(SPEC.id, split, format!("goal-{number}"))).collect())
    }

    /// Returns the department of the goal's product.
    fn family(&self, task: &TaskKey) -> Option<String> {
        let number = numbered(task).ok()?;
        match Listing::named(&task.split).ok()? {
            Listing::Generated(split) => {
                let product = self.shared.drawn(task, split, number).ok()?.product;
                Some(self.shared.generator.product(product).product.category.into())
            }
            Listing::Official(split) => {
                let floor = self.floor(split.order).ok()?;
                let product =
                    floor.shop.goals.product(&floor.shop.catalogue, usize::try_from(number).ok()?)?;
                Some(floor.products()[product as usize].category.to_string())
            }
        }
    }

    /// A search of all official products takes milliseconds.
    fn has_fast_steps(&self) -> bool {
        let Choices { size, products, .. } = self.shared.choices;
        size == Size::Small && products <= FAST
    }

    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(self.env()))
    }
}

/// Number of a task in its list of goals.
fn numbered(task: &TaskKey) -> Result<u64, EnvError> {
    let number = task.id.strip_prefix("goal-").and_then(|number| number.parse::<u64>().ok());
    // Rejects `goal-007`, a second name of `goal-7`.
    number.filter(|number| task.id == format!("goal-{number}")).ok_or_else(|| EnvError::UnknownTask {
        task: task.clone(),
        reason: "a task is named goal-<number>".to_owned(),
    })
}

impl GoalSource for Shared {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn begin(&self, task: &TaskKey) -> Result<(Arc<dyn Store>, Visit), EnvError> {
        let unknown = |reason: String| EnvError::UnknownTask { task: task.clone(), reason };
        let number = numbered(task)?;
        match Listing::named(&task.split).map_err(|error| unknown(error.to_string()))? {
            Listing::Generated(split) => {
                let goal = self.drawn(task, split, number)?;
                Ok((self.generated()?, Visit::new(goal, number)))
            }
            Listing::Official(split) => {
                let floor = self.floor(split.order)?;
                let numbers = split.numbers(floor.shop.goals.len());
                let place = usize::try_from(number).ok().filter(|place| numbers.contains(place));
                let goal = place.and_then(|place| floor.shop.goal(place)).ok_or_else(|| {
                    unknown(match numbers.is_empty() {
                        false => {
                            format!("{} has goal-{} to goal-{}", split.name, numbers.start, numbers.end - 1)
                        }
                        true => format!("{} has no goal with these files", split.name),
                    })
                })?;
                Ok((floor, Visit::new(goal, number)))
            }
        }
    }
}

impl Shared {
    fn stock(&self) -> Result<Arc<Shelves>, EnvError> {
        self.stock.get(|| {
            let Choices { human, size, stub, .. } = self.choices;
            let files = files::catalogue(self.data_root.as_deref(), size, human, stub)?;
            let catalogue = Arc::new(Catalogue::load(&files, None)?);
            let index = Arc::new(Floor::index(&catalogue.products));
            Ok(Shelves { catalogue, index })
        })
    }

    fn floor(&self, order: Order) -> Result<Arc<Floor>, EnvError> {
        let seed = self.choices.seed;
        let (kept, seeds) = match order {
            Order::Paper => (&self.paper, Seeds { prices: seed, ..Seeds::ORIGINAL }),
            Order::VerlAgent => (&self.verl_agent, Seeds::verl_agent(seed)),
        };
        kept.get(|| {
            let stock = self.stock()?;
            Ok(Floor::new(Shop::new(stock.catalogue.clone(), seeds)?, stock.index.clone()))
        })
    }

    fn generated(&self) -> Result<Arc<Floor>, EnvError> {
        let Choices { products, shop_seed, pages, .. } = self.choices;
        self.generated.get(|| Ok(Floor::generated(Stock::draw(products, shop_seed, pages))))
    }

    /// Draws a goal of the generated shop. Those of `train` have no end.
    fn drawn(&self, task: &TaskKey, split: generated::Split, number: u64) -> Result<Goal, EnvError> {
        let unknown = |reason: String| EnvError::UnknownTask { task: task.clone(), reason };
        let listed = split.listed();
        if split != generated::Split::Train && number >= listed {
            return Err(unknown(format!("{} has goal-0 to goal-{}", split.name(), listed - 1)));
        }
        let goal = self.generator.goal(self.choices.products, split, number);
        goal.map_err(|error| unknown(error.to_string()))
    }
}
