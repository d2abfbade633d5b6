//! What our finalizers are called.
//!
//! Owns the one format by which a hold is written, recognised and found again. It does not put
//! or release any; [`hold`](crate::hold) does.

use std::{fmt, str::FromStr, sync::Arc};

use thiserror::Error;

use crate::{
    digest::{is_digest, sha256},
    names,
};

/// The prefix of all our finalizers; the name part comes after it.
const DOMAIN: &str = "kube-cascade.dev/";

/// The longest name part of a custom resource's finalizer, in bytes. More is answered with 422.
const MAX_NAME: usize = 63;

/// How many hexadecimal digits of the SHA-256 stand for a rule name that is too long.
const HASH_DIGITS: usize = 10;

/// The name of one rule's hold: `kube-cascade.dev/<installation>_<rule>`.
///
/// One name per installation and rule, since the first to finish would otherwise release the
/// upstream for everybody. If the part after the slash were longer than 63 bytes, it is
/// `<installation>_<start of rule>-<10 hex digits of the rule's SHA-256>` of exactly 63. A rule
/// that is *called* like that is cut as well, so that it never shares the hold of a longer one.
///
/// # Examples
///
/// ```
/// use kube_cascade::hold::HoldName;
///
/// let name = HoldName::new(&"default".parse()?, &"project".parse()?);
/// assert_eq!(name.as_str(), "kube-cascade.dev/default_project");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldName(Arc<str>);

impl HoldName {
    /// The name of this rule's hold in this installation.
    #[must_use]
    pub fn new(installation: &Installation, rule: &RuleName) -> Self {
        let prefix = Self::prefix(installation);
        let room = MAX_NAME - (prefix.len() - DOMAIN.len());
        let rule = rule.as_str();
        if rule.len() < room || rule.len() == room && !is_like_a_cut_one(rule) {
            return Self(format!("{prefix}{rule}").into());
        }
        // A rule name is ASCII, so that any byte is a boundary.
        let start = &rule[..room - HASH_DIGITS - 1];
        let hash = sha256(rule, HASH_DIGITS);
        Self(format!("{prefix}{start}-{hash}").into())
    }

    /// What every hold of this installation begins with, and none of another.
    ///
    /// It ends with `_`, which an installation's name cannot hold: `a` is not found by `ab`.
    #[must_use]
    pub fn prefix(installation: &Installation) -> String {
        format!("{DOMAIN}{installation}_")
    }

    /// Whether a finalizer is a hold, of whichever installation and rule.
    pub(crate) fn is_one(finalizer: &str) -> bool {
        finalizer.starts_with(DOMAIN)
    }

    /// A hold as it was found on an object.
    #[cfg(feature = "kubernetes")]
    pub(super) fn found(finalizer: &str) -> Self {
        Self(finalizer.into())
    }

    /// The finalizer as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HoldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether this rule name, which fills the name part, could be what a longer one is cut to.
fn is_like_a_cut_one(rule: &str) -> bool {
    rule.rsplit_once('-')
        .is_some_and(|(_, end)| is_digest(end, HASH_DIGITS))
}

/// The name of an installation: a DNS label of at most 20 bytes.
///
/// It is part of the Lease's name and of every hold, which is why it is short.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Installation(Arc<str>);

/// The text is no name of an installation.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{found:?} is no name of an installation; allowed: at most 20 lower-case letters, digits and \
     '-', beginning and ending with a letter or digit"
)]
pub struct InvalidInstallation {
    found: String,
}

impl Installation {
    /// The longest name, in bytes.
    pub const MAX: usize = 20;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Installation {
    type Err = InvalidInstallation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() <= Self::MAX && names::is_dns_label(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidInstallation { found: text.into() })
        }
    }
}

