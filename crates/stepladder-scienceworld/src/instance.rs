//! One simulated world in one of the JVMs.

use std::sync::Arc;

use crate::failure::Failure;
use crate::jvm::CallError;
use crate::pool::{Pool, Seat, Shared, both_failed};
use crate::wire::{Op, Reply, Request, Texts, whole_list};

/// Longest action that is sent, in bytes. A longer one is truncated; its beginning is no known action either.
const LONGEST_ACTION: usize = 4096;

/// State of a world after an action, as an agent sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The simulator's answer to the action.
    pub observation: String,
    /// Description of the room. Costs no move.
    pub look: String,
    /// Description of the inventory. Costs no move.
    pub inventory: String,
    /// Score from 0 to 1; -1 after a mistake that ends the task.
    pub score: f64,
    /// Whether the simulator has ended the episode.
    pub completed: bool,
    /// Moves since the start of the episode.
    pub moves: u32,
}

impl View {
    fn read(mut reply: Reply<'_>) -> Option<Self> {
        let view = Self {
            observation: reply.text()?,
            look: reply.text()?,
            inventory: reply.text()?,
            score: reply.double()?,
            completed: reply.bool()?,
            moves: reply.int()?,
        };
        reply.end(view)
    }
}

/// Call that changed the state of the world.
#[derive(Debug)]
enum Event {
    Action(String),
    /// A list of actions that was drawn from the world's random numbers.
    List,
}

/// Task and history of an episode, from which the world can be rebuilt.
#[derive(Debug)]
struct Episode {
    task: String,
    variation: u32,
    simplification: String,
    description: String,
    past: Vec<Event>,
    last: Option<View>,
}

impl Episode {
    fn load(&self, id: u32) -> Request {
        Request::new(Op::Load).int(id).text(&self.task).int(self.variation).text(&self.simplification)
    }
}

/// One simulated world. If its JVM ends, the next call rebuilds it in a replacement JVM: the simulator is
/// deterministic, so the episode continues unchanged.
#[derive(Debug)]
pub struct Instance {
    shared: Arc<Shared>,
    place: usize,
    id: u32,
    /// Generation of the JVM that holds the world; 0 if none does.
    home: u64,
    episode: Option<Episode>,
}

impl Instance {
    /// Creates a world in the JVM with the fewest worlds. Nothing is started yet.
    pub fn new(pool: &Pool) -> Self {
        let (place, id) = pool.0.register();
        Self { shared: pool.0.clone(), place, id, home: 0, episode: None }
    }

    /// Starts an episode and returns the description of its task.
    ///
    /// # Errors
    /// [`Failure`], also if the simulator does not know the task.
    pub fn load(&mut self, task: &str, variation: u32, simplification: &str) -> Result<String, Failure> {
        self.home = 0;
        self.episode = None;
        let episode = Episode {
            task: task.to_owned(),
            variation,
            simplification: simplification.to_owned(),
            description: String::new(),
            past: Vec::new(),
            last: None,
        };
        let description = self.call(episode.load(self.id), |mut reply| {
            let description = reply.text()?;
            reply.end(description)
        })?;
        self.episode = Some(Episode { description: description.clone(), ..episode });
        Ok(description)
    }

    /// Plays an action.
    ///
    /// # Errors
    /// [`Failure`]. The state of the world is then unknown: load a task again.
    pub fn step(&mut self, action: &str) -> Result<View, Failure> {
        let action = &action[..action.floor_char_boundary(LONGEST_ACTION)];
        let view = self.call(Request::new(Op::Step).int(self.id).text(action), View::read)?;
        if let Some(episode) = &mut self.episode {
            episode.past.push(Event::Action(action.to_owned()));
            episode.last = Some(view.clone());
        }
        Ok(view)
    }

    /// Lists the admissible actions, in the simulator's order. Does not change the world; repeated
    /// calls return the same list.
    ///
    /// # Errors
    /// [`Failure`] of the simulator.
    pub fn valid(&mut self) -> Result<Texts, Failure> {
        self.call(Request::new(Op::Valid).int(self.id).byte(1), whole_list)
    }

