//! Statistics of generated shops beside the official set.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use stepladder_env::EnvError;

use super::spread::{Ranks, Spread};
use super::statistics::{GoalStatistics, ProductStatistics, Query};
use super::{Pages, Split, Stock};
use crate::floor::Floor;
use crate::pages::MOST;
use crate::{Catalogue, Goal, Seeds, Shop, files};

/// Products on the first page of results in the original.
const FIRST_PAGE: usize = 10;

/// Goals that are compared, at most.
const GOALS: usize = 2000;

/// Compares generated shops of both lengths of pages with the official set of 1000 products, if the data root has it.
///
/// # Errors
/// [`EnvError::Usage`] if a shop has no goals, [`EnvError::Data`] if official files are malformed.
pub fn report(data_root: Option<&Path>, products: u32, shop_seed: u64) -> Result<String, EnvError> {
    let mut shops = Vec::new();
    for pages in Pages::ALL {
        let stock = Stock::draw(products, shop_seed, pages);
        let goals: Vec<Goal> = (0..GOALS as u64)
            .map(|number| stock.goal(Split::Train, number))
            .collect::<Result<_, _>>()
            .map_err(|error| EnvError::Usage(error.to_string()))?;
        shops.push(Statistics::of(&format!("generated, {}", pages.name()), &Floor::generated(stock), &goals));
    }
    let mut note = "";
    match files::catalogue(data_root, files::Size::Small, false, false) {
        Ok(files) => {
            let shop = Shop::new(Arc::new(Catalogue::load(&files, None)?), Seeds::ORIGINAL)?;
            let index = Arc::new(Floor::index(shop.products()));
            let goals: Vec<Goal> =
                (0..shop.goals.len().min(GOALS)).filter_map(|index| shop.goal(index)).collect();
            shops.push(Statistics::of("official, 1000 products", &Floor::new(shop, index), &goals));
        }
        Err(_) => {
            note =
                "\nWithout the official set: no data root, or files are missing (`stepladder data status`).\n"
        }
    }
    Ok(table(&shops) + note)
}

/// Statistics of a shop, for a column of [`table`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Name of the shop.
    pub name: String,
    /// Its products.
    pub products: ProductStatistics,
    /// Its goals.
    pub goals: GoalStatistics,
}

impl Statistics {
    /// Computes the statistics of a shop and some of its goals.
    pub fn of(name: &str, floor: &Floor, goals: &[Goal]) -> Self {
        Self {
            name: name.to_owned(),
            products: ProductStatistics::of(floor.shop.products()),
            goals: GoalStatistics::of(floor, goals),
        }
    }
}

/// Writes statistics of shops side by side. A spread is written as its 10, 25, 50, 75 and 90 percent quantiles and its mean.
pub fn table(shops: &[Statistics]) -> String {
    type Cell = fn(&Statistics) -> String;
    let rows: &[(&str, Cell)] = &[
        ("products", |shop| shop.products.products.to_string()),
        ("kinds of product", |shop| shop.products.kinds.to_string()),
        ("words of the title", |shop| spread(&shop.products.title)),
        ("words of the description", |shop| spread(&shop.products.description)),
        ("lines of features", |shop| spread(&shop.products.features)),
        ("words of a line", |shop| spread(&shop.products.feature)),
        ("choices", |shop| spread(&shop.products.choices)),
        ("values of a choice", |shop| spread(&shop.products.values)),
        ("attributes", |shop| spread(&shop.products.attributes)),
        ("listed price in dollars", |shop| spread(&shop.products.price)),
        ("products with a range of prices", |shop| percent(shop.products.ranges)),
        ("goals", |shop| shop.goals.goals.to_string()),
        ("goals per product with goals", |shop| spread(&shop.goals.per_product)),
        ("attributes of a goal", |shop| spread(&shop.goals.attributes)),
        ("the same, a goal per product", |shop| spread(&shop.goals.attributes_by_product)),
        ("options of a goal", |shop| spread(&shop.goals.options)),
        ("the same, a goal per product", |shop| spread(&shop.goals.options_by_product)),
        ("words of the instruction", |shop| spread(&shop.goals.instruction)),
        ("limit above the price in dollars", |shop| spread(&shop.goals.slack)),
    ];
    let mut lines: Vec<Vec<String>> =
        vec![std::iter::once(String::new()).chain(shops.iter().map(|shop| shop.name.clone())).collect()];
    for (name, cell) in rows {
        lines.push(std::iter::once((*name).to_owned()).chain(shops.iter().map(cell)).collect());
    }
    for (number, query) in Query::ALL.into_iter().enumerate() {
        let name = format!("rank, {}", query.name());
        lines.push(
            std::iter::once(name).chain(shops.iter().map(|shop| rank(&shop.goals.ranks[number]))).collect(),
        );
    }
    let best = shops.iter().map(|shop| rank(&shop.goals.best));
    lines.push(std::iter::once("rank, best of these".to_owned()).chain(best).collect());
    let reward = shops.iter().map(|shop| {
        let full = 1.0 - shop.goals.reward.below(1.0);
        format!("{:.3}, {}", shop.goals.reward.mean(), percent(full))
    });
    lines.push(std::iter::once("best reward among 50".to_owned()).chain(reward).collect());
    let mut text = String::from(
        "Spreads: 10 25 50 75 90 percent (mean). Ranks of the goal's product: median, part on the first page of 10, part among 50. \
         Best reward among the 50 found by kind, attributes and options: mean, part with the full reward.\n\n",
    );
    aligned(&lines, &mut text);
    text
}

fn spread(values: &Spread) -> String {
    let [a, b, c, d, e] = [0.1, 0.25, 0.5, 0.75, 0.9].map(|part| rounded(values.quantile(part)));
    format!("{a} {b} {c} {d} {e} ({:.1})", values.mean())
}

fn rounded(value: f64) -> String {
    format!("{value:.0}")
}

fn percent(part: f64) -> String {
    format!("{:.0} %", 100.0 * part)
}

fn rank(ranks: &Ranks) -> String {
    let median = ranks.median().map_or("-".to_owned(), |rank| rank.to_string());
    format!("{median}, {}, {}", percent(ranks.within(FIRST_PAGE)), percent(ranks.within(MOST)))
}

/// Writes lines of cells as columns.
fn aligned(lines: &[Vec<String>], text: &mut String) {
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    for line in lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            // Writing to a string does not fail.
            let _ = write!(row, "{cell:width$}  ");
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut text = String::new();
        aligned(&[vec!["a".into(), "b".into()], vec!["ccc".into(), "d".into()]], &mut text);
        assert_eq!(text, "a    b\nccc  d\n");
    }
}
