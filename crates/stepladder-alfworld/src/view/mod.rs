//! Parsing of ALFWorld's texts: entities, the room, answers to actions, the task.
//!
//! All functions depend only on the text of prompts. Nothing here uses the engine, so the expert and the segmenter
//! built on it cannot access hidden state (docs/design.md D11).
//!
//! * [`entity`]: "mug 2", and lists of them
//! * [`room`]: receptacles of the room, from its description
//! * [`feedback`]: answers to actions
//! * [`command`]: actions, with both wordings of placing an object
//! * [`task`]: goals of a task sentence

pub mod command;
pub mod entity;
pub mod feedback;
pub mod room;
pub mod task;

pub use command::{Command, Treatment};
pub use entity::Entity;
pub use feedback::{Feedback, Lid, Sight};
pub use room::{Room, RoomClass};
pub use task::{Family, Goal};
