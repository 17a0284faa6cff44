"""Scenarios that drive the original ALFWorld into states that ordinary play rarely reaches.

Each takes a `Player` and raises `NotApplicable` where the game lacks the objects for it. They look at the original's
facts to find their way, and then say what a player could say.
"""

from original import put_command


class NotApplicable(Exception):
    """The game lacks what the scenario needs."""


def need(found):
    if not found:
        raise NotApplicable
    return found


def visit(player, receptacle, opened=True):
    """Stand at the receptacle, and open it unless told otherwise."""
    if player.world.location(receptacle) != player.world.here:
        player.do(f"go to {receptacle}")
    if opened and player.world.shut(receptacle):
        player.do(f"open {receptacle}")


def fetch(player, item, home=None):
    """Hold the object; what was held before is left where the agent stands, or at a place that takes it."""
    if player.world.held == item:
        return
    put_away(player)
    home = home or need(player.world.homes(item))[0]
    visit(player, home)
    player.do(f"take {item} from {home}")


def place(player, receptacle):
    visit(player, receptacle)
    player.do(put_command(player.world.held, receptacle))


def put_away(player):
    held = player.world.held
    if held is None:
        return
    world = player.world
    here = [r for r in world.receptacles(location=world.here) if world.fits(held, r) and not world.shut(r)]
    place(player, (here or need([r for r in world.receptacles() if world.fits(held, r)]))[0])


def of_distinct_kinds(world, items):
    """One object per type, so that a scenario does not spend its steps on three spoons."""
    kinds = {}
    for item in items:
        kinds.setdefault(world.kind(item), item)
    return list(kinds.values())


def wrong_commands(player):
    world = player.world
    items = need(world.reachable())
    item, other = items[0], items[-1]
    openable = [r for r in world.receptacles() if world.shut(r)]
    home = world.homes(item)[0]
    far = next((r for r in world.receptacles() if world.location(r) != world.location(home)), home)
    start = f"examine {home}", f"take {item} from {home}", f"open {home}", f"use {item}", "look"
    player.do(*start)
    visit(player, home, opened=False)
    player.do(f"go to {home}", f"take {item} from {home}", f"examine {item}", f"open {home}", f"open {home}")
    player.do("", " ", "LOOK", "Look", " look", "look ", "\tlook\n", "lo ok", "look  ", "\x1clook\x1f", "\u00a0look\u3000")
    player.do("\u200blook", "look.", "l", "i", "inventory ", "help", " help ", "HELP", "dance", "go", "go to", "undo")
    player.do(f"go  to {far}", f"go to  {far}", f"Go to {far}", f"go to {far.upper()}", f"go to the {far}")
    player.do(f"go to {far.split()[0]}", f"go to {far.split()[0]} 0", f"go to {far.split()[0]} 99", f"go to {far}.")
    player.do(f"go to {world.here}", f"go to {item}", f"go to {far.split()[0]} 01", f"go to {far} {far}")
    visit(player, home)
    player.do(f"take {item} from {far}", f"take {item}", f"take {home} from {home}", f"take {item}  from {home}")
    player.do(f"take {item} from {home}", f"take {item} from {home}", "inventory", f"examine {item}")
    player.do(f"take {other} from {world.homes(other)[0]}", f"put {item} in {home}", f"put {item} on {home}")
    player.do(f"heat {item} with {home}", f"slice {item} with {item}", f"use {item}", f"clean {item} with {item}")
    if world.location(far) != world.location(home):
        player.do(f"move {item} to {far}", f"put {item} in/on {far}")
    player.do(f"close {home}", f"close {home}", f"move {item} to {home}", f"put {item} in/on {home}")
    player.do(f"open {home}", f"move {item} to {home}", f"put {item} in/on {home}", f"move {item} to {home}")
    for receptacle in openable[:1]:
        visit(player, receptacle, opened=False)
        inside = [o for o, r in player.world.all("inreceptacle") if r == receptacle]
        player.do(f"close {receptacle}", f"examine {receptacle}", "look")
        player.do(*[f"take {o} from {receptacle}" for o in inside[:1]])
        player.do(f"open {receptacle}", f"open {receptacle}", f"examine {receptacle}", f"close {receptacle}", "look")


