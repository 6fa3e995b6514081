//! A map from a program to a value.
//!
//! A sorted list: programs come in the order of their ids, are few, and hardly ever change. (A tree for each type of value
//! would be a good part of the binary.)

use alloc::vec::Vec;
use core::fmt;

use crate::ids::ProgramId;

/// A value for each of some programs.
#[derive(Clone, PartialEq, Eq)]
pub struct ProgramMap<T>(Vec<(ProgramId, T)>);

impl<T> ProgramMap<T> {
    /// An empty map.
    pub const fn new() -> ProgramMap<T> {
        ProgramMap(Vec::new())
    }

    /// The value of this program.
    pub fn get(&self, id: ProgramId) -> Option<&T> {
        self.position(id).ok().and_then(|at| self.0.get(at)).map(|(_, value)| value)
    }

    /// The value of this program, mutable.
    pub fn get_mut(&mut self, id: ProgramId) -> Option<&mut T> {
        self.position(id).ok().and_then(|at| self.0.get_mut(at)).map(|(_, value)| value)
    }

    /// Whether this program has an entry.
    pub fn contains(&self, id: ProgramId) -> bool {
        self.position(id).is_ok()
    }

    /// Sets the value of this program.
    pub fn insert(&mut self, id: ProgramId, value: T) {
        match self.position(id) {
            Ok(at) => {
                if let Some(place) = self.0.get_mut(at) {
                    place.1 = value;
                }
            }
            Err(at) => self.0.insert(at, (id, value)),
        }
    }

    /// Removes the entry of this program.
    pub fn remove(&mut self, id: ProgramId) -> Option<T> {
        self.position(id).ok().map(|at| self.0.remove(at).1)
    }

    /// The entries, sorted by program.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (ProgramId, &T)> + Clone {
        self.0.iter().map(|(id, value)| (*id, value))
    }

    /// The programs that have an entry.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = ProgramId> + Clone + '_ {
        self.0.iter().map(|(id, _)| *id)
    }

    /// The values.
    pub fn values(&self) -> impl Iterator<Item = &T> + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// The values, mutable.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, id: ProgramId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |(id, _)| *id)
    }
}

impl<T> Default for ProgramMap<T> {
    fn default() -> ProgramMap<T> {
        ProgramMap::new()
    }
}

impl<T> Extend<(ProgramId, T)> for ProgramMap<T> {
    fn extend<I: IntoIterator<Item = (ProgramId, T)>>(&mut self, values: I) {
        for (id, value) in values {
            self.insert(id, value);
        }
    }
}

impl<T> FromIterator<(ProgramId, T)> for ProgramMap<T> {
    fn from_iter<I: IntoIterator<Item = (ProgramId, T)>>(values: I) -> ProgramMap<T> {
        let mut all = ProgramMap::new();
        all.extend(values);
        all
    }
}

impl<T> IntoIterator for ProgramMap<T> {
    type Item = (ProgramId, T);
    type IntoIter = alloc::vec::IntoIter<(ProgramId, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for ProgramMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sorted_however_it_was_filled_and_a_second_value_replaces_the_first() {
        let mut all: ProgramMap<char> =
            [(7, 'x'), (1, 'b'), (3, 'c')].into_iter().map(|(id, value)| (ProgramId(id), value)).collect();
        all.insert(ProgramId(7), 'd');
        assert!(all.iter().eq([(ProgramId(1), &'b'), (ProgramId(3), &'c'), (ProgramId(7), &'d')]));
        assert_eq!(all.remove(ProgramId(3)), Some('c'));
        assert_eq!(all.remove(ProgramId(3)), None);
        assert!(!all.contains(ProgramId(3)) && all.get(ProgramId(2)).is_none());
    }
}
