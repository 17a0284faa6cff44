use proptest::prelude::*;

use super::*;

fn check(text: &str, compact: &str) {
    assert_eq!(ScienceWorldCodec.encode(text), compact);
    assert_eq!(ScienceWorldCodec.decode(compact), text);
}

fn comes_back(text: &str) {
    let compact = ScienceWorldCodec.encode(text);
    assert_eq!(ScienceWorldCodec.decode(&compact), text, "{compact}");
    assert!(text.is_empty() || compact.split(' ').all(|word| !word.is_empty()), "{compact:?}");
    assert!(!compact.contains(|c: char| c.is_whitespace() && c != ' '), "{compact:?}");
    assert!(compact.split(' ').all(|word| word != ";" && !(word.starts_with('<') && word.ends_with('>'))));
}

fn room(things: &str, doors: &str, held: &str) -> String {
    let lines = |text: &str| {
        text.split('|').filter(|line| !line.is_empty()).map(|line| format!("\t{line}\n")).collect()
    };
    let [things, doors, held]: [String; 3] = [things, doors, held].map(lines);
    format!("{things}You also see:\n{doors}\nIn your inventory, you see:\n{held}")
}

const KITCHEN: &str = "the agent|a substance called air|a chair. On the chair is: nothing.|a counter. On the counter is: \
    a bowl (containing a red apple, a banana, an orange, a potato), a drawer.|a cupboard. The cupboard door is open. In \
    the cupboard is: a ceramic cup (containing nothing), a drawer, a tin cup (containing nothing).|a freezer. The \
    freezer door is closed. |a fridge. The fridge door is closed. |a glass jar (containing a substance called sodium \
    chloride)|a lighter|a oven, which is turned off. The oven door is closed. |a painting|a sink, which is turned on. \
    In the sink is: nothing.|a substance called soap|a stopwatch, which is deactivated. |a stove, which is turned on. \
    On the stove is: a metal pot (containing a substance called liquid lead).|a table. On the table is: a glass cup \
    (containing nothing).";

#[test]
fn a_kitchen_says_what_is_unusual() {
    let doors = "A door to the bathroom (that is closed)|A door to the hallway (that is open)";
    let held = "an orange|a thermometer, currently reading a temperature of -4 degrees celsius";
    check(
        &format!("This room is called the kitchen. In it, you see: \n{}", room(KITCHEN, doors, held)),
        "room: kitchen chair counter ( bowl ( red_apple banana orange potato ) drawer ) cupboard door:open ( ceramic_cup \
         drawer tin_cup ) freezer fridge glass_jar > sodium_chloride lighter oven painting sink is:turned_on soap \
         stopwatch stove is:turned_on > metal_pot > liquid_lead table > glass_cup bathroom- hallway+ inv: thermometer t:-4",
    );
}

#[test]
fn pots_hold_plants_that_bear() {
    let things = "the agent|a substance called air|a adult bee|a adult bee|a bee hive. The bee hive door is open. In the \
        bee hive is: a adult bee, a adult bee, a adult bee.|a flower pot 1 (containing a apple tree in the reproducing \
        stage. On the apple tree you see: a red apple, a flower. , soil, a substance called water)|a flower pot 2 \
        (containing nothing)|a self watering flower pot 3 (containing a pea plant in the adult stage with a tall height, \
        soil)|a sink, which is turned off. In the sink is: a jug (containing a substance called water).";
    let held = "a seed jar (containing a apple seed, a apple seed)|a shovel";
    check(
        &format!(
            "This room is called the greenhouse. In it, you see: \n{}",
            room(things, "A door to the outside (that is closed)", held)
        ),
        "room: greenhouse adult_bee *2 bee_hive door:open > adult_bee *3 flower_pot_1 ( apple_tree stage:reproducing ( \
         red_apple flower ) soil water ) flower_pot_2 self_watering_flower_pot_3 ( pea_plant stage:adult height:tall \
         soil ) sink > jug > water outside- inv! seed_jar > apple_seed *2 shovel",
    );
}

#[test]
fn parts_of_a_circuit_say_what_they_are_connected_to() {
    let things =
        "the agent|a substance called air|a solar panel, which is on|a strange engine (humming)|the ground";
    let held = "a battery. its anode is connected to: a terminal 1 on black wire. its cathode is connected to: nothing. \
        |a black wireits terminal 1 is connected to: nothing. its terminal 2 is connected to: nothing. |an orange\
        |a red light bulb, which is off. its anode is connected to: nothing. its cathode is connected to: nothing. ";
    check(
        &format!(
            "This outside location is called the outside. Here you see: \n{}",
            room(things, "A door to the art studio (that is open)", held)
        ),
        "room: outside solar_panel is:on line: a strange engine (humming ) end: ground art_studio+ inv: battery joined: \
         terminal_1 black_wire nothing black_wire loose red_light_bulb loose",
    );
}