def shared_location(player):
    """Receptacles at one location, and objects moved between them: what then lies on the floor."""
    world = player.world
    groups = {}
    for receptacle in world.receptacles():
        groups.setdefault(world.location(receptacle), []).append(receptacle)
    group = need([g for g in sorted(groups.values(), key=len, reverse=True) if len(g) > 1])[0]
    pairs = [(a, b) for a in group for b in group if a != b]
    inside = [o for o in world.reachable() if set(world.homes(o)) & set(group)]
    movable = [o for o in inside + world.reachable() if any(world.fits(o, a) and world.fits(o, b) for a, b in pairs)]
    movable = sorted(set(movable), key=movable.index)
    player.do(f"go to {group[0]}", "look", *[f"go to {r}" for r in group[:3]], *[f"examine {r}" for r in group[:3]])
    for receptacle in group:
        visit(player, receptacle)
    player.do("look")
    for item in movable[:3]:
        good = [r for r in group if world.fits(item, r)]
        if not set(player.world.homes(item)) & set(good):
            fetch(player, item)
            place(player, good[0])
            player.do("look")
        home = next(r for r in player.world.homes(item) if r in good)
        for target in [r for r in good if r != home][:2]:
            fetch(player, item, home)
            player.do("look")
            place(player, target)
            player.do("look", f"examine {home}", f"examine {target}")
            home = target
    away = [r for r in world.receptacles() if r not in group]
    if away:
        visit(player, away[0], opened=False)
        player.do("look")
    visit(player, group[-1], opened=False)
    player.do("look", *[f"close {r}" for r in group], "look")
    for item in movable[:1]:
        # Taken home again: the floor is cleared of the pair that is true again.
        fetch(player, item)
        place(player, next(r for r in group if world.fits(item, r)))
        player.do("look")


def several_homes(player):
    """Objects in two receptacles, at two locations, or at another location than their receptacle."""
    world = player.world
    locations = {o: [l for p, l in world.all("objectatlocation") if p == o] for o in world.reachable()}
    homes_at = {o: {world.location(r) for r in world.homes(o)} for o in locations}
    odd = [o for o in locations if len(world.homes(o)) > 1 or set(locations[o]) != homes_at[o]]
    for item in need(odd)[:3]:
        homes = world.homes(item)
        put_away(player)
        for home in homes[:3]:
            visit(player, home)
            player.do("look", f"examine {home}")
        fetch(player, item, homes[0])
        player.do("look", "inventory", f"examine {item}")
        for home in homes:
            visit(player, home)
            player.do("look", f"examine {home}", f"take {item} from {home}", put_command(item, home), "look")
            if player.world.held is None:
                player.do(f"take {item} from {home}", "look")
        elsewhere = [r for r in world.receptacles() if world.location(r) in locations[item] and r not in homes]
        for receptacle in elsewhere[:1]:
            visit(player, receptacle)
            player.do("look", f"take {item} from {receptacle}", put_command(item, receptacle), "look")
        put_away(player)
        player.do("look")


STATIONS = {"heat": "Microwave", "cool": "Fridge", "clean": "SinkBasin"}


def treat(player, item, *treatments):
    """Examine the held object after each treatment that the household has a station for."""
    for treatment in treatments:
        for station in player.world.receptacles(STATIONS[treatment])[:1]:
            visit(player, station, opened=False)
            player.do(f"{treatment} {item} with {station}", f"examine {item}")


def slicing(player):
    world = player.world
    knives = [o for o in world.reachable() if world.kind(o) in ("knife", "butterknife")]
    knife = sorted(need(knives), key=lambda o: world.kind(o) != "knife")[player.rng.randrange(len(knives))]
    sliceable = need([o for o in of_distinct_kinds(world, world.reachable("sliceable")) if o != knife])
    food = player.rng.sample(sliceable, min(3, len(sliceable)))
    player.do(f"slice {food[0]} with {knife}")
    fetch(player, knife)
    player.do(f"examine {knife}", f"slice {food[0]} with {knife}")
    treat(player, knife, "clean", "heat", "cool")
    for item in food:
        # The engine slices through a closed door.
        visit(player, world.homes(item)[0], opened=False)
        player.do(f"slice {item} with {knife}", f"slice {item} with {knife}", f"slice {knife} with {item}")
        player.do(f"examine {item}", f"slice {item} with {item}", f"slice {item}", "look")
    for item, treatments in zip(food, (["heat", "cool", "clean", "heat"], ["clean", "cool", "heat"], [])):
        fetch(player, item)
        player.do(f"examine {item}", "inventory", f"slice {item} with {knife}")
        treat(player, item, *treatments)
    put_away(player)
    player.do("look")


