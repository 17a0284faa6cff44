//! `env play --expert`: the expert in all roles of a STEP-HRL agent.

use anyhow::{Result, bail};
use stepladder_agent::himac::Blueprint;
use stepladder_agent::{AgentFactory, AgentKind, AgentSpec, Want};
use stepladder_core::trace::Turn;
use stepladder_core::{Role, Start};
use stepladder_env::Env;

use crate::commands::say;
use stepladder_train::envs::Registered;

/// Plays a started episode to its end, and prints every subtask, action and observation.
pub(super) fn play(registered: &Registered, env: &mut dyn Env, start: &Start, limit: u32) -> Result<()> {
    let expert = registered.expert()?;
    let mut agent = AgentSpec::from(AgentKind::StepHrl).make(limit, &Blueprint::Own);
    let mut want = agent.start(start);
    let mut steps = 0;
    let mut last = None;
    loop {
        want = match want {
            Want::Reply(query) => {
                let role = query.role();
                let Some(reply) = expert.reply(&query) else {
                    bail!("the expert of {} does not play the role {}", registered.spec().id, role.name());
                };
                if role == Role::Planner {
                    say(format_args!("subtask: {reply}"));
                }
                agent.on_reply(Turn::said(role, reply))
            }
            Want::Act(action) => {
                say(format_args!("> {action}"));
                let step = env.step(&action)?;
                say(format_args!("{}\n", step.observation));
                steps += 1;
                last = step.end.map(|end| (end, step.won));
                agent.on_step(&step)
            }
            Want::Finished => break,
        };
    }
    if let Some((end, won)) = last {
        say(format_args!("{end:?} after {steps} steps, won: {won}"));
    }
    Ok(())
}
