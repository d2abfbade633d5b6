//! Everything that is left to chance, drawn from one seed.
//!
//! The same generator as the fault layer's: it has no parts that a new version of a library could
//! change, so that a seed in a list of regressions keeps its meaning.

use std::{ops::Range, time::Duration};

/// A generator; its forks are independent of how much is drawn from it.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The generator of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another generator, for the part of this name.
    #[must_use]
    pub fn fork(&self, part: &str) -> Self {
        let mut forked = Self(self.0);
        for byte in part.bytes() {
            forked.0 = forked.draw() ^ u64::from(byte);
        }
        Self(forked.draw())
    }

    /// The next draw.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..end`; `end` must not be 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw() % end
    }

    /// One of a range.
    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end - range.start)
    }

    /// Whether something happens that happens so many times in a hundred.
    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of these, if there is one.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let place = usize::try_from(self.below(u64::try_from(from.len()).ok()?.max(1))).ok()?;
        from.get(place)
    }

    /// A span of whole milliseconds.
    pub fn span(&mut self, milliseconds: Range<u64>) -> Duration {
        Duration::from_millis(self.within(milliseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_depends_on_its_name_and_not_on_what_was_drawn_elsewhere() {
        let dice = Dice::new(7);
        let drawn = dice.clone();
        drawn.fork("world").draw();
        assert_eq!(dice.fork("faults").draw(), drawn.fork("faults").draw());
        assert_ne!(dice.fork("faults").draw(), dice.fork("world").draw());
    }
}
