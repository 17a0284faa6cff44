//! The progress writer. It reads neither the task nor the room.

use super::{Note, Progress, Subtask};
use crate::view::{Command, Entity, Feedback};

/// Returns the progress text after an action.
pub(super) fn record(subtask: &str, previous: &str, action: &str, feedback: &str) -> String {
    let subtask = Subtask::parse(subtask);
    let previous = Progress::parse(previous);
    let feedback = Feedback::parse(feedback);
    match subtask {
        Some(subtask @ (Subtask::Find { .. } | Subtask::FindNew { .. } | Subtask::FindUse { .. })) => {
            search(&subtask, previous, action, &feedback)
        }
        Some(Subtask::PutAway { .. }) => tidy(previous, action, &feedback),
        _ => errand(previous, action, &feedback),
    }
    .to_string()
}

/// Updates a search: keeps the list of checked receptacles.
fn search<'a>(
    subtask: &Subtask<'a>,
    mut previous: Progress<'a>,
    action: &'a str,
    feedback: &Feedback<'a>,
) -> Progress<'a> {
    let mut searching = Note::Searching { except: None };
    if let Subtask::FindNew { placed, at, .. } = *subtask {
        previous.check(at);
        searching = Note::Searching { except: Some(placed) };
    }
    let mut held = previous.held;
    let note = match feedback {
        Feedback::NothingHappens => {
            // A receptacle that can be neither reached nor examined does not exist and is never tried again.
            if let (Some(Command::GoTo(there)), Some(Command::Examine(here))) =
                (previous.failed(), Command::parse(action))
                && here == there
            {
                previous.check(here);
            }
            Note::Failed(action)
        }
        Feedback::Sight(sight) => {
            let tried_here = match previous.failed() {
                Some(Command::Take { receptacle, .. }) => receptacle == sight.receptacle,
                Some(Command::Use(_)) => matches!(Command::parse(action), Some(Command::Examine(_))),
                _ => false,
            };
            if sight.visible() {
                previous.check(sight.receptacle);
            }
            if tried_here { previous.note } else { searching }
        }
        Feedback::PickedUp { object, receptacle } if subtask.wants(*object) => {
            return done(Note::PickedUp { object: *object, receptacle: *receptacle });
        }
        Feedback::TurnedOn(thing) if matches!(subtask, Subtask::FindUse { kind } if *kind == thing.kind) => {
            return done(Note::Used(*thing));
        }
        // While looking for a lamp, the held object is the right one.
        Feedback::PickedUp { .. } | Feedback::Treated { .. } | Feedback::Carrying(_)
            if matches!(subtask, Subtask::FindUse { .. }) =>
        {
            searching
        }
        Feedback::PickedUp { object, .. } | Feedback::Treated { object, .. } => {
            held = Some(*object);
            searching
        }
        Feedback::Carrying(items) => {
            held = items.first().copied();
            searching
        }
        Feedback::Placed { .. } => {
            held = None;
            searching
        }
        Feedback::Start
        | Feedback::Shut(_)
        | Feedback::TurnedOn(_)
        | Feedback::Facing(_)
        | Feedback::Other(_) => match previous.note {
            Note::Fresh | Note::Unknown => searching,
            note => note,
        },
    };
    Progress { held, note, checked: previous.checked }
}

/// Updates a subtask with the object in the hand.
fn errand<'a>(previous: Progress<'a>, action: &'a str, feedback: &Feedback<'a>) -> Progress<'a> {
    let at = |place: Entity<'a>| match previous.failed() {
        Some(Command::Place { receptacle, .. }) if receptacle == place => previous.note,
        _ => Note::At(place),
    };
    if let Feedback::Carrying(items) = feedback {
        let held = items.first().copied();
        let note = if held.is_some() { Note::Fresh } else { Note::HandEmpty };
        return Progress { held, note, checked: Vec::new() };
    }
    done(match feedback {
        Feedback::NothingHappens => Note::Failed(action),
        Feedback::Sight(sight) => at(sight.receptacle),
        Feedback::Shut(receptacle) => Note::At(*receptacle),
        Feedback::PickedUp { object, receptacle } => {
            Note::PickedUp { object: *object, receptacle: *receptacle }
        }
        Feedback::Placed { object, receptacle } => Note::Put { object: *object, receptacle: *receptacle },
        Feedback::Treated { treatment, object, device } => {
            Note::Treated { treatment: *treatment, object: *object, device: *device }
        }
        Feedback::TurnedOn(_)
        | Feedback::Start
        | Feedback::Carrying(_)
        | Feedback::Facing(_)
        | Feedback::Other(_) => return Progress { checked: Vec::new(), ..previous },
    })
}

/// Updates a put-away subtask: the object in the hand must be remembered.
fn tidy<'a>(previous: Progress<'a>, action: &'a str, feedback: &Feedback<'a>) -> Progress<'a> {
    let held = previous.held;
    let after = |note| Progress { held, note, checked: Vec::new() };
    match feedback {
        Feedback::Carrying(_) | Feedback::Placed { .. } => errand(previous, action, feedback),
        Feedback::PickedUp { object, .. } => Progress { held: Some(*object), ..after(Note::Fresh) },
        Feedback::NothingHappens => after(Note::Failed(action)),
        Feedback::Sight(sight) => match previous.failed() {
            Some(Command::Place { receptacle, .. }) if receptacle == sight.receptacle => after(previous.note),
            _ => after(Note::At(sight.receptacle)),
        },
        Feedback::Shut(receptacle) => after(Note::At(*receptacle)),
        Feedback::Start
        | Feedback::Treated { .. }
        | Feedback::TurnedOn(_)
        | Feedback::Facing(_)
        | Feedback::Other(_) => after(previous.note),
    }
}

fn done(note: Note<'_>) -> Progress<'_> {
    Progress { held: None, note, checked: Vec::new() }
}
