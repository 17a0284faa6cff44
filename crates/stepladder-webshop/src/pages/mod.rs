//! Pages of the shop, and the way from one to the next.
//!
//! A [`Visit`] holds what the original's server keeps for a session (`SimServer` in `web_agent_text_env.py`): query, results, product,
//! chosen options, products seen. [`text`] writes the page as the agent reads it.

use stepladder_core::seed::stream;

use rand::seq::index;

use crate::action::Action;
use crate::goal::Goal;
use crate::product::Product;
use crate::python;

pub mod text;

pub use text::Form;

/// Products on a page of results of the original.
pub const PER_PAGE: u32 = 10;

/// Most products that a search finds.
pub const MOST: usize = 50;

/// Text of the button of the first page, on which a click does nothing.
pub(crate) const SEARCH: &str = "search";
const BACK: &str = "back to search";
const PREVIOUS: &str = "< prev";
const NEXT: &str = "next >";
const BUY: &str = "buy now";

/// What pages need of a shop.
pub trait Store: Send + Sync {
    /// All products.
    fn products(&self) -> &[Product];

    /// Numbers of the products that a search finds, the best first, at most [`MOST`].
    fn search(&self, query: &str) -> Vec<u32>;

    /// Products on a page of results.
    fn per_page(&self) -> u32 {
        PER_PAGE
    }

    /// Reward, 0 to 1, of buying a product with the chosen options.
    fn reward(&self, goal: &Goal, product: u32, chosen: &[(Box<str>, Box<str>)]) -> f64;
}

/// A page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Page {
    /// The first page, with the search bar.
    Search,
    /// Some of the products found, the original's ten.
    Results,
    /// One product.
    Item,
    /// A text about one product.
    Sub(Sub),
    /// The end, with the reward.
    Done(f64),
}

/// A page below that of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sub {
    /// Its description.
    Description,
    /// Its bullet points.
    Features,
    /// Its reviews; the shop has none.
    Reviews,
    /// Its attributes and categories. No button leads here, only an option of this name.
    Attributes,
}

impl Sub {
    fn named(name: &str) -> Option<Self> {
        match name {
            "description" => Some(Self::Description),
            "features" => Some(Self::Features),
            "reviews" => Some(Self::Reviews),
            "attributes" => Some(Self::Attributes),
            _ => None,
        }
    }
}

/// One customer's visit.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    goal: Goal,
    /// Number that tells the visit from those of other goals, for random products.
    number_of_goal: u64,
    page: Page,
    /// Query of the last search, lower case.
    query: String,
    /// Products found, the best first.
    results: Vec<u32>,
    /// Number of the page of results, from 1; a query of a page's name leads below (see [`Visit::place`]).
    number: i64,
    /// Product of the page.
    product: u32,
    /// Options chosen for the product, in the order of the first choice.
    chosen: Vec<(Box<str>, Box<str>)>,
    /// Products seen since the first page was shown.
    seen: Vec<u32>,
    /// Pages of results shown, which number the random ones.
    searches: u64,
}

impl Visit {
    /// Begins a visit on the first page. The number tells the goal from others where random products are drawn (`<r>`).
    pub fn new(goal: Goal, number_of_goal: u64) -> Self {
        Self {
            goal,
            number_of_goal,
            page: Page::Search,
            query: String::new(),
            results: Vec::new(),
            number: 0,
            product: 0,
            chosen: Vec::new(),
            seen: Vec::new(),
            searches: 0,
        }
    }

    /// Begins the same visit again.
    pub fn again(&self) -> Self {
        Self::new(self.goal.clone(), self.number_of_goal)
    }

    /// Page that is shown.
    pub fn page(&self) -> Page {
        self.page
    }

    /// Goal of the customer.
    pub fn goal(&self) -> &Goal {
        &self.goal
    }

    /// Options chosen for the product, in the order of the first choice.
    pub fn chosen(&self) -> &[(Box<str>, Box<str>)] {
        &self.chosen
    }

