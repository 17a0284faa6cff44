//! Goals of a shop (`goal.py`, `get_goals`).

use stepladder_env::EnvError;

use crate::catalogue::{Catalogue, Instruction};
use crate::goal::Goal;
use crate::product::{Choice, Product};
use crate::python::Random;

/// Price limit of a goal whose product costs 980 dollars or more: none.
const NO_LIMIT: f64 = 1_000_000.0;

/// Highest price limit in tens of dollars.
const HIGHEST_TENS: u32 = 99;

/// The goals of a shop, in their order. A goal is made when it is asked for; here it takes four bytes, since every combination of
/// a product's options is one.
#[derive(Debug, Clone, Default)]
pub struct Goals {
    /// Goals of all instructions before, for each instruction, and the number of all.
    before: Box<[u32]>,
    /// Price limit in dollars of each instruction.
    limits: Box<[f64]>,
    /// Weight of each goal of an instruction.
    weights: Box<[f64]>,
    /// Goals in their order.
    order: Box<[u32]>,
}

impl Goals {
    /// Draws price limits for the prices of the products, in the order of the instructions (`get_human_goals`,
    /// `get_synthetic_goals`).
    ///
    /// # Errors
    /// [`EnvError::Usage`] if there are more than four billion goals.
    pub fn draw(catalogue: &Catalogue, prices: &[f64], random: &mut Random) -> Result<Self, EnvError> {
        let mut before = vec![0];
        let mut limits = Vec::with_capacity(catalogue.instructions.len());
        let mut last = 0_u32;
        for instruction in &catalogue.instructions {
            limits.push(price_limit(prices[instruction.product as usize], random));
            let count = combinations(instruction, &catalogue.products[instruction.product as usize]);
            last = count.and_then(|count| last.checked_add(count)).ok_or_else(|| {
                EnvError::Usage(
                    "the combinations of options make more than four billion goals: take fewer products, or goals written by \
                     people"
                        .to_owned(),
                )
            })?;
            before.push(last);
        }
        let weights = weights(&catalogue.instructions, &before);
        Ok(Self {
            before: before.into(),
            limits: limits.into(),
            weights: weights.into(),
            order: (0..last).collect(),
        })
    }

    /// Puts the goals into another order: `random.shuffle(goals)`.
    pub fn shuffle(&mut self, random: &mut Random) {
        random.shuffle(&mut self.order);
    }

    /// Number of goals.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are no goals.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns the product that a goal was made from.
    pub fn product(&self, catalogue: &Catalogue, index: usize) -> Option<u32> {
        let (instruction, _) = self.place(index)?;
        Some(catalogue.instructions[instruction].product)
    }

    /// Returns the weight of a goal where goals are drawn at random.
    pub fn weight(&self, index: usize) -> Option<f64> {
        let (instruction, _) = self.place(index)?;
        Some(self.weights[instruction])
    }

    /// Makes the goal of an index.
    pub fn get(&self, catalogue: &Catalogue, index: usize) -> Option<Goal> {
        let (number, combination) = self.place(index)?;
        let instruction = &catalogue.instructions[number];
        let product = &catalogue.products[instruction.product as usize];
        let options = match &instruction.options {
            Some(values) => values.iter().map(|value| ("".into(), value.clone())).collect(),
            None => combination_of(product, combination),
        };
        let limit = self.limits[number];
        Some(Goal {
            product: instruction.product,
            instruction: text(instruction, &options, limit).into(),
            attributes: instruction.attributes.clone(),
            price_upper: limit,
            options,
            weight: self.weights[number],
        })
    }

    /// Returns the number of the instruction of a goal, and that of the combination of options.
    fn place(&self, index: usize) -> Option<(usize, u32)> {
        let goal = *self.order.get(index)?;
        let instruction = self.before.partition_point(|&before| before <= goal) - 1;
        Some((instruction, goal - self.before[instruction]))
    }
}

/// Draws two of the next four multiples of ten dollars above a price, and takes the higher one.
fn price_limit(price: f64, random: &mut Random) -> f64 {
    let above: Vec<f64> =
        (1..=HIGHEST_TENS).map(|tens| f64::from(10 * tens)).filter(|&limit| limit > price).take(4).collect();
    match random_pair(above.len(), random) {
        Some([one, other]) => above[one].max(above[other]),
        None => NO_LIMIT,
    }
}

/// Draws two indices, if there are two.
fn random_pair(count: usize, random: &mut Random) -> Option<[usize; 2]> {
    random.sample(count, 2)?.try_into().ok()
}

/// Counts the goals of an instruction. None if there are too many.
fn combinations(instruction: &Instruction, product: &Product) -> Option<u32> {
    if instruction.options.is_some() {
        return Some(1);
    }
    // A choice without values leaves no combination, however many the others have.
    if product.options.iter().any(|choice| choice.values.is_empty()) {
        return Some(0);
    }
    product
        .options
        .iter()
        .try_fold(1_u32, |count, choice| count.checked_mul(u32::try_from(choice.values.len()).ok()?))
}

/// Choices in the order of goals: by name.
fn by_name(product: &Product) -> Vec<&Choice> {
    let mut choices: Vec<&Choice> = product.options.iter().collect();
    choices.sort_by_key(|choice| &choice.name);
    choices
}

/// Returns the options of a combination, of which the last choice changes first.
fn combination_of(product: &Product, mut number: u32) -> Box<[(Box<str>, Box<str>)]> {
    let mut options: Vec<_> = by_name(product)
        .into_iter()
        .rev()
        .map(|choice| {
            let values = choice.values.len() as u32;
            let value = choice.values[(number % values) as usize].clone();
            number /= values;
            (choice.name.clone(), value)
        })
        .collect();
    options.reverse();
    options.into()
}

