//! Maps and sets as sorted lists.
//!
//! They have the methods of `BTreeMap` and `BTreeSet`, and stand where keys are small, mostly come in rising order and
//! are some thousands at most: a list takes less memory than a tree, and its code a tenth (a tree for each type of
//! value would be a good part of the binary). Not for a file's worth of names in any order: each new key moves those
//! above it. [`crate::program_map`] is the same for programs.

use alloc::collections::BinaryHeap;
use alloc::vec::{self, Vec};
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::mem;
use core::ops::RangeInclusive;
use core::slice;

/// Sorts a list. The library's sort is some 3 KB of code for each type of elements, a heap a tenth of that.
pub fn sort<T: Ord>(list: &mut Vec<T>) {
    *list = BinaryHeap::from(mem::take(list)).into_sorted_vec();
}

/// Sorts a list by a key; elements with the same key keep their order.
pub fn sort_by_key<T, K: Ord>(list: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let numbered = mem::take(list).into_iter().enumerate();
    let heap: BinaryHeap<Keyed<K, T>> =
        numbered.map(|(number, item)| Keyed { key: (key(&item), number), item }).collect();
    list.extend(heap.into_sorted_vec().into_iter().map(|keyed| keyed.item));
}

/// An element that is compared by its key.
struct Keyed<K, T> {
    key: (K, usize),
    item: T,
}

impl<K: Ord, T> Ord for Keyed<K, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl<K: Ord, T> PartialOrd for Keyed<K, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord, T> PartialEq for Keyed<K, T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<K: Ord, T> Eq for Keyed<K, T> {}

/// A map, sorted by key.
#[derive(Clone, PartialEq, Eq)]
pub struct SortedMap<K, V>(Vec<(K, V)>);

/// A set, sorted.
#[derive(Clone, PartialEq, Eq)]
pub struct SortedSet<K>(SortedMap<K, ()>);

impl<K, V> SortedMap<K, V> {
    /// An empty map.
    pub const fn new() -> SortedMap<K, V> {
        SortedMap(Vec::new())
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + Clone {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The keys.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.0.iter().map(|(key, _)| key)
    }

    /// The values.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// The values, mutable.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// The entries, with mutable values.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.into_iter()
    }

    /// Keeps the entries for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| keep(key, value));
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// The value of this key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.position(key).ok().and_then(|at| self.0.get(at)).map(|(_, value)| value)
    }

    /// The value of this key, mutable.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.position(key).ok().and_then(|at| self.0.get_mut(at)).map(|(_, value)| value)
    }

    /// Whether this key has an entry.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.position(key).is_ok()
    }

    /// Sets the value of this key, and returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.position(&key) {
            Ok(at) => self.0.get_mut(at).map(|entry| mem::replace(&mut entry.1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Removes the entry of this key.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.position(key).ok().map(|at| self.0.remove(at).1)
    }

    /// The entries from one key to another, which has its own as well.
    pub fn range(&self, keys: RangeInclusive<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> + Clone {
        let first = self.0.partition_point(|(key, _)| key < keys.start());
        let behind = self.0.partition_point(|(key, _)| key <= keys.end());
        self.0.get(first..behind).unwrap_or_default().iter().map(|(key, value)| (key, value))
    }

    /// Removes this key's entry and those behind it, and returns them.
    pub fn split_off(&mut self, key: &K) -> SortedMap<K, V> {
        let (Ok(at) | Err(at)) = self.position(key);
        SortedMap(self.0.split_off(at))
    }

    fn position<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(other, _)| other.borrow().cmp(key))
    }
}

impl<K> SortedSet<K> {
    /// An empty set.
    pub const fn new() -> SortedSet<K> {
        SortedSet(SortedMap::new())
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.0.keys()
    }
}

impl<K: Ord> SortedSet<K> {
    /// Whether this is a member.
    pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    /// Adds a member; returns whether it is new.
    pub fn insert(&mut self, key: K) -> bool {
        self.0.insert(key, ()).is_none()
    }

    /// Removes a member; returns whether it existed.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.remove(key).is_some()
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> SortedMap<K, V> {
        SortedMap::new()
    }
}

impl<K> Default for SortedSet<K> {
    fn default() -> SortedSet<K> {
        SortedSet::new()
    }
}

impl<K: Ord, V> Extend<(K, V)> for SortedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord> Extend<K> for SortedSet<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, members: I) {
        for member in members {
            self.insert(member);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> SortedMap<K, V> {
        let mut all = SortedMap::new();
        all.extend(entries);
        all
    }
}

impl<K: Ord> FromIterator<K> for SortedSet<K> {
    fn from_iter<I: IntoIterator<Item = K>>(members: I) -> SortedSet<K> {
        let mut all = SortedSet::new();
        all.extend(members);
        all
    }
}

impl<K: Ord, const N: usize> From<[K; N]> for SortedSet<K> {
    fn from(members: [K; N]) -> SortedSet<K> {
        SortedSet::from_iter(members)
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a mut SortedMap<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = core::iter::Map<slice::IterMut<'a, (K, V)>, fn(&'a mut (K, V)) -> (&'a K, &'a mut V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut().map(|(key, value)| (key, value))
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SortedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: fmt::Debug> fmt::Debug for SortedSet<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::{BTreeMap, BTreeSet};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_are_sorted_as_by_the_library(list in prop::collection::vec((0..20u8, any::<u8>()), 0..60)) {
            let (mut ours, mut theirs) = (list.clone(), list.clone());
            sort(&mut ours);
            theirs.sort();
            prop_assert_eq!(ours, theirs);
            let (mut ours, mut theirs) = (list.clone(), list);
            sort_by_key(&mut ours, |(key, _)| *key);
            theirs.sort_by_key(|(key, _)| *key);
            prop_assert_eq!(ours, theirs);
        }
    }

    proptest! {
        #[test]
        fn a_list_answers_like_a_tree(orders in prop::collection::vec((any::<bool>(), 0_u8..16, any::<u8>()), 0..64)) {
            let (mut list, mut tree) = (SortedMap::new(), BTreeMap::new());
            let (mut few, mut members) = (SortedSet::new(), BTreeSet::new());
            for (adds, key, value) in orders {
                if adds {
                    prop_assert_eq!(list.insert(key, value), tree.insert(key, value));
                    prop_assert_eq!(few.insert(key), members.insert(key));
                } else {
                    prop_assert_eq!(list.remove(&key), tree.remove(&key));
                    prop_assert_eq!(few.remove(&key), members.remove(&key));
                }
                prop_assert_eq!(list.get(&value), tree.get(&value));
                prop_assert_eq!(few.contains(&value), members.contains(&value));
                prop_assert!(list.iter().eq(tree.iter()) && few.iter().eq(members.iter()));
            }
            prop_assert!(list.range(3..=9).eq(tree.range(3..=9)));
            prop_assert!(list.split_off(&12).iter().eq(tree.split_off(&12).iter()));
            list.retain(|key, _| key % 2 == 0);
            tree.retain(|key, _| key % 2 == 0);
            for (_, value) in list.iter_mut() {
                *value = value.wrapping_add(1);
            }
            prop_assert!(list.into_iter().eq(tree.into_iter().map(|(key, value)| (key, value.wrapping_add(1)))));
        }
    }
}
