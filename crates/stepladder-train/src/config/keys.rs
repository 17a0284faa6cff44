//! Every key of the configuration: its type, its meaning, and the nearest name to a misspelt one.

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whole number from 0 to this.
    Count(u64),
    /// Whole number of either sign.
    Integer,
    /// Number.
    Real,
    /// `true` or `false`.
    Flag,
    /// String.
    Text,
    /// List of strings.
    Texts,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// When training ends: one measure, or tokens with a cap on minutes.
    Budget,
}

/// One key of a full configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Dotted path; `*` stands for a name that the user chooses.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What it decides.
    pub meaning: &'static str,
    /// It may be left out.
    pub optional: bool,
}

// TOML has no integers above this.
const LARGE: u64 = i64::MAX as u64;
const WORD: u64 = u32::MAX as u64;

const fn key(path: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key { path, kind, meaning, optional: false }
}

const fn optional(path: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key { path, kind, meaning, optional: true }
}

/// Every key, in the order in which tables and keys are shown.
pub(crate) const KEYS: &[Key] = &[
    key("seed", Kind::Count(LARGE), "Run seed: every random number of the run derives from it."),
    key(
        "threads",
        Kind::Count(LARGE),
        "Worker threads; 0 takes all cores. A run continues bit for bit only with the number that it was started with.",
    ),
    key("env.id", Kind::Text, "Environment: `household`, `alfworld`, `sokoban` or `scienceworld`."),
    key(
        "env.max_steps",
        Kind::Count(WORD),
        "Environment steps per episode, in demonstrations and evaluation; at least 1.",
    ),
    optional(
        "env.penalise_noop",
        Kind::Flag,
        "`alfworld`, `household`: an action that is answered by \"Nothing happens.\" counts as one that was not understood: the executor's \
         reward is -1 (`offline_ac`), and `algo.online.penalty` is taken off. Left out: false.",
    ),
    key("data.split", Kind::Text, "Split whose tasks the expert plays."),
    key(
        "data.games",
        Kind::Count(LARGE),
        "Number of tasks: a sample drawn with the run seed, stratified by task family; 0 takes all.",
    ),
    key(
        "data.noisy_passes",
        Kind::Count(LARGE),
        "Further passes over the tasks with noise on the played actions; labels stay the expert's; at most 1000.",
    ),
    key(
        "data.noise",
        Kind::Real,
        "Chance per step that another action is played in a noisy pass; from 0 to below 1.",
    ),
    optional(
        "data.practice",
        Kind::Text,
        "Another split whose tasks the expert plays too, with `data.noise`.",
    ),
    optional(
        "data.practice_games",
        Kind::Count(LARGE),
        "Number of tasks of `data.practice`, drawn like `data.games`; 0 (or left out) takes all.",
    ),
    optional(
        "data.renamed",
        Kind::Count(LARGE),
        "Copies of the demonstrations of `data.split` with other names (`scienceworld`), as a multiple of them; dealt so that rare kinds of tasks catch up; at most 1000.",
    ),
    key("model.width", Kind::Integer, "Width of the residual stream; a multiple of `heads`."),
    key("model.layers", Kind::Integer, "Number of blocks."),
    key("model.heads", Kind::Integer, "Query heads; a multiple of `kv_heads`."),
    key("model.kv_heads", Kind::Integer, "Key and value heads (grouped-query attention)."),
    key("model.ffn", Kind::Integer, "Inner width of the SwiGLU."),
    key("model.max_positions", Kind::Integer, "Window: the longest sequence, prompt and reply together."),
    key("model.rope_theta", Kind::Real, "Base of the rotary frequencies; above 1."),
    key("model.norm_eps", Kind::Real, "ε inside the root of RMSNorm; above 0."),
    key("model.tied", Kind::Flag, "The output matrix is the embedding matrix."),
    key(
        "algo.bc.reduction",
        Kind::Choice(&["row_mean", "token_mean"]),
        "Averaging inside the loss: over a reply's tokens and then over rows, or over all reply tokens.",
    ),
    key(
        "algo.bc.mixture",
        Kind::Choice(&["pooled", "levels"]),
        "How the levels share the steps: one pool in natural proportion, or the same number of rows of each.",
    ),
    key(
        "algo.bc.schedule",
        Kind::Choice(&["constant", "cosine", "linear"]),
        "Course of the learning rate after warm-up.",
    ),
    key("algo.bc.warmup", Kind::Real, "Share of the run that warms the learning rate up; from 0 to below 1."),
    key("algo.bc.floor", Kind::Real, "Final learning rate as a share of the peak; from 0 to 1."),
    key("algo.bc.beta1", Kind::Real, "AdamW β₁; from 0 to below 1."),
    key("algo.bc.beta2", Kind::Real, "AdamW β₂; from 0 to below 1."),
    key("algo.bc.eps", Kind::Real, "AdamW ε; above 0."),
    key("algo.bc.weight_decay", Kind::Real, "Decoupled weight decay; at least 0."),
    key("algo.bc.clip", Kind::Real, "Largest global gradient norm; above 0."),
    key(
        "algo.bc.batch_rows",
        Kind::Count(LARGE),
        "Rows of each level per step (mixture `levels`); at least 1.",
    ),
    key(
        "algo.bc.planner_every",
        Kind::Count(LARGE),
        "The planner's loss counts in every n-th step (mixture `levels`); at least 1.",
    ),
    key(
        "algo.bc.duplicates",
        Kind::Real,
        "A row merged from n identical samples weighs n to this power; 1 keeps the unmerged loss, 0 counts distinct samples once.",
    ),
    key(
        "algo.dagger.rounds",
        Kind::Count(LARGE),
        "Times that the learner plays and is trained again; from 1 to 1000.",
    ),
    optional("algo.dagger.tasks", Kind::Text, TASKS),
    key(
        "algo.dagger.games",
        Kind::Count(LARGE),
        "Tasks that the learner plays in a round, others in each; 0 takes all.",
    ),
    key(
        "algo.dagger.temperature",
        Kind::Real,
        "Sampling temperature of the learner while it collects; 0 plays greedily.",
    ),
    optional("algo.offline_ac.tasks", Kind::Text, TASKS),
    key(
        "algo.offline_ac.games",
        Kind::Count(LARGE),
        "Tasks that the starting policy plays once before training, kept whether solved or not; 0 takes all.",
    ),
    key(
        "algo.offline_ac.collect_temperature",
        Kind::Real,
        "Sampling temperature of these episodes; 0 plays greedily, as the released code does.",
    ),
    optional(
        "algo.offline_ac.demonstrations",
        Kind::Count(LARGE),
        "Demonstrations that are learnt from beside these episodes, drawn at random; 0 (or left out) takes all.",
    ),
    key(
        "algo.offline_ac.profile",
        Kind::Choice(&["fixed", "code"]),
        "Labels of episodes that end inside a subtask: repaired, or as the released code has them. \"code\" also sets every key below \
         to its released value (no `value_bound`), in place of a preset's; keys that a file or `--set` writes win.",
    ),
    key(
        "algo.offline_ac.actor_mode",
        Kind::Choice(&["awr", "linear", "linear_outer", "q_linear"]),
        "Weights of the actor's log-probabilities.",
    ),
    key(
        "algo.offline_ac.temperature",
        Kind::Real,
        "The advantage that multiplies a weight by e (`awr`); above 0.",
    ),
    key("algo.offline_ac.weight_clip", Kind::Real, "Largest weight before normalisation (`awr`); above 0."),
    key(
        "algo.offline_ac.v_target_at",
        Kind::Choice(&["action_end", "state_end"]),
        "Which Q the value is fitted to: of the reply that was given, or at the end of the prompt.",
    ),
    key("algo.offline_ac.gamma", Kind::Real, "Discount per decision; from 0 to 1."),
    key(
        "algo.offline_ac.smdp_gamma",
        Kind::Flag,
        "Discount a planner's decision by the number of its steps.",
    ),
    key(
        "algo.offline_ac.omega",
        Kind::Real,
        "Weight of over-estimation by V: 0.95 is pessimistic, 0.05 optimistic; strictly between 0 and 1.",
    ),
    optional(
        "algo.offline_ac.value_bound",
        Kind::Real,
        "What returns cannot exceed in size: targets of Q are kept within plus and minus this; above 0. Left out: not kept.",
    ),
    key(
        "algo.offline_ac.tau",
        Kind::Real,
        "Rate of the critics' slow copies per micro-step; above 0, at most 1.",
    ),
    key(
        "algo.offline_ac.target_update",
        Kind::Choice(&["after_step", "before_step"]),
        "When the slow copies move: once after the step, or after every micro-step and before it.",
    ),
    key(
        "algo.offline_ac.micro_steps",
        Kind::Count(WORD),
        "Micro-steps of an optimiser step; from 1 to 10000.",
    ),
    key("algo.offline_ac.critic_learning_rate", Kind::Real, "Peak learning rate of the critics; above 0."),
    key(
        "algo.offline_ac.critic_warmup",
        Kind::Count(LARGE),
        "First optimiser steps, in which critics learn alone.",
    ),
    key(
        "algo.offline_ac.schedule",
        Kind::Choice(&["constant", "cosine", "linear"]),
        "Course of both learning rates.",
    ),
    key("algo.offline_ac.warmup", Kind::Real, "Share of the run that warms them up; from 0 to below 1."),
    key("algo.offline_ac.floor", Kind::Real, "Final learning rates as a share of the peaks; from 0 to 1."),
    key(
        "algo.offline_ac.mixture",
        Kind::Choice(&["pooled", "levels"]),
        "How the levels share the steps: one pool in natural proportion, or the same number of rows of each.",
    ),
    key(
        "algo.offline_ac.batch_rows",
        Kind::Count(LARGE),
        "Rows of each level per step (mixture `levels`); at least 1.",
    ),
    optional("algo.online.tasks", Kind::Text, TASKS),
    key(
        "algo.online.tasks_per_iteration",
        Kind::Count(LARGE),
        "Tasks that are played in an iteration; from 1 to 10000.",
    ),
    key("algo.online.group", Kind::Count(LARGE), "Episodes of each task; from 2 to 1000."),
    key(
        "algo.online.temperature",
        Kind::Real,
        "Sampling temperature while playing, and of the probabilities that are learnt; above 0.",
    ),
    key(
        "algo.online.reward",
        Kind::Choice(&["success", "return"]),
        "What an episode is worth: 10 if solved, or what the environment pays.",
    ),
    key(
        "algo.online.penalty",
        Kind::Real,
        "Taken off for every reply that cannot be read or is not understood; at least 0.",
    ),
    key(
        "algo.online.norm",
        Kind::Choice(&["mean_std", "mean"]),
        "Advantages inside a group: centred and divided by the standard deviation, or centred.",
    ),
    key(
        "algo.online.cross_step_stats",
        Kind::Flag,
        "Mean and deviation of a group over steps, so that long episodes weigh more, as a released code has it.",
    ),
    key(
        "algo.online.clip_low",
        Kind::Real,
        "How far a ratio of probabilities may fall below 1; from 0 to below 1.",
    ),
    key("algo.online.clip_high", Kind::Real, "How far it may rise above 1; above 0."),
    key("algo.online.kl", Kind::Real, "Weight of the divergence from the starting policy; at least 0."),
    key(
        "algo.online.aggregate",
        Kind::Choice(&["token_mean", "seq_mean_token_mean", "seq_mean_token_sum"]),
        "The mean behind the loss of a mini-batch.",
    ),
    key("algo.online.mini_batch", Kind::Count(LARGE), "Replies of an optimiser step; at least 1."),
    key("algo.online.gamma", Kind::Real, "`gigpo`: discount of the steps' returns; from 0 to 1."),
    key("algo.online.omega", Kind::Real, "`gigpo`: weight of the comparison of steps; at least 0."),
    key("algo.online.gae_gamma", Kind::Real, "`ppo`: discount; from 0 to 1."),
    key("algo.online.gae_lambda", Kind::Real, "`ppo`: λ of the advantages; from 0 to 1."),
    key("algo.online.value_clip", Kind::Real, "`ppo`: how far a value may move from where it was; above 0."),
    key("algo.online.critic_learning_rate", Kind::Real, "`ppo`: learning rate of the critic; above 0."),
    key("agents.*.kind", Kind::Choice(&["step_hrl", "flat", "himac"]), "Which agent it is."),
    key(
        "agents.*.algo",
        Kind::Choice(&["bc", "dagger", "offline_ac", "himac", "grpo", "rloo", "gigpo", "ppo"]),
        "What trains it. The numbers stand in the table of that name in `[algo]`, those of the last five in `[algo.online]`.",
    ),
    optional("agents.*.from", Kind::Text, "Name of the agent whose trained weights it starts from."),
    key("agents.*.budget", Kind::Budget, BUDGET),
    key("agents.*.batch_tokens", Kind::Count(LARGE), BATCH_TOKENS),
    key("agents.*.learning_rate", Kind::Real, LEARNING_RATE),
    optional(
        "agents.*.history",
        Kind::Count(LARGE),
        "`flat`: latest (action, answer) pairs in its prompt; all if absent. `himac`: of the active sub-goal; 5 if absent.",
    ),
    optional(
        "agents.*.planner",
        Kind::Flag,
        "`step_hrl`: false leaves the planner out; the task is the only subtask.",
    ),
    optional(
        "agents.*.progress",
        Kind::Choice(&["full", "unchecked", "history", "none"]),
        "`step_hrl`: the progress text, without its list of places looked into, the actions and answers of the subtask instead (as GLIDER's histories), or nothing.",
    ),
    optional(
        "agents.*.actor_mode",
        Kind::Choice(&["awr", "linear", "linear_outer", "q_linear"]),
        "`offline_ac`: this actor loss instead of that of `[algo.offline_ac]`.",
    ),
    optional("agents.*.omega", Kind::Real, "`offline_ac`: this ω instead of that of `[algo.offline_ac]`."),
    optional(
        "agents.*.weights",
        Kind::Choice(&["shared", "per_role"]),
        "`step_hrl`: one model for all roles, or one for each.",
    ),
    optional(
        "agents.*.sub_done",
        Kind::Flag,
        "`himac`: false gives every sub-goal a fixed share of the steps, whatever is declared done.",
    ),
    optional(
        "agents.*.also_flat",
        Kind::Count(LARGE),
        "`himac` with `bc`: it learns a flat agent's replies too, shown so many pairs; flat methods can then start from it.",
    ),
    optional(
        "agents.*.coevolution",
        Kind::Flag,
        "`himac`: false samples blueprints and actions together, and has both learn from the same return.",
    ),
    optional(
        "agents.*.selection",
        Kind::Choice(&["best", "random"]),
        "`himac`: which blueprint of a group is executed in the second phase.",
    ),
    key("eval.split", Kind::Text, "Development split for probes and the final table."),
    key(
        "eval.episodes",
        Kind::Count(LARGE),
        "Tasks of the final table: a sample stratified by task family, the same for every run seed; 0 takes the whole split.",
    ),
    key(
        "eval.slots",
        Kind::Count(LARGE),
        "Episodes running at once; at least 1. It decides memory and speed: what is played does not depend on it (on a GPU up to near-ties).",
    ),
    key(
        "eval.probes",
        Kind::Count(WORD),
        "Small evaluations during training, evenly spaced; 0 for none, at most 10000.",
    ),
    key(
        "eval.probe_episodes",
        Kind::Count(LARGE),
        "Tasks of each, a sample of those of the final table; at least 1 if there are probes.",
    ),
    key(
        "eval.transfer",
        Kind::Texts,
        "Further `ENV/SPLIT` that the final checkpoints play without training on them, where their data are present.",
    ),
    key("log.every_seconds", Kind::Real, "Seconds between progress lines and metrics; above 0."),
    key("log.checkpoint_seconds", Kind::Real, "Training seconds between checkpoints; above 0."),
    key("log.keep", Kind::Count(LARGE), "Checkpoints to keep per agent; at least 1."),
];