    /// Product of the page, where the page is about one.
    pub fn item(&self) -> Option<u32> {
        matches!(self.page, Page::Item | Page::Sub(_) | Page::Done(_)).then_some(self.product)
    }

    /// Numbers of the products on the page of results.
    pub fn shown(&self, store: &dyn Store) -> &[u32] {
        let per_page = i64::from(store.per_page());
        slice(&self.results, (self.number - 1) * per_page, self.number * per_page)
    }

    /// Plays an action; false, and nothing happens, if the page does not offer it.
    ///
    /// A search works on every page. A click needs what the page shows, under its text in lower case; `click[search]` does nothing.
    /// Clicks on options of one name replace one another.
    pub fn act(&mut self, store: &dyn Store, action: &Action) -> bool {
        match (self.page, action) {
            (Page::Done(_), _) => false,
            (_, Action::Search(query)) => self.search(store, query),
            (_, Action::Click(text)) => self.click(store, text),
        }
    }

    /// Whether the page has the search bar.
    pub fn has_search_bar(&self) -> bool {
        self.page == Page::Search
    }

    /// Texts that can be clicked, in the order of the page: buttons, then products or options. The original lists `search` on the first
    /// page, although a click on it does nothing.
    pub fn clickables(&self, store: &dyn Store) -> Vec<String> {
        let mut texts: Vec<String> = self.buttons().map(str::to_owned).collect();
        match self.page {
            Page::Results => {
                texts.extend(self.shown(store).iter().map(|number| asin(store, *number).to_lowercase()))
            }
            Page::Item => {
                for value in values(self.product(store)) {
                    if !texts.iter().any(|text| **text == **value) {
                        texts.push(value.to_string());
                    }
                }
            }
            Page::Search | Page::Sub(_) | Page::Done(_) => {}
        }
        texts
    }

