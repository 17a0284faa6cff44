//! A shortest way to win: the walkthrough of a generated game.

use crate::dialect::Wording;

use super::household::{Family, Household, Task, short_names};

/// A plan with the objects of the target kind that it handles.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) commands: Vec<String>,
    pub(super) targets: Vec<usize>,
}

/// What the agent has done so far.
#[derive(Clone)]
struct Walk<'h> {
    household: &'h Household,
    receptacle_names: &'h [String],
    at: usize,
    opened: Vec<usize>,
    commands: Vec<String>,
}

impl Walk<'_> {
    fn go(&mut self, receptacle: usize) {
        let location = self.household.receptacles[receptacle].location;
        if location != self.at {
            self.commands.push(format!("go to {}", self.receptacle_names[receptacle]));
            self.at = location;
        }
    }

    fn reach_into(&mut self, receptacle: usize) {
        self.go(receptacle);
        if self.household.receptacles[receptacle].openable && !self.opened.contains(&receptacle) {
            self.commands.push(format!("open {}", self.receptacle_names[receptacle]));
            self.opened.push(receptacle);
        }
    }
}

/// A shortest winning plan; ties go to the lower indices. `None` if the task cannot be done here.
pub(super) fn plan(household: &Household, task: &Task, wording: Wording) -> Option<Plan> {
    let receptacle_names = short_names(household.receptacles.iter().map(|receptacle| receptacle.id.as_str()));
    let object_names = short_names(household.objects.iter().map(|object| object.id.as_str()));
    let start = Walk {
        household,
        receptacle_names: &receptacle_names,
        at: household.start,
        opened: Vec::new(),
        commands: Vec::new(),
    };
    let of_kind = |kind: &str| -> Vec<usize> {
        (0..household.receptacles.len()).filter(|&index| household.receptacles[index].kind == kind).collect()
    };
    let targets: Vec<usize> = (0..household.objects.len())
        .filter(|&index| {
            household.objects[index].kind == task.target && !household.objects[index].inside.is_empty()
        })
        .collect();
    let take = |walk: &mut Walk<'_>, object: usize, from: usize| {
        walk.reach_into(from);
        walk.commands.push(format!("take {} from {}", object_names[object], receptacle_names[from]));
    };
    let put = |walk: &mut Walk<'_>, object: usize, to: usize| {
        walk.reach_into(to);
        let (object, to) = (&object_names[object], &receptacle_names[to]);
        walk.commands.push(match wording {
            Wording::V04 => format!("move {object} to {to}"),
            Wording::V03 => format!("put {object} in/on {to}"),
        });
    };
    let mut best: Option<Plan> = None;
    let mut offer = |walk: Walk<'_>, targets: Vec<usize>| {
        if best.as_ref().is_none_or(|best| walk.commands.len() < best.commands.len()) {
            best = Some(Plan { commands: walk.commands, targets });
        }
    };
    for &object in &targets {
        for &from in &household.objects[object].inside {
            let mut taken = start.clone();
            take(&mut taken, object, from);
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
                        put(&mut walk, object, to);
                        offer(walk, vec![object]);
                    }
                }
                Family::Clean | Family::Heat | Family::Cool => {
                    let (verb, device) = match task.family {
                        Family::Clean => ("clean", "SinkBasin"),
                        Family::Heat => ("heat", "Microwave"),
                        _ => ("cool", "Fridge"),
                    };
                    // What lay in two receptacles still counts as lying in the other one, so treating it may be enough.
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
                            put(&mut walk, object, to);
                            offer(walk, vec![object]);
                        }
                    }
                }
                Family::Two => {
                    for to in of_kind(&task.place) {
                        let mut one = taken.clone();
                        put(&mut one, object, to);
                        for &other in targets.iter().filter(|&&other| other != object) {
                            for &from in &household.objects[other].inside {
                                let mut walk = one.clone();
                                take(&mut walk, other, from);
                                put(&mut walk, other, to);
                                offer(walk, vec![object, other]);
                            }
                        }
                    }
                }
            }
        }
    }
    best
}
