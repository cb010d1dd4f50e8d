//! What hinders the engines of this process, without keeping them from work: windows that are full. Kept for the whole
//! process, as metrics are, because whoever answers `/readyz` knows no engine.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

static HINDRANCES: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

/// In words, of all groups that this process is a member of.
#[must_use]
pub fn hindrances() -> Vec<String> {
    all().values().flatten().cloned().collect()
}

pub(super) fn set(group: &str, hindrances: Vec<String>) {
    if hindrances.is_empty() {
        all().remove(group);
    } else {
        all().insert(group.to_owned(), hindrances);
    }
}

fn all() -> MutexGuard<'static, BTreeMap<String, Vec<String>>> {
    HINDRANCES.lock().unwrap_or_else(PoisonError::into_inner)
}
