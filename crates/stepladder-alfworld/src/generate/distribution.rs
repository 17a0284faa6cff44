//! Statistics of a set of games, and comparison of two sets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::GenerateError;
use super::estimate::place_key;
use super::household::{Family, Room, read_problem};

/// Mean and deviation of a quantity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Number of values.
    pub n: u32,
    /// Sum of the values.
    pub sum: f64,
    /// Sum of their squares.
    pub squares: f64,
}

impl Spread {
    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        self.n += 1;
        self.sum += value;
        self.squares += value * value;
    }

    /// Mean; 0 without values.
    pub fn mean(&self) -> f64 {
        self.sum / f64::from(self.n.max(1))
    }

    /// Population standard deviation; 0 without values.
    pub fn sd(&self) -> f64 {
        (self.squares / f64::from(self.n.max(1)) - self.mean().powi(2)).max(0.0).sqrt()
    }
}

/// Statistics of a set of games.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of games.
    pub games: u32,
    /// Games per family.
    pub families: BTreeMap<Family, u32>,
    /// Games per kind of room.
    pub rooms: BTreeMap<Room, RoomSummary>,
    /// Games per family and target kind.
    pub targets: BTreeMap<Family, BTreeMap<String, u32>>,
    /// Games per family and goal kind.
    pub places: BTreeMap<Family, BTreeMap<String, u32>>,
    /// Objects of the target kind by start place.
    pub target_starts: BTreeMap<String, u32>,
    /// Other objects by start place.
    pub other_starts: BTreeMap<String, u32>,
    /// Whether objects of the target kind start behind a door, per family: 1 or 0 each.
    pub target_hidden: BTreeMap<Family, Spread>,
    /// Objects of the target kind per game, by family.
    pub target_number: BTreeMap<Family, Spread>,
    /// Commands of the walkthrough, by family.
    pub walkthrough: BTreeMap<Family, Spread>,
    /// Number of games with each object kind.
    pub object_kinds: BTreeMap<String, u32>,
    /// Number of games with each receptacle kind.
    pub receptacle_kinds: BTreeMap<String, u32>,
}

/// Statistics of the games in one kind of room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoomSummary {
    /// Number of games.
    pub games: u32,
    /// Receptacles per game.
    pub receptacles: Spread,
    /// Objects per game, fixtures included.
    pub objects: Spread,
    /// Objects of each kind per game.
    pub object: BTreeMap<String, Spread>,
    /// Receptacles of each kind per game.
    pub receptacle: BTreeMap<String, Spread>,
    /// Fraction of a game's receptacles that share their location with another.
    pub shared: Spread,
    /// Fraction of a game's receptacles with a door.
    pub openable: Spread,
    /// Fraction of a game's objects in no receptacle.
    pub out_of_reach: Spread,
    /// Distinct combinations of receptacle numbers.
    pub combinations: BTreeSet<Vec<(String, usize)>>,
}

impl Summary {
    /// Adds a game.
    ///
    /// # Errors
    /// [`GenerateError::Problem`] if the text is not a household problem.
    pub fn add(&mut self, problem: &str, walkthrough: usize) -> Result<(), GenerateError> {
        let (household, task) = read_problem(problem)?;
        let counts = household.receptacle_counts();
        self.games += 1;
        *self.families.entry(task.family).or_default() += 1;
        *self.targets.entry(task.family).or_default().entry(task.target.clone()).or_default() += 1;
        *self.places.entry(task.family).or_default().entry(task.place.clone()).or_default() += 1;
        self.walkthrough.entry(task.family).or_default().add(walkthrough as f64);
        let mut targets = 0.0;
        for object in &household.objects {
            let starts =
                if object.kind == task.target { &mut self.target_starts } else { &mut self.other_starts };
            *starts.entry(place_key(&household, object)).or_default() += 1;
            if object.kind == task.target {
                let hidden = !object.inside.is_empty()
                    && object.inside.iter().all(|&index| household.receptacles[index].openable);
                self.target_hidden.entry(task.family).or_default().add(f64::from(hidden));
                targets += 1.0;
            }
        }
        self.target_number.entry(task.family).or_default().add(targets);
        for kind in household.object_counts().keys() {
            *self.object_kinds.entry((*kind).to_owned()).or_default() += 1;
        }
        for kind in counts.keys() {
            *self.receptacle_kinds.entry((*kind).to_owned()).or_default() += 1;
        }
        let room = self.rooms.entry(household.room).or_default();
        room.games += 1;
        let all = household.receptacles.len() as f64;
        room.receptacles.add(all);
        room.objects.add(household.objects.len() as f64);
        for (kind, number) in &counts {
            room.receptacle.entry((*kind).to_owned()).or_default().add(*number as f64);
        }
        for (kind, number) in household.object_counts() {
            room.object.entry(kind.to_owned()).or_default().add(number as f64);
        }
        let fraction = |number: usize, all: f64| if all > 0.0 { number as f64 / all } else { 0.0 };
        let shared = household.groups().iter().map(Vec::len).filter(|size| *size > 1).sum();
        room.shared.add(fraction(shared, all));
        room.openable.add(fraction(household.receptacles.iter().filter(|one| one.openable).count(), all));
        let lost = household.objects.iter().filter(|object| object.inside.is_empty()).count();
        room.out_of_reach.add(fraction(lost, household.objects.len() as f64));
        room.combinations
            .insert(counts.into_iter().map(|(kind, number)| (kind.to_owned(), number)).collect());
        Ok(())
    }

