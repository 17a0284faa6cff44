//! Summarises any set of games, and puts two summaries side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::GenerateError;
use super::estimate::place_key;
use super::household::{Family, Room, read_problem};

/// Mean and spread of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many values.
    pub n: u32,
    /// Their sum.
    pub sum: f64,
    /// Sum of their squares.
    pub squares: f64,
}

impl Spread {
    /// Counts one value.
    pub fn add(&mut self, value: f64) {
        self.n += 1;
        self.sum += value;
        self.squares += value * value;
    }

    /// Mean; 0 without values.
    pub fn mean(&self) -> f64 {
        self.sum / f64::from(self.n.max(1))
    }

    /// Standard deviation of the population; 0 without values.
    pub fn sd(&self) -> f64 {
        (self.squares / f64::from(self.n.max(1)) - self.mean().powi(2)).max(0.0).sqrt()
    }
}

/// What was counted over a set of games.
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
    /// Objects of the target kind by the place they start in.
    pub target_starts: BTreeMap<String, u32>,
    /// Other objects by the place they start in.
    pub other_starts: BTreeMap<String, u32>,
    /// Objects of the target kind that start behind a door, per family: 1 or 0 each.
    pub target_hidden: BTreeMap<Family, Spread>,
    /// Objects of the target kind per game and family.
    pub target_number: BTreeMap<Family, Spread>,
    /// Commands in the walkthrough, per family.
    pub walkthrough: BTreeMap<Family, Spread>,
    /// Object kinds by number of games they occur in.
    pub object_kinds: BTreeMap<String, u32>,
    /// Receptacle kinds by number of games they occur in.
    pub receptacle_kinds: BTreeMap<String, u32>,
}

/// What was counted over the games in one kind of room.
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
    /// Share of a game's receptacles that share their location with another.
    pub shared: Spread,
    /// Share of a game's receptacles that have a door.
    pub openable: Spread,
    /// Share of a game's objects that lie in no receptacle.
    pub out_of_reach: Spread,
    /// Different combinations of receptacle numbers.
    pub combinations: BTreeSet<Vec<(String, usize)>>,
}

impl Summary {
    /// Counts one more game.
    ///
    /// # Errors
    /// [`GenerateError::Problem`] if the text is no problem.
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
        let share = |number: usize, all: f64| if all > 0.0 { number as f64 / all } else { 0.0 };
        let shared = household.groups().iter().map(Vec::len).filter(|size| *size > 1).sum();
        room.shared.add(share(shared, all));
        room.openable.add(share(household.receptacles.iter().filter(|one| one.openable).count(), all));
        let lost = household.objects.iter().filter(|object| object.inside.is_empty()).count();
        room.out_of_reach.add(share(lost, household.objects.len() as f64));
        room.combinations
            .insert(counts.into_iter().map(|(kind, number)| (kind.to_owned(), number)).collect());
        Ok(())
    }

    /// Share of games, by kind of room.
    fn room_mix(&self) -> BTreeMap<Room, u32> {
        self.rooms.iter().map(|(room, summary)| (*room, summary.games)).collect()
    }
}

/// Half the sum of the absolute differences of two distributions: 0 for equal ones, 1 for disjoint ones.
pub fn total_variation<K: Ord>(one: &BTreeMap<K, u32>, two: &BTreeMap<K, u32>) -> f64 {
    let total = |counts: &BTreeMap<K, u32>| f64::from(counts.values().sum::<u32>().max(1));
    let (all_one, all_two) = (total(one), total(two));
    let keys: BTreeSet<&K> = one.keys().chain(two.keys()).collect();
    let of = |counts: &BTreeMap<K, u32>, key: &K| f64::from(counts.get(key).copied().unwrap_or(0));
    keys.into_iter().map(|key| (of(one, key) / all_one - of(two, key) / all_two).abs()).sum::<f64>() / 2.0
}

/// Games by family and kind.
fn flat(counts: &BTreeMap<Family, BTreeMap<String, u32>>) -> BTreeMap<(Family, &str), u32> {
    counts
        .iter()
        .flat_map(|(family, kinds)| kinds.iter().map(|(kind, games)| ((*family, kind.as_str()), *games)))
        .collect()
}

/// Two summaries side by side, as Markdown. `again` is a summary of as many other games from the source of `second`:
/// its distance to `second` is what chance alone makes of a distance.
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

    head(&mut text, "Tasks", "share of games");
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
        let share = |spread: Spread| format!("{:.1} % ± {:.1}", 100.0 * spread.mean(), 100.0 * spread.sd());
        row(&mut text, "receptacles at a shared location", &|summary| share(of(summary).shared));
        row(&mut text, "receptacles with a door", &|summary| share(of(summary).openable));
        row(&mut text, "objects in no receptacle", &|summary| share(of(summary).out_of_reach));
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

    head(&mut text, "Most frequent targets", "share of games");
    let targets = [flat(&first.targets), flat(&second.targets)];
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
            ("family and target kind", total_variation(&flat(&one.targets), &flat(&two.targets))),
            ("family and goal kind", total_variation(&flat(&one.places), &flat(&two.places))),
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
