//! A small hand-written game for unit tests.

use std::sync::Arc;

use crate::error::GameError;
use crate::game::Game;

/// A kitchen with a cabinet (mug inside), a shelf (knife on it), and at one place a sink, its basin and a microwave; an
/// apple lies both in the sink and in the basin, as in some official games.
pub(crate) fn kitchen(goal: &str) -> Result<Arc<Game>, GameError> {
    let problem = format!(
        "(define (problem kitchen) (:domain alfred)
        (:objects agent1 - agent
          loc_bar_0 loc_bar_1 loc_bar_2 loc_bar_3 - location
          cabinet_bar_1 shelf_bar_1 sink_bar_1 sink_bar_1_bar_sinkbasin microwave_bar_1 - receptacle
          mug_bar_1 knife_bar_1 apple_bar_1 ghost - object
          CabinetType ShelfType SinkType SinkBasinType MicrowaveType - rtype
          MugType KnifeType AppleType - otype)
        (:init (= (total-cost) 0) (atLocation agent1 loc_bar_0)
          (receptacleType cabinet_bar_1 CabinetType) (receptacleType shelf_bar_1 ShelfType)
          (receptacleType sink_bar_1 SinkType) (receptacleType sink_bar_1_bar_sinkbasin SinkBasinType)
          (receptacleType microwave_bar_1 MicrowaveType)
          (objectType mug_bar_1 MugType) (objectType knife_bar_1 KnifeType) (objectType apple_bar_1 AppleType)
          (canContain ShelfType MugType) (canContain CabinetType MugType) (canContain SinkType AppleType)
          (canContain SinkBasinType AppleType) (canContain SinkBasinType MugType)
          (pickupable mug_bar_1) (pickupable knife_bar_1) (pickupable apple_bar_1) (cleanable mug_bar_1)
          (heatable apple_bar_1) (sliceable apple_bar_1) (isReceptacleObject mug_bar_1)
          (openable cabinet_bar_1) (openable microwave_bar_1)
          (receptacleAtLocation cabinet_bar_1 loc_bar_1) (receptacleAtLocation shelf_bar_1 loc_bar_2)
          (receptacleAtLocation sink_bar_1 loc_bar_3) (receptacleAtLocation sink_bar_1_bar_sinkbasin loc_bar_3)
          (receptacleAtLocation microwave_bar_1 loc_bar_3)
          (inReceptacle mug_bar_1 cabinet_bar_1) (objectAtLocation mug_bar_1 loc_bar_1)
          (inReceptacle knife_bar_1 shelf_bar_1) (objectAtLocation knife_bar_1 loc_bar_2)
          (inReceptacle apple_bar_1 sink_bar_1) (inReceptacle apple_bar_1 sink_bar_1_bar_sinkbasin)
          (objectAtLocation apple_bar_1 loc_bar_3))
        (:goal {goal}))"
    );
    let file = serde_json::json!({
        "pddl_domain": "", "grammar": "", "pddl_problem": problem, "walkthrough": [], "solvable": true,
        "dialect": "alfworld-0.4", "task": "put a mug on shelf.", "family": "pick_and_place_simple",
    });
    Game::from_json(&file.to_string()).map(Arc::new)
}