    /// Games by kind of room.
    fn room_mix(&self) -> BTreeMap<Room, u32> {
        self.rooms.iter().map(|(room, summary)| (*room, summary.games)).collect()
    }
}

/// Total variation distance: half the sum of absolute differences, 0 for equal and 1 for disjoint distributions.
pub fn total_variation<K: Ord>(one: &BTreeMap<K, u32>, two: &BTreeMap<K, u32>) -> f64 {
    let total = |counts: &BTreeMap<K, u32>| f64::from(counts.values().sum::<u32>().max(1));
    let (all_one, all_two) = (total(one), total(two));
    let keys: BTreeSet<&K> = one.keys().chain(two.keys()).collect();
    let of = |counts: &BTreeMap<K, u32>, key: &K| f64::from(counts.get(key).copied().unwrap_or(0));
    keys.into_iter().map(|key| (of(one, key) / all_one - of(two, key) / all_two).abs()).sum::<f64>() / 2.0
}

/// Games by family and kind.
fn joint(counts: &BTreeMap<Family, BTreeMap<String, u32>>) -> BTreeMap<(Family, &str), u32> {
    counts
        .iter()
        .flat_map(|(family, kinds)| kinds.iter().map(|(kind, games)| ((*family, kind.as_str()), *games)))
        .collect()
}

