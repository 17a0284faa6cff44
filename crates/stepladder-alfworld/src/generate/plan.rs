//! Walkthroughs of generated games: a short solution, a shortest one for games with one goal.

use crate::dialect::Wording;

use super::household::{Family, Household, Task, short_names};
use super::tables::Tables;

/// A walkthrough and, per goal, the objects of the target kind that it handles.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) commands: Vec<String>,
    pub(super) targets: Vec<Vec<usize>>,
}

/// Constant state of planning.
struct Scene<'h> {
    household: &'h Household,
    tables: &'h Tables,
    wording: Wording,
    receptacle_names: Vec<String>,
    object_names: Vec<String>,
}

impl Scene<'_> {
    fn accepts(&self, receptacle: usize, object: usize) -> bool {
        let kinds = self.tables.contains.get(&self.household.receptacles[receptacle].kind);
        kinds.is_some_and(|kinds| kinds.contains(&self.household.objects[object].kind))
    }
}

/// A partial solution.
#[derive(Clone)]
struct Walk<'w> {
    scene: &'w Scene<'w>,
    at: usize,
    opened: Vec<usize>,
    holds: Option<usize>,
    commands: Vec<String>,
}

impl Walk<'_> {
    fn go(&mut self, receptacle: usize) {
        let location = self.scene.household.receptacles[receptacle].location;
        if location != self.at {
            self.commands.push(format!("go to {}", self.scene.receptacle_names[receptacle]));
            self.at = location;
        }
    }

    fn reach_into(&mut self, receptacle: usize) {
        self.go(receptacle);
        if self.scene.household.receptacles[receptacle].openable && !self.opened.contains(&receptacle) {
            self.commands.push(format!("open {}", self.scene.receptacle_names[receptacle]));
            self.opened.push(receptacle);
        }
    }

    fn take(&mut self, object: usize, from: usize) {
        self.reach_into(from);
        let (name, from) = (&self.scene.object_names[object], &self.scene.receptacle_names[from]);
        self.commands.push(format!("take {name} from {from}"));
        self.holds = Some(object);
    }

    fn put(&mut self, object: usize, to: usize) {
        self.reach_into(to);
        let (object, to) = (&self.scene.object_names[object], &self.scene.receptacle_names[to]);
        self.commands.push(match self.scene.wording {
            Wording::V04 => format!("move {object} to {to}"),
            Wording::V03 => format!("put {object} in/on {to}"),
        });
        self.holds = None;
    }

    /// Returns the continuations with an empty hand: an object held from an earlier goal is put down here, or elsewhere
    /// where it fits.
    fn freed(self) -> Vec<Self> {
        let Some(object) = self.holds else { return vec![self] };
        let receptacles = &self.scene.household.receptacles;
        let fitting: Vec<usize> =
            (0..receptacles.len()).filter(|&index| self.scene.accepts(index, object)).collect();
        let here = |index: &&usize| receptacles[**index].location == self.at;
        let mut near: Vec<usize> = fitting.iter().filter(here).copied().collect();
        if near.is_empty() {
            near = fitting;
        }
        let put_at = |to| {
            let mut walk = self.clone();
            walk.put(object, to);
            walk
        };
        near.into_iter().map(put_at).collect()
    }
}

/// Reaches the goals in turn, each by a shortest plan from the end of the one before; ties go to the lower indices.
/// `None` if a goal cannot be reached in this household.
pub(super) fn plan(household: &Household, tasks: &[Task], tables: &Tables, wording: Wording) -> Option<Plan> {
    let scene = Scene {
        household,
        tables,
        wording,
        receptacle_names: short_names(household.receptacles.iter().map(|receptacle| receptacle.id.as_str())),
        object_names: short_names(household.objects.iter().map(|object| object.id.as_str())),
    };
    let mut walk =
        Walk { scene: &scene, at: household.start, opened: Vec::new(), holds: None, commands: Vec::new() };
    let mut targets = Vec::with_capacity(tasks.len());
    for task in tasks {
        let mut best: Option<(Walk<'_>, Vec<usize>)> = None;
        for start in walk.freed() {
            offer_all(&start, task, &mut |walk, handled| {
                if best.as_ref().is_none_or(|(best, _)| walk.commands.len() < best.commands.len()) {
                    best = Some((walk, handled));
                }
            });
        }
        let handled;
        (walk, handled) = best?;
        targets.push(handled);
    }
    Some(Plan { commands: walk.commands, targets })
}

/// Offers every sensible way to reach a goal with an empty hand, with the objects of the target kind that it handles.
fn offer_all<'w>(start: &Walk<'w>, task: &Task, offer: &mut impl FnMut(Walk<'w>, Vec<usize>)) {
    let Scene { household, receptacle_names, object_names, .. } = start.scene;
    let of_kind = |kind: &str| -> Vec<usize> {
        (0..household.receptacles.len()).filter(|&index| household.receptacles[index].kind == kind).collect()
    };
    let targets: Vec<usize> = (0..household.objects.len())
        .filter(|&index| {
            household.objects[index].kind == task.target && !household.objects[index].inside.is_empty()
        })
        .collect();
    for &object in &targets {
        for &from in &household.objects[object].inside {
            let mut taken = start.clone();
            taken.take(object, from);
            match task.family {
                Family::Look => {
                    for (lamp, _) in
                        household.objects.iter().enumerate().filter(|(_, object)| object.kind == task.place)
                    {
                        for &under in &household.objects[lamp].inside {
                            let mut walk = taken.clone();
                            walk.go(under);
                            walk.commands.push(format!("use {}", object_names[lamp]));
                            offer(walk, vec![object]);
                        }
                    }
                }
                Family::Pick => {
                    for to in of_kind(&task.place) {
                        let mut walk = taken.clone();
                        walk.put(object, to);
                        offer(walk, vec![object]);
                    }
                }
                Family::Clean | Family::Heat | Family::Cool => {
                    let (verb, device) = match task.family {
                        Family::Clean => ("clean", "SinkBasin"),
                        Family::Heat => ("heat", "Microwave"),
                        _ => ("cool", "Fridge"),
                    };
                    // An object taken from one of two receptacles still counts as being in the other, so treating it
                    // may be enough.
                    let stays = household.objects[object]
                        .inside
                        .iter()
                        .any(|&other| other != from && household.receptacles[other].kind == task.place);
                    for device in of_kind(device) {
                        let mut treated = taken.clone();
                        treated.go(device);
                        let (object_name, device) = (&object_names[object], &receptacle_names[device]);
                        treated.commands.push(format!("{verb} {object_name} with {device}"));
                        if stays {
                            offer(treated, vec![object]);
                            continue;
                        }
                        for to in of_kind(&task.place) {
                            let mut walk = treated.clone();
                            walk.put(object, to);
                            offer(walk, vec![object]);
                        }
                    }
                }
                Family::Two => {
                    for to in of_kind(&task.place) {
                        let mut one = taken.clone();
                        one.put(object, to);
                        for &other in targets.iter().filter(|&&other| other != object) {
                            for &from in &household.objects[other].inside {
                                let mut walk = one.clone();
                                walk.take(other, from);
                                walk.put(other, to);
                                offer(walk, vec![object, other]);
                            }
                        }
                    }
                }
            }
        }
    }
}
