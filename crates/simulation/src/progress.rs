//! How far a run has come, kept in a file, so that a later one can go on there.

use std::{collections::BTreeSet, fs, io, path::Path};

/// Which seeds were taken, and which of them showed a violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    next: u64,
    running: BTreeSet<u64>,
    failed: BTreeSet<u64>,
    /// Seeds below those of this run that failed in an earlier one, and are run first.
    again: BTreeSet<u64>,
}

impl Progress {
    /// A run that begins with this seed.
    pub(crate) fn from(first: u64) -> Self {
        Self {
            next: first,
            running: BTreeSet::new(),
            failed: BTreeSet::new(),
            again: BTreeSet::new(),
        }
    }

    /// The next seed below `end` that nobody has taken.
    pub(crate) fn take(&mut self, end: u64) -> Option<u64> {
        if let Some(again) = self.again.iter().find(|seed| !self.running.contains(seed)) {
            let again = *again;
            self.running.insert(again);
            return Some(again);
        }
        let seed = self.next;
        if seed >= end {
            return None;
        }
        self.next += 1;
        self.running.insert(seed);
        Some(seed)
    }

    /// A seed that was taken has been run.
    pub(crate) fn ran(&mut self, seed: u64, is_violated: bool) {
        self.running.remove(&seed);
        self.again.remove(&seed);
        if is_violated {
            self.failed.insert(seed);
        }
    }

    /// Every seed below this one was run.
    pub(crate) fn done(&self) -> u64 {
        let mut new = self.running.difference(&self.again);
        new.next().copied().unwrap_or(self.next)
    }

    /// The seeds with a violation.
    pub(crate) fn failed(&self) -> &BTreeSet<u64> {
        &self.failed
    }

    /// What an earlier run has left; `None` where there was none.
    ///
    /// # Errors
    /// The file cannot be read, or is none of ours.
    pub(crate) fn load(file: &Path) -> Result<Option<Self>, String> {
        match fs::read_to_string(file) {
            Ok(text) => match parse(&text) {
                Some(progress) => Ok(Some(progress)),
                None => Err(format!("{} holds no progress; remove it", file.display())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{} cannot be read: {error}", file.display())),
        }
    }

    /// Keeps it. What is under way counts as not begun.
    pub(crate) fn save(&self, file: &Path) -> io::Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        // A run that is killed meanwhile leaves the old one or the new one, and no half.
        let new = file.with_extension("new");
        fs::write(&new, self.print())?;
        fs::rename(new, file)
    }

    fn print(&self) -> String {
        let failed = self.failed.union(&self.again);
        let failed: Vec<_> = failed.map(ToString::to_string).collect();
        format!("done {}\nfailed {}\n", self.done(), failed.join(" "))
    }
}

fn parse(text: &str) -> Option<Progress> {
    let (done, failed) = text.strip_prefix("done ")?.split_once("\nfailed ")?;
    let seeds = failed.split_whitespace().map(str::parse);
    Some(Progress {
        again: seeds.collect::<Result<_, _>>().ok()?,
        ..Progress::from(done.parse().ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_that_is_still_running_is_run_again() {
        let mut progress = Progress::from(10);
        let taken: Vec<_> = (0..4).filter_map(|_| progress.take(13)).collect();
        assert_eq!(taken, [10, 11, 12]);
        progress.ran(10, false);
        progress.ran(12, true);
        assert_eq!(progress.done(), 11);
        let resumed = parse(&progress.print()).unwrap();
        assert_eq!((resumed.done(), resumed.again), (11, BTreeSet::from([12])));
    }

    #[test]
    fn what_failed_before_is_run_first_and_is_kept_until_it_was() {
        let mut progress = parse("done 20\nfailed 3 7\n").unwrap();
        assert_eq!([progress.take(21), progress.take(21)], [Some(3), Some(7)]);
        assert_eq!(progress.print(), "done 20\nfailed 3 7\n");
        progress.ran(3, false);
        progress.ran(7, true);
        assert_eq!([progress.take(21), progress.take(21)], [Some(20), None]);
        assert_eq!(progress.print(), "done 20\nfailed 7\n");
        progress.ran(20, false);
        assert_eq!(progress.print(), "done 21\nfailed 7\n");
    }

    #[test]
    fn what_was_kept_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/one");
        assert_eq!(Progress::load(&file), Ok(None));
        let mut progress = Progress::from(7);
        for is_violated in [true, false, true] {
            let seed = progress.take(u64::MAX).unwrap();
            progress.ran(seed, is_violated);
        }
        progress.save(&file).unwrap();
        let loaded = Progress::load(&file).unwrap().unwrap();
        assert_eq!(loaded.print(), progress.print());
        assert_eq!(loaded.print(), "done 10\nfailed 7 9\n");
    }

    #[test]
    fn what_is_no_progress_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("one");
        for text in [
            "",
            "7\n",
            "done 7\n",
            "done x\nfailed \n",
            "done 7\nfailed x\n",
        ] {
            fs::write(&file, text).unwrap();
            let error = Progress::load(&file).unwrap_err();
            assert!(error.ends_with("holds no progress; remove it"), "{error}");
        }
    }
}
