//! A map that forgets what was inserted longest ago, so that memory for each upstream is bounded.

use std::collections::BTreeMap;

/// At most `capacity` entries; one more drops the oldest.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    capacity: usize,
    inserted: u64,
    entries: BTreeMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
}

impl<K: Clone + Ord, V> Recent<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            inserted: 0,
            entries: BTreeMap::new(),
            order: BTreeMap::new(),
        }
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// Puts the entry in the newest place, also when the key was there before; says what it held.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = self.remove(&key);
        if self.entries.len() >= self.capacity
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.inserted += 1;
        self.order.insert(self.inserted, key.clone());
        self.entries.insert(key, (self.inserted, value));
        before
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (place, value) = self.entries.remove(key)?;
        self.order.remove(&place);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entry_makes_room_and_a_renewed_one_is_not_the_oldest() {
        let mut recent = Recent::new(2);
        assert_eq!(recent.insert("a", 1), None);
        recent.insert("b", 2);
        assert_eq!(recent.insert("a", 3), Some(1));
        recent.insert("c", 4);
        assert_eq!(recent.get_mut(&"b"), None);
        assert_eq!(recent.get_mut(&"a"), Some(&mut 3));
        assert_eq!(recent.remove(&"c"), Some(4));
        assert_eq!(recent.entries.len(), recent.order.len());
    }
}