    /// Buttons of the page, in lower case.
    fn buttons(&self) -> impl Iterator<Item = &'static str> {
        let buttons: &[&str] = match self.page {
            Page::Search => &[SEARCH],
            Page::Results if self.number > 1 => &[BACK, PREVIOUS, NEXT],
            Page::Results => &[BACK, NEXT],
            Page::Item => &[BACK, PREVIOUS, "description", "features", "reviews", BUY],
            Page::Sub(_) => &[BACK, PREVIOUS],
            Page::Done(_) => &[],
        };
        buttons.iter().copied()
    }

    fn product<'a>(&self, store: &'a dyn Store) -> &'a Product {
        &store.products()[self.product as usize]
    }

    /// Page that the original takes this one for: it looks for the names of pages in the address, where the query stands as well.
    fn place(&self) -> Page {
        match self.page {
            Page::Item | Page::Sub(_) if self.query.contains("search_results") => Page::Results,
            Page::Sub(_) if self.query.contains("item_page") => Page::Item,
            page => page,
        }
    }

    /// Shows results. `<c> NAME` finds the products of a department, `<q> WORDS` those that were collected by a query, both in the order of
    /// the catalogue and without limit; `<r>` finds random ones. `<a>` and `<c>` without a name end the original with an error; here nothing
    /// happens.
    fn search(&mut self, store: &dyn Store, query: &str) -> bool {
        if !self.find(store, query, 1) {
            return false;
        }
        query.clone_into(&mut self.query);
        true
    }

    fn find(&mut self, store: &dyn Store, query: &str, number: i64) -> bool {
        let (first, rest) = query.split_once(' ').map_or((query, None), |(first, rest)| (first, Some(rest)));
        let picked = |pick: &dyn Fn(&Product) -> bool| {
            let numbered = (0..).zip(store.products());
            numbered.filter(|(_, product)| pick(product)).map(|(number, _)| number).collect()
        };
        self.results = match (first, rest) {
            ("<r>", _) => {
                let mut rng = stream(0, "webshop/random products", &[self.number_of_goal, self.searches]);
                let all = store.products().len();
                index::sample(&mut rng, all, MOST.min(all)).into_iter().map(|number| number as u32).collect()
            }
            ("<a>", _) | ("<c>", None) => return false,
            ("<c>", Some(rest)) => {
                let name = python::strip(rest.split(' ').next().unwrap_or_default());
                picked(&|product| *product.category == *name)
            }
            ("<q>", rest) => {
                let words = python::strip(rest.unwrap_or_default());
                picked(&|product| *product.query == *words)
            }
            _ => store.search(query),
        };
        self.searches += 1;
        self.number = number;
        self.chosen.clear();
        self.page = Page::Results;
        true
    }

    /// Shows a page of the results of the last search. The original searches again, which only `<r>` tells apart.
    fn turn_to(&mut self, store: &dyn Store, number: i64) {
        let query = std::mem::take(&mut self.query);
        self.find(store, &query, number);
        self.query = query;
    }

    fn click(&mut self, store: &dyn Store, text: &str) -> bool {
        // An option may have the text of a button: the original then does what the button does.
        let button = self.buttons().any(|button| button == text);
        let target = match self.page {
            Page::Results => {
                self.shown(store).iter().copied().find(|number| is_lower(asin(store, *number), text))
            }
            _ => None,
        };
        let option = match self.page {
            Page::Item => values(self.product(store)).any(|value| **value == *text),
            _ => false,
        };
        if text == SEARCH || !(button || option || target.is_some()) {
            return false;
        }
        match (text, self.place()) {
            (BUY, _) => self.page = Page::Done(store.reward(&self.goal, self.product, &self.chosen)),
            (BACK, _) => {
                self.page = Page::Search;
                self.query.clear();
                self.results.clear();
                self.chosen.clear();
                self.seen.clear();
            }
            (NEXT, Page::Results) => self.turn_to(store, self.number + 1),
            (PREVIOUS, Page::Results) => self.turn_to(store, self.number - 1),
            (PREVIOUS, Page::Item) => self.turn_to(store, self.number),
            (PREVIOUS, _) => self.page = Page::Item,
            _ => match (Sub::named(text), target) {
                (Some(sub), _) => self.page = Page::Sub(sub),
                (None, Some(product)) => {
                    self.product = product;
                    if !self.seen.contains(&product) {
                        self.seen.push(product);
                    }
                    self.page = Page::Item;
                }
                (None, None) => self.choose(store, text),
            },
        }
        true
    }

    /// Chooses an option of the product; of several with one value, that of the last name.
    fn choose(&mut self, store: &dyn Store, text: &str) {
        let options = self.product(store).options.iter();
        let Some(choice) = options.rev().find(|choice| choice.values.iter().any(|value| **value == *text))
        else {
            return;
        };
        match self.chosen.iter_mut().find(|(name, _)| *name == choice.name) {
            Some((_, value)) => *value = text.into(),
            None => self.chosen.push((choice.name.clone(), text.into())),
        }
    }
}

fn asin(store: &dyn Store, number: u32) -> &str {
    &store.products()[number as usize].asin
}

/// Values of all options, in the order of the page.
fn values(product: &Product) -> impl Iterator<Item = &Box<str>> {
    product.options.iter().flat_map(|choice| &choice.values)
}

/// Whether a text is the lower case of an identifier, which is nearly always ASCII.
fn is_lower(identifier: &str, text: &str) -> bool {
    let ascii = || {
        identifier.len() == text.len()
            && identifier.bytes().zip(text.bytes()).all(|(one, two)| one.to_ascii_lowercase() == two)
    };
    if identifier.is_ascii() { ascii() } else { identifier.to_lowercase() == text }
}

/// Python's `list[start:end]`.
fn slice(list: &[u32], start: i64, end: i64) -> &[u32] {
    let length = list.len() as i64;
    let place = |position: i64| {
        if position < 0 { position.saturating_add(length) } else { position }.clamp(0, length)
    };
    let (start, end) = (place(start), place(end));
    if start < end { &list[start as usize..end as usize] } else { &[] }
}

#[cfg(test)]
mod tests;
