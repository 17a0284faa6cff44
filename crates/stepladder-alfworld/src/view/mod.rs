//! What an agent can read off ALFWorld's texts, as structure: entities, the room, answers to actions, the task.
//!
//! Everything here is a function of text that stands in a prompt. Nothing knows the engine, so the expert and the
//! segmenter that build on it cannot look at hidden state even by accident (design D11).
//!
//! * [`entity`]: "mug 2", and lists of them
//! * [`room`]: which receptacles the room has, from its description
//! * [`feedback`]: what the answer to an action says
//! * [`command`]: the actions, with both wordings of placing an object
//! * [`task`]: the goal behind a task sentence

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
