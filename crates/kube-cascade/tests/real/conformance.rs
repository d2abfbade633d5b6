//! The Kubernetes source passes the published suite.

use kube_cascade::{
    ResourceId,
    conformance::{self, Backend, Failure},
    kubernetes::KubernetesSource,
};

use crate::{
    fixtures::{CustomKind, Object, PROJECT},
    ground::{Ground, KEPT},
};

const KIND: CustomKind = PROJECT;

/// Projects of one namespace.
struct Projects(Ground);

impl Projects {
    fn object(&self, id: &ResourceId) -> Object {
        KIND.named(id.as_str())
            .within(&self.0.namespace)
            .assumed(&self.0.hands)
    }
}

impl Backend for Projects {
    type Source = KubernetesSource;

    fn source(&self) -> KubernetesSource {
        let source = KubernetesSource::new(self.0.client.clone(), KIND.kind());
        source.namespaces([&self.0.namespace])
    }

    async fn create(&self, id: &ResourceId) -> Result<(), Failure> {
        let draft = KIND
            .named(id.as_str())
            .within(&self.0.namespace)
            .kept_by(KEPT);
        draft.create(&self.0.hands).await;
        Ok(())
    }

    async fn terminate(&self, id: &ResourceId) -> Result<(), Failure> {
        self.object(id).delete().await;
        Ok(())
    }

    async fn remove(&self, id: &ResourceId) -> Result<(), Failure> {
        let object = self.object(id);
        object.set_finalizers(&[]).await;
        // One whose deletion had begun is gone by now.
        if object.read().await.is_some() {
            object.delete().await;
        }
        Ok(())
    }

    async fn touch(&self, id: &ResourceId) -> Result<(), Failure> {
        self.object(id).write_status(1).await;
        Ok(())
    }

    async fn interrupt(&self) -> Result<(), Failure> {
        self.0.faults.cut();
        Ok(())
    }
}

macro_rules! on_a_real_server {
    ($($check:ident)*) => {$(
        #[tokio::test]
        async fn $check() {
            conformance::$check(&Projects(Ground::new().await)).await;
        }
    )*};
}

on_a_real_server! {
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
