//! What an installation writes on its Lease: whose it is and which rules it serves.

use std::collections::{BTreeMap, BTreeSet};

use kube_cascade::{hold::Installation, lease::LeaseRecord};

use crate::rules::RuleSet;

/// The rules that the leader serves, separated by commas.
const RULES: &str = "kube-cascade.dev/rules";

/// The UID of the `kube-system` namespace of the dependents' cluster.
const CLUSTER: &str = "kube-cascade.dev/dependents-cluster";

/// The name of an installation's Lease.
#[must_use]
pub fn lease_name(installation: &Installation) -> String {
    format!("kube-cascade-{installation}")
}

/// What the leader writes on the Lease.
#[must_use]
pub fn annotations(rules: &RuleSet, cluster_uid: &str) -> BTreeMap<String, String> {
    let names: Vec<_> = rules.iter().map(|rule| rule.name().as_str()).collect();
    BTreeMap::from([
        (RULES.to_owned(), names.join(",")),
        (CLUSTER.to_owned(), cluster_uid.to_owned()),
    ])
}

/// The rules that the writer of this record serves.
#[must_use]
pub fn served_rules(record: &LeaseRecord) -> BTreeSet<&str> {
    let rules = record.annotations().get(RULES).map_or("", String::as_str);
    rules.split(',').filter(|name| !name.is_empty()).collect()
}

/// Why a record bars us: it belongs to an installation of the same name for another cluster.
#[must_use]
pub fn refusal(record: &LeaseRecord, cluster_uid: &str) -> Option<String> {
    let theirs = record.annotations().get(CLUSTER)?;
    (theirs != cluster_uid).then(|| {
        format!(
            "an installation of this name serves another cluster of dependents (its kube-system has \
             UID {theirs}, ours has {cluster_uid}); two clusters must not share one name, because \
             they would share holds; give one of them another --installation, or delete the Lease \
             if that cluster is no more"
        )
    })
}
