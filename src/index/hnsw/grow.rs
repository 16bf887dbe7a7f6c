//! Insertion: round by round, each by all cores, and always to the same graph.
//!
//! In a round, each new node looks for its neighbours in the graph as it was before the round, and among all other new
//! ones; then all links are written, and those that lead back. Nothing is written while others read, so there are no
//! locks, and the result does not depend on the threads (as in ParlayANN, Manohar et al. 2024, whose rounds do not see
//! their own nodes; here they do, so that a night's articles, which are like each other, are linked).

use rayon::prelude::*;

use super::graph::{Graph, Rank, Walk};
use super::walks::Walks;
use crate::record::Rows;

/// Nodes of a round, at most. Each is compared with all others of its round.
const ROUND: usize = 256;
/// Nodes that a thread takes at a time.
const TAKEN: usize = 4;

/// Appends nodes, each with a key and a row, and links them. `ef`: candidates from which a node's neighbours are chosen.
pub(super) fn insert(
    graph: &mut Graph,
    new: impl ExactSizeIterator<Item = (i64, usize)>,
    rows: &dyn Rows,
    ef: usize,
    walks: &Walks,
) {
    let (mut new, mut buffer) = (new.peekable(), Vec::new());
    while new.peek().is_some() {
        let first = graph.nodes();
        for (key, row) in new.by_ref().take(ROUND) {
            graph.push(key, rows.read(row, &mut buffer), level(graph.nodes(), graph.links));
        }
        #[expect(clippy::cast_possible_truncation, reason = "nodes are below 2³¹")]
        let round: Vec<u32> = (first as u32..graph.nodes() as u32).collect();
        let chosen: Vec<Vec<Vec<u32>>> = round
            .par_chunks(TAKEN)
            .flat_map_iter(|nodes| {
                walks.with(|walk| nodes.iter().map(|node| choose(graph, *node, &round, ef, walk)).collect::<Vec<_>>())
            })
            .collect();
        for (node, levels) in round.iter().zip(&chosen) {
            levels.iter().enumerate().for_each(|(level, others)| graph.link(*node, level, others));
        }
        let back = links_back(graph, &round, &chosen);
        back.iter().for_each(|(level, node, others)| graph.link(*node, *level, others));
        for node in round {
            if graph.top().is_none_or(|top| usize::from(graph.levels[node as usize]) > top) {
                graph.entry = node;
            }
        }
    }
}

/// The highest level of the n-th node: by chance, each level above 0 with one `links`-th of the nodes below it.
fn level(number: usize, links: usize) -> u8 {
    // SplitMix64 (Steele et al. 2014): the same for the same number.
    let mut z = (number as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let uniform = ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 15")]
    let level = (-(1.0 - uniform).ln() / (links.max(2) as f64).ln()).clamp(0.0, 15.0) as u8;
    level
}

/// The neighbours of a new node on each of its levels.
fn choose(graph: &Graph, node: u32, round: &[u32], ef: usize, walk: &mut Walk) -> Vec<Vec<u32>> {
    let code = graph.code(node);
    let own = usize::from(graph.levels[node as usize]);
    let others = round.iter().filter(|other| **other != node);
    let mates: Vec<Rank> = others.map(|other| graph.rank(code, *other)).collect();
    let mut chosen = vec![Vec::new(); own + 1];
    let top = graph.top();
    let mut from = top.map(|top| vec![graph.descend(code, own.min(top), walk)]).unwrap_or_default();
    for level in (0..=own).rev() {
        let mut candidates = Vec::new();
        if top.is_some_and(|top| level <= top) {
            graph.search(code, &from, ef, level, walk);
            candidates.extend(walk.beam.iter().map(|rank| rank.plain()));
            from.clone_from(&candidates);
        }
        let last = if candidates.len() < ef { None } else { candidates.last().copied() };
        let on_level = mates.iter().filter(|mate| usize::from(graph.levels[mate.node() as usize]) >= level);
        candidates.extend(on_level.filter(|mate| last.is_none_or(|last| **mate > last)));
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        chosen[level] = select(graph, &candidates, graph.links);
    }
    chosen
}

/// Of candidates, nearest first, those that are nearer to the node than to each one taken before: so links lead in all
/// directions (Malkov & Yashunin 2018, algorithm 4).
fn select(graph: &Graph, candidates: &[Rank], most: usize) -> Vec<u32> {
    let mut taken: Vec<u32> = Vec::with_capacity(most);
    for candidate in candidates {
        let code = graph.code(candidate.node());
        if taken.iter().all(|other| graph.rank(code, *other).likeness() <= candidate.likeness()) {
            taken.push(candidate.node());
            if taken.len() == most {
                break;
            }
        }
    }
    taken
}

/// The lists of those that new nodes have chosen, with the new nodes in them: level, node, list.
fn links_back(graph: &Graph, round: &[u32], chosen: &[Vec<Vec<u32>>]) -> Vec<(usize, u32, Vec<u32>)> {
    let mut back: Vec<(usize, u32, u32)> = Vec::new();
    for (node, levels) in round.iter().zip(chosen) {
        for (level, others) in levels.iter().enumerate() {
            back.extend(others.iter().map(|other| (level, *other, *node)));
        }
    }
    back.sort_unstable();
    let groups: Vec<&[(usize, u32, u32)]> = back.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).collect();
    groups
        .par_iter()
        .with_min_len(TAKEN)
        .map(|group| {
            let (level, node, _) = group[0];
            let mut list: Vec<u32> = graph.linked(node, level).collect();
            for (_, _, new) in *group {
                if !list.contains(new) {
                    list.push(*new);
                }
            }
            if list.len() > graph.most(level) {
                let code = graph.code(node);
                let mut candidates: Vec<Rank> = list.iter().map(|other| graph.rank(code, *other)).collect();
                candidates.sort_unstable_by(|a, b| b.cmp(a));
                list = select(graph, &candidates, graph.most(level));
            }
            (level, node, list)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_has_a_sixteenth_of_the_nodes_below() {
        let levels: Vec<u8> = (0..100_000).map(|number| level(number, 16)).collect();
        let at_least = |level: u8| levels.iter().filter(|other| **other >= level).count() as f64;
        assert!((at_least(1) / 100_000.0 - 1.0 / 16.0).abs() < 0.003, "{}", at_least(1));
        assert!((at_least(2) / at_least(1) - 1.0 / 16.0).abs() < 0.01, "{}", at_least(2));
    }

    #[test]
    fn of_candidates_in_one_direction_one_is_taken() {
        // Around the node at 0: two to the right, one behind the other, and one to the left.
        let mut graph = Graph::new(4, 2, 1.0 / 127.0);
        for angle in [0.0_f32, 0.2, 0.4, -0.5] {
            graph.push(0, &[angle.cos(), angle.sin()], 0);
        }
        let code = graph.code(0).to_vec();
        let mut candidates: Vec<Rank> = (1..4).map(|node| graph.rank(&code, node)).collect();
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(select(&graph, &candidates, 4), [1, 3]);
        assert_eq!(select(&graph, &candidates, 1), [1]);
    }
}
