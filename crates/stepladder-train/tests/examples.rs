//! Runs the examples and checks their results.

#[path = "../../../examples/own_agent.rs"]
mod own_agent;
#[path = "../../../examples/own_environment.rs"]
mod own_environment;
#[path = "../../../examples/own_policy.rs"]
mod own_policy;

#[test]
fn an_agent_that_votes_solves_more_than_one_that_asks_once() {
    own_agent::main().unwrap();
}

#[test]
fn an_environment_from_outside_is_demonstrated_learnt_and_solved() {
    own_environment::main().unwrap();
}

#[test]
fn a_rule_is_evaluated_beside_the_expert() {
    own_policy::main().unwrap();
}
