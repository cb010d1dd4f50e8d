//! The vectors of one namespace in memory, and the exact search over them.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BinaryHeap},
    ops::Bound,
};

use super::{
    distance::{dot, norm, squared_distance},
    filter::Filter,
};
use crate::{Match, Metadata, Metric, Vector};

/// Values lie in one block, one row a vector, so that a search reads memory in order.
#[derive(Debug)]
pub(super) struct Namespace {
    dimension: usize,
    values: Vec<f32>,
    rows: Vec<Row>,
    /// In byte order, which is the order of `list`.
    row_of: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Row {
    id: String,
    metadata: Metadata,
    /// Of its values: half of the work of comparing by cosine.
    norm: f32,
}

pub(super) struct Search<'a> {
    pub(super) vector: &'a [f32],
    pub(super) metric: Metric,
    pub(super) top_k: usize,
    pub(super) filter: Option<&'a Filter>,
    pub(super) include_values: bool,
    pub(super) include_metadata: bool,
}

impl Namespace {
    pub(super) fn new(dimension: usize) -> Self {
        Self {
            dimension,
            values: Vec::new(),
            rows: Vec::new(),
            row_of: BTreeMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The vector must have the namespace's dimension.
    pub(super) fn upsert(&mut self, vector: Vector) {
        let Vector { id, values, metadata } = vector;
        let norm = norm(&values);
        match self.row_of.get(&id) {
            Some(&row) => {
                self.values[row * self.dimension..(row + 1) * self.dimension].copy_from_slice(&values);
                self.rows[row] = Row { id, metadata, norm };
            }
            None => {
                self.row_of.insert(id.clone(), self.rows.len());
                self.values.extend_from_slice(&values);
                self.rows.push(Row { id, metadata, norm });
            }
        }
    }

    /// The last row takes the place of the deleted one.
    pub(super) fn delete(&mut self, id: &str) {
        let Some(row) = self.row_of.remove(id) else { return };
        let last = self.rows.len() - 1;
        self.rows.swap_remove(row);
        self.values
            .copy_within(last * self.dimension..(last + 1) * self.dimension, row * self.dimension);
        self.values.truncate(last * self.dimension);
        if let Some(moved) = self.rows.get(row) {
            self.row_of.insert(moved.id.clone(), row);
        }
    }

    pub(super) fn get(&self, id: &str) -> Option<Vector> {
        self.row_of.get(id).map(|&row| self.vector(row))
    }

    pub(super) fn vectors(&self) -> impl Iterator<Item = Vector> {
        (0..self.rows.len()).map(|row| self.vector(row))
    }

    pub(super) fn ids_matching(&self, filter: &Filter) -> Vec<String> {
        let matching = self.rows.iter().filter(|row| filter.matches(&row.metadata));
        matching.map(|row| row.id.clone()).collect()
    }

    /// At most `limit` ids with the prefix that come after `after`, in byte order.
    pub(super) fn ids(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.row_of
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(id, _)| id)
            .take_while(|id| id.starts_with(prefix))
            .take(limit)
            .cloned()
            .collect()
    }

    /// The nearest vectors, nearest first; of equally near ones the smaller id first. Exact: every row is compared.
    pub(super) fn search(&self, search: &Search<'_>) -> Vec<Match> {
        let norm = norm(search.vector);
        // The worst of the best is on top: a heap of at most top_k.
        let mut best = BinaryHeap::with_capacity(search.top_k.min(self.rows.len()) + 1);
        for (row, values) in self.values.chunks_exact(self.dimension).enumerate() {
            if search
                .filter
                .is_some_and(|filter| !filter.matches(&self.rows[row].metadata))
            {
                continue;
            }
            let nearness = match search.metric {
                Metric::Cosine => dot(search.vector, values) / (norm * self.rows[row].norm),
                Metric::DotProduct => dot(search.vector, values),
                Metric::Euclidean => -squared_distance(search.vector, values),
            };
            best.push(Ranked {
                nearness,
                row,
                id: &self.rows[row].id,
            });
            if best.len() > search.top_k {
                best.pop();
            }
        }
        best.into_sorted_vec()
            .into_iter()
            .map(|ranked| self.matched(&ranked, search))
            .collect()
    }

    fn matched(&self, ranked: &Ranked<'_>, search: &Search<'_>) -> Match {
        let row = &self.rows[ranked.row];
        Match {
            id: row.id.clone(),
            score: match search.metric {
                Metric::Cosine | Metric::DotProduct => ranked.nearness,
                Metric::Euclidean => -ranked.nearness,
            },
            values: if search.include_values {
                self.row_values(ranked.row).to_vec()
            } else {
                Vec::new()
            },
            metadata: if search.include_metadata {
                row.metadata.clone()
            } else {
                Metadata::new()
            },
        }
    }

    fn vector(&self, row: usize) -> Vector {
        Vector {
            id: self.rows[row].id.clone(),
            values: self.row_values(row).to_vec(),
            metadata: self.rows[row].metadata.clone(),
        }
    }

    fn row_values(&self, row: usize) -> &[f32] {
        &self.values[row * self.dimension..(row + 1) * self.dimension]
    }
}

/// What a search keeps of a row: few bytes, so that only the winners are copied out. Ordered so that the nearest is the
/// least: `into_sorted_vec` gives nearest first, `pop` takes the farthest.
struct Ranked<'a> {
    /// Higher is nearer, whatever the metric.
    nearness: f32,
    id: &'a str,
    row: usize,
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .nearness
            .total_cmp(&self.nearness)
            .then_with(|| self.id.cmp(other.id))
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked<'_> {}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn vector(id: &str, values: &[f32]) -> Vector {
        Vector {
            id: id.to_owned(),
            values: values.to_vec(),
            ..Vector::default()
        }
    }

    fn ranking(metric: Metric) -> Vec<(String, f32)> {
        let mut namespace = Namespace::new(2);
        for (id, values) in [("near", [2.0, 0.0]), ("far", [0.0, 1.0]), ("long", [9.0, 9.0])] {
            namespace.upsert(vector(id, &values));
        }
        let search = Search {
            vector: &[1.0, 0.0],
            metric,
            top_k: 2,
            filter: None,
            include_values: false,
            include_metadata: false,
        };
        namespace.search(&search).into_iter().map(|m| (m.id, m.score)).collect()
    }

    #[test]
    fn each_metric_has_its_own_nearest() {
        assert_eq!(ranking(Metric::Cosine)[0], ("near".into(), 1.0));
        assert_eq!(ranking(Metric::DotProduct)[0], ("long".into(), 9.0));
        assert_eq!(ranking(Metric::Euclidean), [("near".into(), 1.0), ("far".into(), 2.0)]);
    }

    #[test]
    fn ids_are_listed_in_byte_order_page_by_page() {
        let mut namespace = Namespace::new(1);
        for id in ["a#2", "a#1", "b#1", "a", "a#3"] {
            namespace.upsert(vector(id, &[1.0]));
        }
        assert_eq!(namespace.ids("a#", None, 2), ["a#1", "a#2"]);
        assert_eq!(namespace.ids("a#", Some("a#2"), 2), ["a#3"]);
        assert_eq!(namespace.ids("", None, 9), ["a", "a#1", "a#2", "a#3", "b#1"]);
    }

    #[derive(Debug, Clone)]
    enum Write {
        Upsert(u8, [i8; 3]),
        Delete(u8),
    }

    fn writes() -> impl Strategy<Value = Vec<Write>> {
        let id = 0_u8..12;
        let write = prop_oneof![
            3 => (id.clone(), any::<[i8; 3]>()).prop_map(|(id, values)| Write::Upsert(id, values)),
            1 => id.prop_map(Write::Delete),
        ];
        proptest::collection::vec(write, 0..60)
    }

    proptest! {
        /// The block of rows against a map, and the heap against sorting everything.
        #[test]
        fn rows_and_search_agree_with_the_obvious_way(writes in writes(), question in any::<[i8; 3]>(), top_k in 1_usize..15) {
            let mut namespace = Namespace::new(3);
            let mut expected: HashMap<String, [f32; 3]> = HashMap::new();
            for write in writes {
                match write {
                    Write::Upsert(id, values) => {
                        let values = values.map(f32::from);
                        namespace.upsert(vector(&id.to_string(), &values));
                        expected.insert(id.to_string(), values);
                    }
                    Write::Delete(id) => {
                        namespace.delete(&id.to_string());
                        expected.remove(&id.to_string());
                    }
                }
            }
            prop_assert_eq!(namespace.len(), expected.len());
            for (id, values) in &expected {
                prop_assert_eq!(namespace.get(id).unwrap().values, values.to_vec());
            }

            let question = question.map(f32::from);
            let mut all: Vec<_> = expected
                .iter()
                .map(|(id, values)| (id.clone(), values.iter().zip(question).map(|(a, b)| (a - b) * (a - b)).sum::<f32>()))
                .collect();
            all.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
            all.truncate(top_k);
            let filter = Filter::parse(&json!({})).unwrap();
            let found = namespace.search(&Search {
                vector: &question,
                metric: Metric::Euclidean,
                top_k,
                filter: Some(&filter),
                include_values: false,
                include_metadata: false,
            });
            prop_assert_eq!(found.into_iter().map(|m| (m.id, m.score)).collect::<Vec<_>>(), all);
        }
    }
}