/// Compares two summaries as Markdown tables. `again` summarises the same number of other games from the source of
/// `second`; its distance to `second` shows the effect of chance.
pub fn report(
    (first_name, first): (&str, &Summary),
    (second_name, second): (&str, &Summary),
    again: &Summary,
) -> String {
    let mut text = String::new();
    let both = [first, second];
    let head = |text: &mut String, title: &str, what: &str| {
        let _ = write!(text, "\n## {title}\n\n| {what} | {first_name} | {second_name} |\n|---|---:|---:|\n");
    };
    let row = |text: &mut String, name: &str, cell: &dyn Fn(&Summary) -> String| {
        let _ = writeln!(text, "| {name} | {} | {} |", cell(both[0]), cell(both[1]));
    };
    let percent = |part: u32, all: u32| format!("{:.1} %", 100.0 * f64::from(part) / f64::from(all.max(1)));
    let mean_sd = |spread: Option<&Spread>| {
        spread.map_or("none".to_owned(), |spread| format!("{:.2} ± {:.2}", spread.mean(), spread.sd()))
    };

    head(&mut text, "Tasks", "fraction of games");
    row(&mut text, "games", &|summary| summary.games.to_string());
    for family in Family::ALL {
        row(&mut text, &format!("`{}`", family.name()), &|summary| {
            percent(summary.families.get(&family).copied().unwrap_or(0), summary.games)
        });
    }
    for room in Room::ALL {
        row(&mut text, room.name(), &|summary| {
            percent(summary.rooms.get(&room).map_or(0, |room| room.games), summary.games)
        });
    }

    head(&mut text, "Walkthrough", "commands, mean ± sd");
    for family in Family::ALL {
        row(&mut text, &format!("`{}`", family.name()), &|summary| mean_sd(summary.walkthrough.get(&family)));
    }
    head(&mut text, "Objects of the target kind", "per family");
    for family in Family::ALL {
        row(&mut text, &format!("`{}`: number", family.name()), &|summary| {
            mean_sd(summary.target_number.get(&family))
        });
        row(&mut text, &format!("`{}`: behind a door", family.name()), &|summary| {
            format!("{:.1} %", 100.0 * summary.target_hidden.get(&family).map_or(0.0, Spread::mean))
        });
    }

    for room in Room::ALL {
        head(&mut text, &format!("Rooms: {}", room.name()), "per game, mean ± sd");
        let of = |summary: &Summary| summary.rooms.get(&room).cloned().unwrap_or_default();
        row(&mut text, "receptacles", &|summary| mean_sd(Some(&of(summary).receptacles)));
        row(&mut text, "objects", &|summary| mean_sd(Some(&of(summary).objects)));
        let fraction =
            |spread: Spread| format!("{:.1} % ± {:.1}", 100.0 * spread.mean(), 100.0 * spread.sd());
        row(&mut text, "receptacles at a shared location", &|summary| fraction(of(summary).shared));
        row(&mut text, "receptacles with a door", &|summary| fraction(of(summary).openable));
        row(&mut text, "objects in no receptacle", &|summary| fraction(of(summary).out_of_reach));
        row(&mut text, "different receptacle counts", &|summary| of(summary).combinations.len().to_string());
        let kinds: BTreeSet<String> =
            both.iter().flat_map(|summary| of(summary).receptacle.into_keys()).collect();
        for kind in kinds {
            row(&mut text, &kind.to_ascii_lowercase(), &|summary| {
                let room = of(summary);
                let mut spread = room.receptacle.get(&kind).copied().unwrap_or_default();
                // Rooms without the kind count as zero.
                spread.n = room.games;
                mean_sd(Some(&spread))
            });
        }
    }

    head(&mut text, "Most frequent targets", "fraction of games");
    let targets = [joint(&first.targets), joint(&second.targets)];
    let mut order: Vec<_> = targets[0].iter().collect();
    order.sort_by_key(|(key, games)| (std::cmp::Reverse(**games), **key));
    for (key, _) in order.into_iter().take(20) {
        let name = format!("`{}` {}", key.0.name(), key.1.to_ascii_lowercase());
        let cell =
            |summary: usize| percent(targets[summary].get(key).copied().unwrap_or(0), both[summary].games);
        let _ = writeln!(text, "| {name} | {} | {} |", cell(0), cell(1));
    }
    distances(&mut text, first, second, again);
    text
}

fn distances(text: &mut String, first: &Summary, second: &Summary, again: &Summary) {
    text.push_str(
        "\n## Distances\n\n| total variation distance | between the two | by chance |\n|---|---:|---:|\n",
    );
    let distances = |one: &Summary, two: &Summary| {
        [
            ("families", total_variation(&one.families, &two.families)),
            ("rooms", total_variation(&one.room_mix(), &two.room_mix())),
            ("family and target kind", total_variation(&joint(&one.targets), &joint(&two.targets))),
            ("family and goal kind", total_variation(&joint(&one.places), &joint(&two.places))),
            (
                "where objects of the target kind start",
                total_variation(&one.target_starts, &two.target_starts),
            ),
            ("where other objects start", total_variation(&one.other_starts, &two.other_starts)),
        ]
    };
    for ((name, distance), (_, chance)) in distances(first, second).iter().zip(distances(again, second)) {
        let _ = writeln!(text, "| {name} | {distance:.3} | {chance:.3} |");
    }
    let only = |one: &BTreeMap<String, u32>, two: &BTreeMap<String, u32>| -> String {
        let missing: Vec<String> = one
            .keys()
            .filter(|kind| !two.contains_key(*kind))
            .map(|kind| kind.to_ascii_lowercase())
            .collect();
        if missing.is_empty() { "none".to_owned() } else { missing.join(", ") }
    };
    text.push_str(
        "\n| vocabulary | in both | only in the first | only in the second |\n|---|---:|---|---|\n",
    );
    for (name, one, two) in [
        ("object kinds", &first.object_kinds, &second.object_kinds),
        ("receptacle kinds", &first.receptacle_kinds, &second.receptacle_kinds),
    ] {
        let common = one.keys().filter(|kind| two.contains_key(*kind)).count();
        let _ = writeln!(text, "| {name} | {common} | {} | {} |", only(one, two), only(two, one));
    }
}