fn text(instruction: &Instruction, options: &[(Box<str>, Box<str>)], limit: f64) -> String {
    let mut text = instruction.text.to_string();
    // A person's text names its options itself.
    if instruction.options.is_none() {
        for (index, (name, value)) in options.iter().enumerate() {
            text.push_str(if index == 0 { " with " } else { ", and " });
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
        }
    }
    if limit < NO_LIMIT {
        text.push_str(&format!(", and price lower than {limit:.2} dollars"));
    }
    text
}

/// Weights of the goals of each instruction: the mean over its attributes of one by the number of goals that want the attribute. A
/// goal written by a person weighs 1.
fn weights(instructions: &[Instruction], before: &[u32]) -> Vec<f64> {
    let mut wanted = rustc_hash::FxHashMap::<&str, u64>::default();
    for (instruction, bounds) in instructions.iter().zip(before.windows(2)) {
        for attribute in &instruction.attributes {
            *wanted.entry(attribute).or_default() += u64::from(bounds[1] - bounds[0]);
        }
    }
    let weight = |instruction: &Instruction| {
        if instruction.options.is_some() {
            return 1.0;
        }
        // An instruction without a combination may be the only one that wants an attribute; its weight is that of no goal.
        let inverse = instruction.attributes.iter().map(|attribute| 1.0 / wanted[&**attribute] as f64);
        inverse.fold(0.0, |sum, term| sum + term) / instruction.attributes.len() as f64
    };
    instructions.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nouns::Nouns;
    use crate::testing::product;

    fn choice(name: &str, values: &[&str]) -> Choice {
        Choice { name: name.into(), values: values.iter().map(|&value| value.into()).collect() }
    }

    fn instruction(product: u32, attributes: &[&str], options: Option<&[&str]>) -> Instruction {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.into()).collect::<Box<[Box<str>]>>();
        Instruction {
            product,
            text: "Find me lamps".into(),
            attributes: texts(attributes),
            options: options.map(texts),
        }
    }

    /// Four products, the second of which has two choices, and the third one without a value.
    fn catalogue(human: bool) -> Catalogue {
        let mut products = ["B01", "B02", "B03", "B04"].map(product);
        products[1].options = [choice("size", &["s", "m"]), choice("color", &["red", "blue", "red"])].into();
        products[2].options = [choice("fit", &[]), choice("size", &["s"])].into();
        let options: Option<&[&str]> = human.then_some(&["red"]);
        let instructions = vec![
            instruction(0, &["a"], options),
            instruction(1, &["a", "b"], options),
            instruction(2, &["b"], options),
            instruction(3, &["c"], options),
        ];
        Catalogue::new(products.into(), instructions, Nouns::default())
    }

    #[test]
    fn combinations_in_the_order_of_the_original() {
        let catalogue = catalogue(false);
        let mut random = Random::seeded(1);
        let goals = Goals::draw(&catalogue, &[5.0, 975.0, 5.0, 985.0], &mut random).unwrap();
        let all: Vec<Goal> = (0..goals.len()).map(|index| goals.get(&catalogue, index).unwrap()).collect();
        assert_eq!(all.iter().map(|goal| goal.product).collect::<Vec<_>>(), [0, 1, 1, 1, 1, 1, 1, 3]);
        let options =
            |goal: &Goal| goal.options.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" ");
        assert_eq!(
            all.iter().map(options).collect::<Vec<_>>(),
            [
                "",
                "color=red size=s",
                "color=red size=m",
                "color=blue size=s",
                "color=blue size=m",
                "color=red size=s",
                "color=red size=m",
                ""
            ]
        );
        assert_eq!(
            &*all[2].instruction,
            "Find me lamps with color: red, and size: m, and price lower than 990.00 dollars"
        );
        assert_eq!((&*all[7].instruction, all[7].price_upper), ("Find me lamps", 1_000_000.0));
        let weights: Vec<f64> = all.iter().map(|goal| goal.weight).collect();
        assert_eq!(weights[..2], [1.0 / 7.0, (1.0 / 7.0 + 1.0 / 6.0) / 2.0]);
        assert_eq!(
            (goals.get(&catalogue, 8), goals.weight(8), goals.weight(0)),
            (None, None, Some(weights[0]))
        );
        // random.seed(1); sample(range(4), 2) for the first and third product, sample(range(2), 2) for the second one
        assert_eq!(all[0].price_upper, 30.0);
        let mut after = Random::seeded(1);
        for count in [4, 2, 4] {
            after.sample(count, 2);
        }
        assert_eq!(random.word(), after.word());
    }

    #[test]
    fn goals_of_people_have_the_options_that_they_name() {
        let catalogue = catalogue(true);
        let mut random = Random::seeded(1);
        let goals = Goals::draw(&catalogue, &[5.0, 985.0, 5.0, 5.0], &mut random).unwrap();
        assert_eq!(goals.len(), 4);
        let goal = goals.get(&catalogue, 1).unwrap();
        assert_eq!((&*goal.instruction, goal.weight), ("Find me lamps", 1.0));
        assert_eq!(*goal.options, [("".into(), "red".into())]);
    }

    #[test]
    fn too_many_goals_are_refused() {
        let mut catalogue = catalogue(false);
        let values = ["x"; 70_000];
        catalogue.products[1].options = [choice("a", &values), choice("b", &values)].into();
        let error = Goals::draw(&catalogue, &[5.0; 4], &mut Random::seeded(1)).unwrap_err();
        assert!(error.to_string().contains("four billion goals"), "{error}");
        catalogue.products[1].options = [choice("a", &values), choice("b", &values), choice("c", &[])].into();
        assert_eq!(Goals::draw(&catalogue, &[5.0; 4], &mut Random::seeded(1)).unwrap().len(), 2);
    }
}
