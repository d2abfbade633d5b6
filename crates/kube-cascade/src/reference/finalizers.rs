//! Telling references from other finalizers.

use std::{collections::BTreeSet, sync::Arc};

use super::Reference;

/// Finalizers of Kubernetes itself that are no references, whatever they look like.
///
/// Those with a slash are what counts: without being known they would be read as references, for
/// instance `kubernetes.io/pv-protection` as one by `pv-protection` of the kind `kubernetes.io`.
const WELL_KNOWN: [&str; 14] = [
    // The garbage collector's (apimachinery, `meta/v1`).
    "foregroundDeletion",
    "orphan",
    // Of namespaces and definitions.
    "kubernetes",
    "customresourcecleanup.apiextensions.k8s.io",
    // Of the controllers in kube-controller-manager.
    "batch.kubernetes.io/job-tracking",
    "service.kubernetes.io/load-balancer-cleanup",
    "networking.k8s.io/service-cidr-finalizer",
    "resource.kubernetes.io/delete-protection",
    // Of the storage sidecars.
    "external-provisioner.volume.kubernetes.io/finalizer",
    "snapshot.storage.kubernetes.io/volumesnapshot-as-source-protection",
    "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection",
    "snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection",
    "snapshot.storage.kubernetes.io/pvc-as-source-protection",
    "storage.kubernetes.io/group-snapshot-protection",
];

/// Prefixes under which there are no references: `kubernetes.io/pv-protection` and
/// `pvc-protection` are under the first, those of volume drivers under the second, holds under the
/// third. Nothing is served as `plural.group` under these names.
const WELL_KNOWN_PREFIXES: [&str; 3] = ["kubernetes.io", "external-attacher", "kube-cascade.dev"];

/// What a finalizer is.
///
/// Complete: whoever decides by it has to handle each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finalizer {
    /// It says that somebody uses the object.
    Reference(Reference),
    /// It is known to be none: one of Kubernetes' own, a hold, or one's own.
    Known,
    /// It is neither known nor has it the form of a reference.
    Unknown,
}

/// Which finalizers are no references, although some of them look like one.
///
/// Begins with [`well_known`](Self::well_known); add the finalizer of your own operator, and those
/// of others that work on the same objects.
///
/// What is not known and has the form of a reference *is* taken for one. So a finalizer that is
/// missing here makes a deletion wait, visibly; it never lets one go too early.
///
/// # Examples
/// ```
/// use kube_cascade::reference::{Finalizer, NotReferences};
///
/// let known = NotReferences::well_known().and("example.com/operator");
/// assert_eq!(known.classify("example.com/operator"), Finalizer::Known);
/// assert_eq!(known.classify("foregroundDeletion"), Finalizer::Known);
/// let used = known.classify("networks.region.example.com/region_net-1");
/// assert!(matches!(used, Finalizer::Reference(_)));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct NotReferences {
    names: BTreeSet<Arc<str>>,
    prefixes: BTreeSet<Arc<str>>,
}

impl Default for NotReferences {
    fn default() -> Self {
        Self::well_known()
    }
}

impl NotReferences {
    /// Kubernetes' own finalizers and every [hold](crate::hold).
    pub fn well_known() -> Self {
        Self {
            names: WELL_KNOWN.map(Arc::from).into(),
            prefixes: WELL_KNOWN_PREFIXES.map(Arc::from).into(),
        }
    }

    /// This finalizer, too.
    pub fn and(mut self, finalizer: impl Into<Arc<str>>) -> Self {
        self.names.insert(finalizer.into());
        self
    }

    /// Every finalizer with this prefix, which is the part before its slash, too.
    pub fn and_prefix(mut self, prefix: impl Into<Arc<str>>) -> Self {
        self.prefixes.insert(prefix.into());
        self
    }

    /// Whether the finalizer is known to be no reference.
    #[must_use]
    pub fn contains(&self, finalizer: &str) -> bool {
        let prefix = finalizer.split_once('/').map(|(prefix, _)| prefix);
        self.names.contains(finalizer) || prefix.is_some_and(|it| self.prefixes.contains(it))
    }

    /// What a finalizer is.
    #[must_use]
    pub fn classify(&self, finalizer: &str) -> Finalizer {
        if self.contains(finalizer) {
            return Finalizer::Known;
        }
        finalizer
            .parse()
            .map_or(Finalizer::Unknown, Finalizer::Reference)
    }

    /// The references among an object's finalizers, in their order, each once.
    pub fn references<'a>(&self, finalizers: impl IntoIterator<Item = &'a str>) -> Vec<Reference> {
        let mut seen = BTreeSet::new();
        let mut references = Vec::new();
        for finalizer in finalizers {
            if let Finalizer::Reference(reference) = self.classify(finalizer)
                && seen.insert(reference.clone())
            {
                references.push(reference);
            }
        }
        references
    }
}