def treatments(player):
    """Hot, cool and clean in every order, on things that take all of them, some, or none."""
    world = player.world
    foods = [o for o in world.reachable("heatable") if not world.holds("isreceptacleobject", o)]
    # Things that the game starts cool are examined before anything is done to them.
    cool = of_distinct_kinds(world, [o for o in foods if world.holds("iscool", o)])[:1]
    food = of_distinct_kinds(world, [o for o in foods if o not in cool])[:2]
    dishes = of_distinct_kinds(world, [o for o in world.reachable("heatable") if o not in foods])[:1]
    rest = of_distinct_kinds(world, [o for o in world.reachable() if not world.holds("heatable", o)])
    orders = (["heat", "heat", "cool", "cool", "clean", "heat", "cool"], ["clean", "heat"], ["heat", "clean", "cool"])
    things = need(cool + food + dishes + player.rng.sample(rest, min(1, len(rest))))
    for index, item in enumerate(things):
        fetch(player, item)
        player.do(f"examine {item}")
        treat(player, item, *orders[index % len(orders)])
        for basin in player.world.receptacles("BathtubBasin")[:1]:
            visit(player, basin)
            player.do(f"clean {item} with {basin}")
    for station in player.world.receptacles("Microwave")[:1] + player.world.receptacles("Fridge")[:1]:
        held = player.world.held
        visit(player, station)
        if player.world.fits(held, station):
            # Heating asks for holding: inside it, and with the door closed, nothing can be heated.
            player.do(put_command(held, station), f"heat {held} with {station}", f"close {station}")
            player.do(f"cool {held} with {station}", f"open {station}", f"take {held} from {station}")


def containers(player):
    """Objects that hold objects: examined in hand, emptied, and carried away from what they hold."""
    world = player.world
    vessels = need(world.reachable("isreceptacleobject"))
    full = [(inner, outer) for inner, outer in world.all("inreceptacleobject") if outer in vessels]
    # Official games even have a pan inside itself; things in other things come first.
    full.sort(key=lambda pair: pair[0] == pair[1])
    pairs = full[:3] or [(None, of_distinct_kinds(world, vessels)[0])]
    for inner, outer in pairs:
        fetch(player, outer)
        player.do(f"examine {outer}", "inventory", "look")
        put_away(player)
        player.do("look")
        if inner in world.reachable():
            fetch(player, inner)
            player.do(f"examine {inner}", f"examine {outer}", put_command(inner, outer), f"take {inner} from {outer}")
            put_away(player)
        fetch(player, outer)
        treat(player, outer, "clean")
        player.do(f"examine {outer}", f"take {inner} from {outer}" if inner else f"take {outer} from {outer}")
    put_away(player)


def lamps(player):
    """Switching twice, from a neighbouring receptacle, through a closed door, and with an object in hand."""
    world = player.world
    for lamp in need(world.each("toggleable"))[:3]:
        player.do(f"use {lamp}")
        for home in world.homes(lamp)[:2]:
            visit(player, home, opened=False)
            player.do(f"examine {lamp}", f"use {lamp}", f"use {lamp}", "look", f"take {lamp} from {home}", f"use {home}")
            if world.holds("openable", home):
                player.do(f"open {home}", f"use {lamp}", f"take {lamp} from {home}", f"close {home}", f"use {lamp}")
            neighbours = [o for o in world.reachable() if home in world.homes(o) and not world.shut(home)]
            for item in neighbours[:2]:
                fetch(player, item, home)
                player.do(f"examine {item}", f"use {lamp}", f"use {item}", "look")
                put_away(player)
                player.do(f"use {lamp}")


def after_won(player):
    """The engine goes on after the goal: the goal may be lost and reached again."""
    player.do(*player.engine.game["walkthrough"])
    if not player.engine.state["won"]:
        raise NotApplicable
    player.do("look", "inventory", "help", "dance")
    last = player.rows[-5]["command"]
    world = player.world
    if world.held is None:
        done = [(o, r) for o, r in world.all("inreceptacle") if put_command(o, r) == last]
        for item, receptacle in done:
            player.do(f"take {item} from {receptacle}", "inventory", put_command(item, receptacle), "look")
            player.do(f"close {receptacle}", f"examine {receptacle}")
    else:
        item = world.held
        put_away(player)
        player.do("inventory")
        fetch(player, item)
    player.do(*[c for c in player.admissible if c.startswith("go to ")][:2], "inventory")
    for _ in range(6):
        player.do(player.rng.choice(player.admissible))


SCENARIOS = {
    "wrong_commands": wrong_commands,
    "shared_location": shared_location,
    "several_homes": several_homes,
    "slicing": slicing,
    "treatments": treatments,
    "containers": containers,
    "lamps": lamps,
    "after_won": after_won,
}
