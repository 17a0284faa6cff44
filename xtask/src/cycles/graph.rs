//! Cycles of a small directed graph.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Returns one shortest cycle for every strongly connected component with more than one node, from its first node on.
pub(super) fn shortest_cycles<E>(edges: &BTreeMap<String, BTreeMap<String, E>>) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut covered: BTreeSet<String> = BTreeSet::new();
    for start in edges.keys() {
        if covered.contains(start) {
            continue;
        }
        let component: BTreeSet<String> = reachable(edges, start)
            .into_iter()
            .filter(|node| reachable(edges, node).contains(start))
            .collect();
        if component.len() > 1 {
            let cycles = component.iter().filter_map(|node| cycle_through(edges, node));
            found.extend(cycles.min_by_key(Vec::len));
        }
        covered.extend(component);
    }
    found
}

/// Returns the nodes reachable from `start` over at least one edge.
fn reachable<E>(edges: &BTreeMap<String, BTreeMap<String, E>>, start: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut queue = vec![start.to_owned()];
    while let Some(node) = queue.pop() {
        for next in edges.get(&node).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(next.clone()) {
                queue.push(next.clone());
            }
        }
    }
    seen
}

/// Returns a shortest path from a node back to itself.
fn cycle_through<E>(edges: &BTreeMap<String, BTreeMap<String, E>>, start: &str) -> Option<Vec<String>> {
    let mut queue = VecDeque::from([vec![start.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(path) = queue.pop_front() {
        for next in edges.get(path.last()?).into_iter().flat_map(BTreeMap::keys) {
            if next == start {
                return Some(path);
            }
            if seen.insert(next.clone()) {
                let mut longer = path.clone();
                longer.push(next.clone());
                queue.push_back(longer);
            }
        }
    }
    None
}
