//! The graph: nodes with a code, a key and links on one or more levels, in flat arrays; and the walk through it.

use super::codes::{code, dot};

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// Nodes and their links. A node is on level 0 and on each up to its own; a list of links ends at [`NONE`] or is full.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Graph {
    /// Links of a node on a level above 0; on level 0 twice as many.
    pub(super) links: usize,
    /// Numbers of a code.
    pub(super) dim: usize,
    /// What a step of a code is worth.
    pub(super) step: f32,
    /// `nodes × dim`.
    pub(super) codes: Vec<i8>,
    /// What each node stands for.
    pub(super) keys: Vec<i64>,
    pub(super) levels: Vec<u8>,
    /// Links on level 0: `nodes × 2 · links`.
    pub(super) base: Vec<u32>,
    /// Links above: a block of `links` for each level of each node that has one.
    pub(super) upper: Vec<u32>,
    /// Number of a node's first block in `upper`.
    pub(super) first_block: Vec<u32>,
    /// Where a walk begins: a node of the highest level.
    pub(super) entry: u32,
}

impl Graph {
    pub(super) fn new(links: usize, dim: usize, step: f32) -> Self {
        Self {
            links,
            dim,
            step,
            codes: Vec::new(),
            keys: Vec::new(),
            levels: Vec::new(),
            base: Vec::new(),
            upper: Vec::new(),
            first_block: Vec::new(),
            entry: NONE,
        }
    }

    pub(super) fn nodes(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn code(&self, node: u32) -> &[i8] {
        &self.codes[node as usize * self.dim..][..self.dim]
    }

    /// The highest level that has nodes; `None` of an empty graph.
    pub(super) fn top(&self) -> Option<usize> {
        (self.entry != NONE).then(|| usize::from(self.levels[self.entry as usize]))
    }

    /// Appends a node that nothing leads to yet.
    pub(super) fn push(&mut self, key: i64, vector: &[f32], level: u8) {
        code(vector, self.step, &mut self.codes);
        self.keys.push(key);
        self.levels.push(level);
        self.first_block.push(u32::try_from(self.upper.len() / self.links).unwrap_or(NONE));
        self.base.resize(self.base.len() + 2 * self.links, NONE);
        self.upper.resize(self.upper.len() + usize::from(level) * self.links, NONE);
    }

    /// How many links a node may have on a level.
    pub(super) fn most(&self, level: usize) -> usize {
        if level == 0 { 2 * self.links } else { self.links }
    }

    /// Where a node's links on a level begin in `base` or `upper`.
    fn start(&self, node: u32, level: usize) -> usize {
        match level {
            0 => node as usize * 2 * self.links,
            above => (self.first_block[node as usize] as usize + above - 1) * self.links,
        }
    }

    /// A node's neighbours on a level.
    pub(super) fn linked(&self, node: u32, level: usize) -> impl Iterator<Item = u32> {
        let all = if level == 0 { &self.base } else { &self.upper };
        let start = self.start(node, level);
        all[start..start + self.most(level)].iter().copied().take_while(|other| *other != NONE)
    }

    /// Writes a node's neighbours on a level, no more than [`Graph::most`].
    pub(super) fn link(&mut self, node: u32, level: usize, others: &[u32]) {
        let (start, most) = (self.start(node, level), self.most(level));
        let all = if level == 0 { &mut self.base } else { &mut self.upper };
        let slots = &mut all[start..start + most];
        slots[..others.len()].copy_from_slice(others);
        slots[others.len()..].fill(NONE);
    }

    /// Node and likeness to a code as one number; the greater, the nearer, then the lower node.
    pub(super) fn rank(&self, code: &[i8], node: u32) -> Rank {
        Rank::new(dot(code, self.code(node)), node)
    }

    /// Goes from the entry down to a level, to the nearest node on each level that it passes. The graph has nodes.
    pub(super) fn descend(&self, code: &[i8], to: usize, walk: &mut Walk) -> Rank {
        let mut nearest = self.rank(code, self.entry);
        for level in (to + 1..=self.top().unwrap_or(0)).rev() {
            self.search(code, &[nearest], 1, level, walk);
            nearest = walk.beam[0].plain();
        }
        nearest
    }

    /// Looks on one level for the `ef` nodes nearest to a code, beginning at some; they are left in `walk.beam`, nearest
    /// first (Malkov & Yashunin 2018, algorithm 2).
    pub(super) fn search(&self, code: &[i8], from: &[Rank], ef: usize, level: usize, walk: &mut Walk) {
        walk.begin(self.nodes());
        walk.beam.extend_from_slice(from);
        walk.beam.sort_unstable_by(|a, b| b.cmp(a));
        walk.beam.truncate(ef);
        from.iter().for_each(|rank| walk.visit(rank.node()));
        let mut at = 0;
        while at < walk.beam.len() {
            if walk.beam[at].is_done() {
                at += 1;
                continue;
            }
            walk.beam[at] = walk.beam[at].done();
            let node = walk.beam[at].node();
            walk.fresh.clear();
            for other in self.linked(node, level) {
                if walk.seen[other as usize] != walk.epoch {
                    walk.seen[other as usize] = walk.epoch;
                    walk.fresh.push(other);
                }
            }
            // Each code begins to come from memory before the first is needed.
            for other in &walk.fresh {
                let code = self.code(*other);
                walk.touched ^= code.iter().step_by(64).fold(0, |all, number| all ^ number);
            }
            for number in 0..walk.fresh.len() {
                let rank = self.rank(code, walk.fresh[number]);
                if walk.beam.len() < ef {
                    at = at.min(walk.insert(rank));
                } else if walk.beam.last().is_some_and(|last| rank > *last) {
                    walk.beam.pop();
                    at = at.min(walk.insert(rank));
                }
            }
        }
    }
}

/// A node with its likeness to what is looked for: ordered by likeness, then by the lower node. The last bit says
/// whether its neighbours have been looked at; nodes differ, so it never decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(u64);

impl Rank {
    /// Nodes are below 2³¹.
    pub(super) fn new(likeness: i32, node: u32) -> Self {
        // The sign bit turned over: as unsigned numbers they are in the same order.
        let likeness = u64::from(likeness.cast_unsigned() ^ (1 << 31));
        Self(likeness << 32 | u64::from(!node << 1))
    }