const BUDGET: &str = "When training ends: minutes of training, passes over the rows, optimiser steps, trained tokens (without \
     padding), or environment steps; above 0. `minutes` beside `tokens` is a cap that ends training on a slow machine; the table then \
     says so. The learning rate follows the tokens alone, so a run that the cap does not end depends on no clock. With `dagger`, of each \
     round. Methods that learn by playing count iterations as `epochs`; only they know `env_steps`.";
const BATCH_TOKENS: &str = "Padded tokens of a step (mixture `pooled`, and flat episodes); 16 to 4194304.";
const TASKS: &str = "`ENV/SPLIT` whose tasks the learner plays; the demonstrations' split if absent.";
const LEARNING_RATE: &str = "Peak learning rate; above 0.";

/// Tables that may be left out; `false` in their place drops what an earlier layer said.
const OPTIONAL_TABLES: &[&str] = &["agents.*", "algo.*"];

/// The table of agents, whose names the user chooses.
pub(crate) const AGENTS: &str = "agents";

/// Whether a table may be left out.
pub(crate) fn is_optional(table: &str) -> bool {
    OPTIONAL_TABLES.iter().any(|pattern| fits(pattern, table))
}

/// Whether a path is one that a pattern means: `*` fits any name.
pub(crate) fn fits(pattern: &str, path: &str) -> bool {
    is_inside(path, pattern) && pattern.split('.').count() == path.split('.').count()
}

