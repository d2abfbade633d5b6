//! The in-memory source conforms, on paused time and with none.

use std::time::SystemTime;

use super::*;
use crate::{
    envelope::{Envelope, Key},
    memory::{MemorySource, MemoryStore},
};

#[derive(Default)]
struct InMemory(MemoryStore);

fn key(id: &ResourceId) -> Key {
    Key::new(Some("ns"), id.clone())
}

fn live(id: &ResourceId) -> Envelope {
    Envelope::of(key(id), State::Live).with_uid(format!("uid of {id}"))
}

impl Backend for InMemory {
    type Source = MemorySource;

    fn source(&self) -> MemorySource {
        self.0.source()
    }

    async fn create(&self, id: &ResourceId) -> Result<(), Failure> {
        self.0.put(live(id));
        Ok(())
    }

    async fn terminate(&self, id: &ResourceId) -> Result<(), Failure> {
        self.0.terminate(&key(id), SystemTime::UNIX_EPOCH);
        Ok(())
    }

    async fn remove(&self, id: &ResourceId) -> Result<(), Failure> {
        self.0.remove(&key(id));
        Ok(())
    }

    async fn touch(&self, id: &ResourceId) -> Result<(), Failure> {
        self.0.put(live(id).with_name("another name is no news"));
        Ok(())
    }

    async fn interrupt(&self) -> Result<(), Failure> {
        self.0.interrupt();
        Ok(())
    }

    async fn purge(&self, id: &ResourceId) -> Result<(), Failure> {
        self.0.purge(&key(id));
        Ok(())
    }
}

macro_rules! in_memory {
    ($($check:ident)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $check() {
            super::$check(&InMemory::default()).await;
        }
    )*};
}

in_memory! {
    an_empty_snapshot_completes
    everything_is_replayed_at_the_start
    a_restart_replays_what_was_handled
    nothing_is_lost_between_snapshot_and_live
    what_changed_between_two_epochs_is_told
    a_deletion_is_told_from_its_start_to_its_end
    what_is_no_news_is_not_told
    an_error_is_redelivered
    calls_for_one_key_and_consumer_never_overlap
    changes_during_a_call_coalesce
    failing_keys_do_not_delay_fresh_ones
    an_unfinished_snapshot_proves_no_absence
    a_complete_snapshot_proves_absence
    expiry_and_purge_are_no_deletions
    shutdown_drains_what_runs_and_starts_nothing
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_runs_in_real_time_on_several_threads() {
    run_all(&InMemory::default()).await;
}