    /// Lists the admissible actions as the package does. It draws one of several names of a thing from the
    /// random numbers that also move animals and pollinate flowers, so the call changes later steps.
    ///
    /// # Errors
    /// [`Failure`] of the simulator.
    pub fn valid_as_packaged(&mut self) -> Result<Texts, Failure> {
        let list = self.call(Request::new(Op::Valid).int(self.id).byte(0), whole_list)?;
        if let Some(episode) = &mut self.episode {
            episode.past.push(Event::List);
        }
        Ok(list)
    }

    /// Lists which goals are reached, as the simulator prints them.
    ///
    /// # Errors
    /// [`Failure`] of the simulator.
    pub fn goal_progress(&mut self) -> Result<String, Failure> {
        self.call(Request::new(Op::GoalProgress).int(self.id), |mut reply| {
            let text = reply.text()?;
            reply.end(text)
        })
    }

    /// Calls this world, after rebuilding it if its JVM is gone. If the JVM fails during the call, it is
    /// replaced and the call is repeated once.
    fn call<T>(&mut self, mut request: Request, read: impl Fn(Reply<'_>) -> Option<T>) -> Result<T, Failure> {
        let shared = self.shared.clone();
        let mut seat = shared.seat(self.place);
        let (mut first, mut replays) = (None::<String>, 0);
        loop {
            shared.start(self.place, &mut seat)?;
            if self.home != seat.generation {
                match self.replay(&shared, &mut seat)? {
                    Ok(()) => self.home = seat.generation,
                    Err(_) if replays == 0 => {
                        replays += 1;
                        continue;
                    }
                    Err(what) => {
                        return Err(Failure::Broken(format!(
                            "replaying the episode in a replacement JVM failed: {what}"
                        )));
                    }
                }
            }
            let timeout = shared.options.timeout;
            match (shared.call(self.place, &mut seat, &mut request, timeout, &read)?, &first) {
                (Ok(answer), _) => return Ok(answer),
                (Err(CallError::Threw(what)), _) => return Err(Failure::Simulator(what)),
                (Err(CallError::Broken(what)), None) => first = Some(what),
                (Err(CallError::Broken(what)), Some(first)) => return Err(both_failed(first, &what)),
            }
        }
    }

    /// Rebuilds the world in a new JVM from the task and the actions. The outer error is a failure that ends
    /// the episode, for example different observations; the inner one is a failure of the JVM.
    fn replay(&self, shared: &Shared, seat: &mut Seat) -> Result<Result<(), String>, Failure> {
        let Some(episode) = &self.episode else { return Ok(Ok(())) };
        let timeout = shared.options.timeout;
        let load = shared.call(self.place, seat, &mut episode.load(self.id), timeout, |mut reply| {
            let description = reply.text()?;
            reply.end(description)
        })?;
        let description = match load {
            Ok(description) => description,
            Err(CallError::Broken(what)) => return Ok(Err(what)),
            Err(CallError::Threw(what)) => return Err(differs(0, &what)),
        };
        if description != episode.description {
            return Err(differs(0, "the description of the task is different"));
        }
        let mut last = None;
        for (number, event) in episode.past.iter().enumerate() {
            let result = match event {
                Event::Action(action) => {
                    let mut step = Request::new(Op::Step).int(self.id).text(action);
                    shared.call(self.place, seat, &mut step, timeout, View::read)?.map(Some)
                }
                Event::List => {
                    let mut list = Request::new(Op::Valid).int(self.id).byte(0);
                    shared.call(self.place, seat, &mut list, timeout, whole_list)?.map(|_| None)
                }
            };
            match result {
                Ok(view) => last = view.or(last),
                Err(CallError::Broken(what)) => return Ok(Err(what)),
                Err(CallError::Threw(what)) => return Err(differs(number + 1, &what)),
            }
        }
        if last != episode.last {
            return Err(differs(episode.past.len(), "the last observation is different"));
        }
        Ok(Ok(()))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.shared.unregister(self.place, self.id);
    }
}

fn differs(step: usize, what: &str) -> Failure {
    Failure::Replay(format!("the episode replayed in a replacement JVM differs at step {step}: {what}"))
}