/// Whether the names of `table` are those that `path` begins with; `*` in either fits any name.
fn is_inside(path: &str, table: &str) -> bool {
    let mut names = path.split('.');
    table
        .split('.')
        .all(|outer| names.next().is_some_and(|name| outer == name || outer == "*" || name == "*"))
}

impl Kind {
    /// What the key takes, for a sentence "expected …".
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Count(LARGE..) => "a whole number from 0 to 2^63 - 1".to_owned(),
            Self::Count(most) => format!("a whole number from 0 to {most}"),
            Self::Integer => "a whole number".to_owned(),
            Self::Real => "a number".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Text => "a string".to_owned(),
            Self::Texts => "a list of strings".to_owned(),
            Self::Choice(names) => {
                let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
                match quoted.split_last() {
                    Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                    _ => quoted.concat(),
                }
            }
            Self::Budget => {
                "one of { minutes = 4.0 }, { epochs = 5.0 }, { steps = 1000 }, { env_steps = 100000 }, { tokens = 5000000 } and \
                 { tokens = 5000000, minutes = 4.0 }, with your numbers"
                    .to_owned()
            }
        }
    }
}

/// Keys with another name in files and run directories of earlier versions, and their names now.
const RENAMED: [(&str, &str); 1] = [("eval.zero_shot", "eval.transfer")];

