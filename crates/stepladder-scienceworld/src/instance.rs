//! One world, wherever it is simulated.

use std::sync::Arc;

use crate::failure::Failure;
use crate::pool::{Pool, Seat, Shared, twice};
use crate::wire::{Op, Reply, Request, Texts, whole_list};
use crate::worker::Trouble;

/// Longest action that is sent, in bytes; the beginning of a longer one is no known action either.
const LONGEST_ACTION: usize = 4096;

/// What there is to see after an action.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The simulator's answer to the action.
    pub observation: String,
    /// What looking around shows; costs no move.
    pub look: String,
    /// What the agent carries; costs no move.
    pub inventory: String,
    /// 0 to 1; -1 after a mistake that ends the task.
    pub score: f64,
    /// Whether the simulator has ended the episode.
    pub completed: bool,
    /// Moves so far.
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

/// What the world went through.
#[derive(Debug)]
enum Event {
    Action(String),
    /// The list of actions was drawn from the world's own random numbers.
    List,
}

/// What is played, and everything that was done since: enough to make the world again.
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

/// One simulated world. If the JVM that it lives in is lost, the next call makes it again in another: the simulator is
/// deterministic, so the episode goes on as if nothing had happened.
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
    /// A world in the JVM that has fewest. Nothing is started yet.
    pub fn new(pool: &Pool) -> Self {
        let (place, id) = pool.0.admit();
        Self { shared: pool.0.clone(), place, id, home: 0, episode: None }
    }

    /// Begins an episode and returns the task's description.
    ///
    /// # Errors
    /// [`Failure`].
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
    /// [`Failure`]. The world is in no known state afterwards: load again.
    pub fn step(&mut self, action: &str) -> Result<View, Failure> {
        let action = &action[..action.floor_char_boundary(LONGEST_ACTION)];
        let view = self.call(Request::new(Op::Step).int(self.id).text(action), View::read)?;
        if let Some(episode) = &mut self.episode {
            episode.past.push(Event::Action(action.to_owned()));
            episode.last = Some(view.clone());
        }
        Ok(view)
    }

    /// The actions that the simulator lists as possible now, in its order. Asking changes nothing, and asking again gives
    /// the same.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn valid(&mut self) -> Result<Texts, Failure> {
        self.call(Request::new(Op::Valid).int(self.id).byte(1), whole_list)
    }

    /// The same list as the package makes it: of several names for a thing one is drawn, from the random numbers by which
    /// animals walk and flowers are pollinated, so asking changes what happens later.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn valid_as_packaged(&mut self) -> Result<Texts, Failure> {
        let list = self.call(Request::new(Op::Valid).int(self.id).byte(0), whole_list)?;
        if let Some(episode) = &mut self.episode {
            episode.past.push(Event::List);
        }
        Ok(list)
    }

    /// Which goals are reached, in the simulator's words.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn progress(&mut self) -> Result<String, Failure> {
        self.call(Request::new(Op::Progress).int(self.id), |mut reply| {
            let text = reply.text()?;
            reply.end(text)
        })
    }

    /// A call to this world, made again first where its JVM is gone. A JVM that breaks under the call is replaced and
    /// the call repeated once.
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
                        return Err(Failure::Broken(format!("while the episode was played again: {what}")));
                    }
                }
            }
            let patience = shared.options.patience;
            match (shared.call(self.place, &mut seat, &mut request, patience, &read)?, &first) {
                (Ok(answer), _) => return Ok(answer),
                (Err(Trouble::Threw(what)), _) => return Err(Failure::Simulator(what)),
                (Err(Trouble::Broken(what)), None) => first = Some(what),
                (Err(Trouble::Broken(what)), Some(first)) => return Err(twice(first, &what)),
            }
        }
    }

    /// Makes the world again in a new JVM: the same task, the same actions, and the same answers or an error.
    fn replay(&self, shared: &Shared, seat: &mut Seat) -> Result<Result<(), String>, Failure> {
        let Some(episode) = &self.episode else { return Ok(Ok(())) };
        let patience = shared.options.patience;
        let load = shared.call(self.place, seat, &mut episode.load(self.id), patience, |mut reply| {
            let description = reply.text()?;
            reply.end(description)
        })?;
        let description = match load {
            Ok(description) => description,
            Err(Trouble::Broken(what)) => return Ok(Err(what)),
            Err(Trouble::Threw(what)) => return Err(differs(0, &what)),
        };
        if description != episode.description {
            return Err(differs(0, "another description of the task"));
        }
        let mut last = None;
        for (number, event) in episode.past.iter().enumerate() {
            let result = match event {
                Event::Action(action) => {
                    let mut step = Request::new(Op::Step).int(self.id).text(action);
                    shared.call(self.place, seat, &mut step, patience, View::read)?.map(Some)
                }
                Event::List => {
                    let mut list = Request::new(Op::Valid).int(self.id).byte(0);
                    shared.call(self.place, seat, &mut list, patience, whole_list)?.map(|_| None)
                }
            };
            match result {
                Ok(view) => last = view.or(last),
                Err(Trouble::Broken(what)) => return Ok(Err(what)),
                Err(Trouble::Threw(what)) => return Err(differs(number + 1, &what)),
            }
        }
        if last != episode.last {
            return Err(differs(episode.past.len(), "another answer than before"));
        }
        Ok(Ok(()))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.shared.dismiss(self.place, self.id);
    }
}

fn differs(step: usize, what: &str) -> Failure {
    Failure::Replay(format!(
        "a simulator was lost, and in a new one the same actions gave another episode (step {step}: {what})"
    ))
}