#[test]
fn a_look_is_a_room_without_an_inventory() {
    check(
        "This room is called the hallway. In it, you see: \n\tthe agent\n\ta substance called air\n\ta picture\nYou also \
         see:\n\tA door to the living room (that is open)",
        "look: hallway picture living_room+",
    );
}

#[test]
fn answers_are_forms() {
    for (text, compact) in [
        ("You move the red apple to the flower pot 3.", "fb:moved red_apple flower_pot_3"),
        (
            "(disconnecting aluminum foil)You move the aluminum foil to the blue box.",
            "fb:loosened aluminum_foil blue_box",
        ),
        ("You move to the art studio.", "fb:went art_studio"),
        ("The door is now open.", "fb:open door"),
        ("The sink is already deactivated.", "fb:off_already sink"),
        (
            "anode on battery is now connected to terminal 1 on red wire",
            "fb:joined anode battery terminal_1 red_wire",
        ),
        ("the thermometer measures a temperature of -14 degrees celsius", "fb:measures t:-14"),
        ("You decide to wait for 10 iterations.", "fb:waited 10"),
        ("Blue and yellow paint mix to produce green paint.", "fb:mixed2 Blue yellow_paint green_paint"),
        (
            "The recipe reads:\nTo make salt water, you need to mix sodium chloride, water.",
            "fb:recipe2 salt_water sodium_chloride water",
        ),
        ("No known action matches that input.", "fb:unknown"),
        ("a substance called liquid gallium", "see: liquid_gallium"),
        (
            "a metal pot (containing chocolate, a substance called water)",
            "see: metal_pot ( chocolate water )",
        ),
        ("liquid chocolate (on fire)", "liquid_chocolate on_fire"),
        (
            "Ambiguous request: Please enter the number for the action you intended (or blank to cancel):\n0:\tfocus on \
             apple\n1:\tfocus on apple\n2:\tfocus on red apple\n",
            "which: focus_on apple *2 or: focus_on red_apple",
        ),
    ] {
        check(text, compact);
    }
}

#[test]
fn tasks_are_forms() {
    let states =
        "First, focus on the substance. Then, take actions that will cause it to change its state of matter.";
    check(&format!("Your task is to melt ice cream. {states}"), "task:melt ice_cream");
    check(
        &format!(
            "Your task is to boil water. For compounds without a boiling point, combusting the substance is also \
             acceptable. {states}"
        ),
        "task:boil water",
    );
    check(
        "Your task is to measure the temperature of unknown substance B, which is located around the living room. First, \
         focus on the thermometer. Next, focus on the unknown substance B. If the unknown substance B temperature is \
         above -50.0 degrees celsius, place it in the red box. If the unknown substance B temperature is below -50.0 \
         degrees celsius, place it in the green box. The boxes are located around the bathroom.",
        "task:temperature unknown_substance_B living_room t:-50.0 red_box green_box bathroom",
    );
    check(
        "Your task is to turn on the red light bulb by powering it using a renewable power source. First, focus on the red \
         light bulb. Then, create an electrical circuit that powers it on.",
        "task:power_by red_light_bulb renewable",
    );
    check(
        "Your task is to find a(n) non-living thing. First, focus on the thing. Then, move it to the red box in the kitchen.",
        "task:find non-living_thing red_box kitchen",
    );
}

#[test]
fn actions_subtasks_and_progress_are_phrases_and_names() {
    for (text, compact) in [
        ("open door to living room", "open_door_to living_room"),
        ("pick up metal pot; True", "pick_up metal_pot ;True"),
        (
            "use thermometer in inventory on unknown substance B; False",
            "use thermometer in_inventory on unknown_substance_B ;False",
        ),
        ("connect battery anode to black wire terminal 1", "connect battery anode to black_wire terminal_1"),
        ("move apple seed in seed jar to flower pot 3", "move apple_seed in seed_jar to flower_pot_3"),
        ("wait1", "wait1"),
        ("heat the lead in the metal pot until it melts", "heat_the lead in_the metal_pot until it melts"),
        (
            "focus on the hatchling stage of the giant tortoise outside",
            "focus_on_the hatchling stage of_the giant_tortoise outside",
        ),
        ("make green paint from blue paint, yellow paint", "make green_paint from blue_paint , yellow_paint"),
        ("in the hallway || [Checked: kitchen, living room]", "in_the hallway Checked:[ kitchen living_room"),
        (
            "watered || [Planted: flower pot 1] || [Connected: battery anode to red wire]",
            "watered Planted:[ flower_pot_1 ] || [Connected : battery anode to red_wire ]",
        ),
        ("it reads 15 degrees celsius.", "it reads t:15 ."),
        ("red light bulb is on", "red_light_bulb is_on"),
        ("None; False", "None ;False"),
    ] {
        check(text, compact);
    }
}