    pub(super) fn node(self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let lower = self.0 as u32;
        !(lower >> 1) & (NONE >> 1)
    }

    pub(super) fn likeness(self) -> i32 {
        let upper = (self.0 >> 32) as u32;
        (upper ^ (1 << 31)).cast_signed()
    }

    fn is_done(self) -> bool {
        self.0 & 1 == 1
    }

    fn done(self) -> Self {
        Self(self.0 | 1)
    }

    /// As new.
    pub(super) fn plain(self) -> Self {
        Self(self.0 & !1)
    }
}

/// What a walk through the graph needs: made once a thread, used again and again. A byte a node.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The nearest found, nearest first.
    pub(super) beam: Vec<Rank>,
    /// Nodes seen in this walk have its epoch.
    seen: Vec<u8>,
    epoch: u8,
    fresh: Vec<u32>,
    touched: i8,
}

impl Walk {
    fn begin(&mut self, nodes: usize) {
        self.beam.clear();
        self.seen.resize(nodes, 0);
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.seen.fill(0);
            self.epoch = 1;
        }
    }

    fn visit(&mut self, node: u32) {
        self.seen[node as usize] = self.epoch;
    }

    /// Puts it in its place, and answers which that is.
    fn insert(&mut self, rank: Rank) -> usize {
        let place = self.beam.partition_point(|other| *other > rank);
        self.beam.insert(place, rank);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_order_by_likeness_and_then_by_the_lower_node() {
        let ranks = [Rank::new(7, 3), Rank::new(7, 4), Rank::new(0, 0), Rank::new(-1, 9), Rank::new(i32::MIN, 1)];
        assert!(ranks.is_sorted_by(|a, b| a > b));
        for (rank, (likeness, node)) in ranks.iter().zip([(7, 3), (7, 4), (0, 0), (-1, 9), (i32::MIN, 1)]) {
            assert_eq!((rank.likeness(), rank.node()), (likeness, node));
            assert_eq!((rank.done().likeness(), rank.done().node(), rank.done().plain()), (likeness, node, *rank));
        }
        assert_eq!(Rank::new(1, NONE >> 1).node(), NONE >> 1);
    }

    #[test]
    fn a_walk_finds_the_nearest_of_those_it_can_reach() {
        // Five points on a line of directions, each linked to the next; the sixth cannot be reached.
        let mut graph = Graph::new(2, 2, 1.0 / 100.0);
        for angle in [0.0_f32, 0.3, 0.6, 0.9, 1.2, 1.3] {
            graph.push(0, &[angle.cos(), angle.sin()], 0);
        }
        for node in 0..5_u32 {
            let others: Vec<u32> =
                [node.checked_sub(1), Some(node + 1)].into_iter().flatten().filter(|n| *n < 5).collect();
            graph.link(node, 0, &others);
        }
        graph.entry = 0;
        let mut query = Vec::new();
        code(&[1.25_f32.cos(), 1.25_f32.sin()], 1.0 / 100.0, &mut query);
        let mut walk = Walk::default();
        for _ in 0..600 {
            // More walks than there are epochs.
            let from = graph.descend(&query, 0, &mut walk);
            graph.search(&query, &[from], 3, 0, &mut walk);
            assert_eq!(walk.beam.iter().map(|rank| rank.node()).collect::<Vec<_>>(), [4, 3, 2]);
        }
        assert_eq!(graph.linked(4, 0).collect::<Vec<_>>(), [3]);
    }
}