/// The path of a key as it is called now.
pub(crate) fn current(path: String) -> String {
    let renamed = RENAMED.iter().find(|(earlier, _)| *earlier == path);
    renamed.map_or(path, |(_, now)| (*now).to_owned())
}

/// The key with this path, or the one that this path leads into (`agents.flat.budget.minutes`).
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| is_inside(path, key.path))
}

/// The part of a path that names its key: `agents.flat.budget` of `agents.flat.budget.minutes`.
pub(crate) fn trim(path: &str, key: &Key) -> String {
    path.split('.').take(key.path.split('.').count()).collect::<Vec<_>>().join(".")
}

/// Every key of a configuration with these agents, by its path, in the order in which they are shown.
pub(crate) fn concrete<'a>(agents: impl Iterator<Item = &'a str> + Clone) -> Vec<(String, &'static Key)> {
    let is_of_agent = |key: &&Key| key.path.starts_with("agents.*.");
    let first = KEYS.iter().position(|key| is_of_agent(&key)).unwrap_or(KEYS.len());
    let (before, rest) = KEYS.split_at(first);
    let plain = |key: &'static Key| (key.path.to_owned(), key);
    let mut all: Vec<(String, &'static Key)> = before.iter().map(plain).collect();
    for name in agents {
        all.extend(rest.iter().filter(is_of_agent).map(|key| (key.path.replace('*', name), key)));
    }
    all.extend(rest.iter().filter(|key| !is_of_agent(key)).map(plain));
    all
}

/// Whether a path names a table of the configuration; the empty path is the root.
pub(crate) fn is_table(path: &str) -> bool {
    KEYS.iter().any(|key| is_below(key.path, path))
}

/// Whether a path lies inside a table.
pub(crate) fn is_below(path: &str, table: &str) -> bool {
    table.is_empty() || (is_inside(path, table) && path.split('.').count() > table.split('.').count())
}

/// Names of the keys and tables directly inside a table, in order.
pub(crate) fn children(table: &str) -> Vec<&'static str> {
    let skip = if table.is_empty() { 0 } else { table.split('.').count() };
    let mut names: Vec<&'static str> = Vec::new();
    for key in KEYS.iter().filter(|key| is_below(key.path, table)) {
        let name = key.path.split('.').nth(skip).unwrap_or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The table part and the last name of a path.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// Path of a name inside a table.
pub(crate) fn join(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") }
}

/// The known key or table that a misspelt path most likely means: among its neighbours first, then anywhere.
pub(crate) fn nearest_path(table: &str, name: &str) -> Option<String> {
    if let Some(neighbour) = nearest(name, children(table)) {
        return Some(join(table, neighbour));
    }
    let mut paths: Vec<&str> = Vec::new();
    for key in KEYS {
        let mut path = key.path;
        while !path.is_empty() {
            if !paths.contains(&path) && !path.ends_with('*') {
                paths.push(path);
            }
            path = split(path).0;
        }
    }
    let last = nearest(name, paths.iter().map(|path| split(path).1))?;
    paths.into_iter().find(|path| split(path).1 == last).map(|path| path.replace('*', "NAME"))
}

/// The most similar name, if one is similar enough to be a slip of the keyboard; the first of equals.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let similarity = strsim::normalized_damerau_levenshtein(name, candidate);
        if similarity >= 0.6 && best.is_none_or(|(most, _)| similarity > most) {
            best = Some((similarity, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_among_neighbours_first() {
        assert_eq!(nearest_path("algo.bc", "warmpu").as_deref(), Some("algo.bc.warmup"));
        assert_eq!(nearest_path("algo.bc", "learning_rat").as_deref(), Some("agents.NAME.learning_rate"));
        // `data.split` comes earlier in the list, but `eval.split` is the neighbour.
        assert_eq!(nearest_path("eval", "splits").as_deref(), Some("eval.split"));
        assert_eq!(nearest_path("", "modle").as_deref(), Some("model"));
        assert_eq!(nearest_path("", "max_step").as_deref(), Some("env.max_steps"));
        assert_eq!(nearest_path("agents.mine", "bugdet").as_deref(), Some("agents.mine.budget"));
        assert_eq!(nearest_path("model", "zzzz"), None);
    }

    #[test]
    fn tables_and_their_names() {
        assert_eq!(
            children(""),
            ["seed", "threads", "env", "data", "model", "algo", "agents", "eval", "log"]
        );
        assert_eq!(children("agents.any")[..3], ["kind", "algo", "from"]);
        assert!(is_table("") && is_table("algo") && is_table("algo.bc") && is_table("agents.any"));
        assert!(!is_table("algo.b") && !is_table("seed") && !is_table("agents.flat.budget"));
        let key = find("agents.flat.budget.minutes").unwrap();
        assert_eq!(key.path, "agents.*.budget");
        assert_eq!(trim("agents.flat.budget.minutes", key), "agents.flat.budget");
        assert!(find("agents.flat.budgets").is_none());
    }
}