impl TryFrom<&str> for Installation {
    type Error = InvalidInstallation;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a rule: a DNS subdomain, as of any cluster-scoped object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleName(Arc<str>);

/// The text is no name of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{found:?} is no name of a rule; allowed: {}", names::DNS_SUBDOMAIN)]
pub struct InvalidRuleName {
    found: String,
}

impl RuleName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RuleName {
    type Err = InvalidRuleName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if names::is_dns_subdomain(text) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidRuleName { found: text.into() })
        }
    }
}

impl TryFrom<&str> for RuleName {
    type Error = InvalidRuleName;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hold(installation: &str, rule: &str) -> String {
        let (installation, rule) = (installation.parse().unwrap(), rule.parse().unwrap());
        HoldName::new(&installation, &rule).to_string()
    }

    #[test]
    fn a_hold_is_named_for_its_installation_and_rule() {
        assert_eq!(
            hold("default", "project"),
            "kube-cascade.dev/default_project"
        );
        assert_eq!(hold("a-b", "x.y"), "kube-cascade.dev/a-b_x.y");
    }

    #[test]
    fn a_rule_that_just_fits_is_not_cut() {
        let rule = "r".repeat(55);
        assert_eq!(
            hold("default", &rule),
            format!("kube-cascade.dev/default_{rule}")
        );
    }

    #[test]
    fn a_longer_rule_is_cut_and_told_apart_by_its_hash() {
        // `printf %056d 0 | tr 0 r | sha256sum`
        let start = "r".repeat(44);
        assert_eq!(
            hold("default", &"r".repeat(56)),
            format!("kube-cascade.dev/default_{start}-72b9610edb"),
        );
    }

    #[test]
    fn a_rule_called_what_a_longer_one_is_cut_to_has_a_hold_of_its_own() {
        let long = hold("default", &"r".repeat(56));
        let called = long.strip_prefix("kube-cascade.dev/default_").unwrap();
        assert_ne!(hold("default", called), long);
    }

    #[test]
    fn the_prefix_finds_the_holds_of_one_installation_only() {
        let prefix = HoldName::prefix(&"a".parse().unwrap());
        assert!(hold("a", "rule").starts_with(&prefix));
        assert!(hold("a", &"r".repeat(253)).starts_with(&prefix));
        for other in ["ab", "a-b", "b"] {
            assert!(!hold(other, "rule").starts_with(&prefix), "{other}");
        }
    }

    #[test]
    fn names_of_installations_are_short_dns_labels() {
        let (longest, longer) = ("a".repeat(20), "a".repeat(21));
        for name in ["default", "a", "a-1", &longest] {
            assert_eq!(Installation::try_from(name).unwrap().as_str(), name);
        }
        for name in ["", "a.b", "a_b", "A", "-a", "a-", " a", &longer] {
            assert!(Installation::try_from(name).is_err(), "{name:?} passes");
        }
    }

    prop_compose! {
        fn dns_subdomain()(name in "[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?") -> String {
            // Every part between dots has to begin and end with a letter or digit.
            name.replace(".-", ".a").replace("-.", "a.").replace("..", ".a")
        }
    }

    proptest! {
        #[test]
        fn a_hold_is_a_valid_finalizer_of_its_own_for_every_rule(
            installation in "[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?",
            rules in proptest::collection::btree_set(dns_subdomain(), 2),
        ) {
            let holds: Vec<_> = rules.iter().map(|rule| hold(&installation, rule)).collect();
            for hold in &holds {
                let name = hold.strip_prefix(DOMAIN).unwrap();
                prop_assert!(name.len() <= MAX_NAME && names::is_qualified(name), "{}", hold);
            }
            prop_assert_ne!(&holds[0], &holds[1]);
        }

        #[test]
        fn long_rules_that_differ_in_their_end_only_hold_apart(end in 0_u32..1000) {
            let rule = |end| format!("{}{end}", "r".repeat(200));
            prop_assert_ne!(hold("default", &rule(end)), hold("default", &rule(end + 1)));
        }
    }
}