#[test]
fn what_only_resembles_a_form_is_spelled_out() {
    let kitchen = "This room is called the kitchen. In it, you see: \n";
    for text in [
        "",
        " ",
        "room: kitchen",
        "see: jug",
        "look: hallway inv: ",
        "task:boil water",
        "fb:unknown",
        "which:",
        "end: line:",
        "t:15",
        "*3",
        "metal_pot",
        "pick_up jug",
        "\\",
        ";",
        "a ; b",
        "<s>",
        "; True",
        "a; True; False",
        "Checked:[ kitchen ]",
        "|| [Checked: ]",
        "|| [Checked: kitchen, ]x",
        "a jug (containing nothing).",
        "a jug (containing nothing) ",
        "kitchen+",
        "two  spaces ",
        "line\nbreak\tand tab",
        "The  is now open.",
        "The jug_1 is now open.",
        "You move the jug to the sink. ",
        "You move the jug to the sink to the sink.",
        kitchen,
        "This room is called the kitchen. In it, you see: \nYou also see:\n",
        "This room is called the outside. In it, you see: \n\tthe agent\nYou also see:\n\n\nIn your inventory, you see:\n",
        &format!(
            "{kitchen}\ta jug\nYou also see:\n\ta door\n\nIn your inventory, you see:\n\tan orange\n\tan orange\n"
        ),
        &format!(
            "{kitchen}{}",
            room("the agent|a substance called air", "", "a jug|a fridge. The fridge door is open.")
        ),
        &format!("{kitchen}{}", room("an oven|the fridge. The oven door is closed. ", "", "")),
        &"a jug (containing ".repeat(3000),
        &". ".repeat(3000),
    ] {
        comes_back(text);
    }
}

#[test]
fn any_words_decode_to_something() {
    assert_eq!(ScienceWorldCodec.decode("focus_on"), "focus on");
    assert_eq!(ScienceWorldCodec.decode("fb:moved jug"), "You move the jug to the ");
    assert_eq!(ScienceWorldCodec.decode("go_to kitchen+ ;True"), "go to kitchen+; True");
    assert!(ScienceWorldCodec.decode(&format!("see: {}", "jug > ".repeat(5000))).len() < 100_000);
    assert!(ScienceWorldCodec.decode(&format!("see: {}", "jug > jug *99 ".repeat(500))).len() < 10_000_000);
}

#[test]
fn factors_are_shared() {
    for (word, parts) in [
        ("sink", "sink"),
        ("flower_pot_3", "flower_pot #3"),
        ("unknown_substance_B", "unknown_substance B"),
        ("red_light_bulb", "light_bulb colour:red"),
        ("liquid_lead", "lead liquid"),
        ("solid_orange_juice", "orange juice solid"),
        ("apple_tree", "apple tree"),
        ("baby_wolf", "wolf baby"),
        ("recipe:salt_water", "salt_water recipe"),
        ("living_room-", "living_room -"),
        ("focus_on_the", "focus_on"),
        ("focus_on", "focus_on"),
        ("is:turned_on", "is:on"),
        ("is:activated", "is:on"),
        ("is_on", "is:on"),
        ("hatchling", "hatchling"),
        ("violet", "colour:violet"),
        ("orange", "orange"),
        ("stage:adult", "adult"),
        ("*3", "* #3"),
        ("t:-15", "t t>=-100 t>=-50 t>=-20"),
        ("fb:moved", ""),
        ("strange", ""),
    ] {
        assert_eq!(ScienceWorldCodec.factors(word).join(" "), parts, "{word}");
    }
}

proptest! {
    #[test]
    fn every_text_comes_back(text in "\\PC{0,40}") {
        comes_back(&text);
    }

    #[test]
    fn every_likely_text_comes_back(
        text in "(a |an |the |jug|red apple|flower pot 3|_| |  |\n|\t|, |\\. |; True|;|:|\\[|\\]|\\|\\| \\[Checked: |\\(containing |\\)|nothing|\
                 , which is off|\\. On the jug is: |focus on |in the |t:5|-5 degrees celsius|room:|end:|\\*2|>|\\\\|√|<s>){0,12}"
    ) {
        comes_back(&text);
    }

    #[test]
    fn every_room_comes_back(
        things in "(the agent\\||a substance called air\\||an orange\\||a jug \\(containing (nothing|soil, soil)\\)\\||odd_line\\||\
                   a fridge. The fridge door is (open\\. In the fridge is: nothing\\.|closed\\. )\\||a stopwatch, which is on\\. \\|){0,6}",
        doors in "(A door to the (hallway|x y) \\(that is (open|closed)\\)\\||a door\\|){0,3}",
        held in "(an orange\\||a orange apricot\\||a thermometer\\||soil\\|){0,3}",
    ) {
        comes_back(&format!("This room is called the kitchen. In it, you see: \n{}", room(&things, &doors, &held)));
    }

    #[test]
    fn any_word_sequence_decodes(
        words in "((room:|look!|see:|which:|fb:moved|task:find|line:|end:|inv:|>|\\(|\\)|\\*99|joined:|loose|with:|is:|tail:no|jug|oven|kitchen\\+|\
                  art:the|Checked:\\[|\\]|door:open|;True|t:9|a_b|\\\\x) ){0,16}"
    ) {
        let _ = ScienceWorldCodec.decode(&words);
    }
}
