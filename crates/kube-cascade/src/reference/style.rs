//! How references are written: ours, or as the library in Go writes them.

use super::{Plural, Reference, UnwritableReference, is_object_name, prefix};
use crate::{
    names::{self, MAX_QUALIFIED},
    object::ObjectRef,
};

/// Whose form a reference is written in. Reading needs no such choice.
///
/// # Examples
/// ```
/// use kube_cascade::{Kind, ObjectRef, ReferenceStyle, reference::GroupRewrite};
///
/// let network = Kind::new("region.example.com", "Network");
/// let user = ObjectRef::new(network, Some("region".into()), "net-1");
/// let networks = "networks".parse()?;
///
/// let ours = ReferenceStyle::Ours.reference(&user, &networks)?;
/// assert_eq!(ours.as_str(), "networks.region.example.com/region_net-1");
/// let original = ReferenceStyle::Original(GroupRewrite::Legacy).reference(&user, &networks)?;
/// assert_eq!(original.as_str(), "networks.region.example.com/net-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ReferenceStyle {
    /// With the namespace, for names of any length: [the grammar](super#the-grammar).
    #[default]
    Ours,
    /// `plural.group/name`, for all kinds.
    ///
    /// # Caveats
    /// Two users of one kind and name in two namespaces have *the same* reference: the first of
    /// them to leave lets go for both. Users of the core group, and those with a name of more than
    /// 63 bytes, cannot be written. It is right only where others read or write it, too.
    Original(GroupRewrite),
}

/// What becomes of the one group that the original writes differently.
///
/// Complete: the original has one such group, and will hardly get another.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum GroupRewrite {
    /// Every group is written as it is.
    #[default]
    Keep,
    /// The group `unikorn-cloud.org` is written `kubernetes.unikorn-cloud.org`, as the original
    /// does.
    Legacy,
}

impl GroupRewrite {
    const FROM: &str = "unikorn-cloud.org";
    const TO: &str = "kubernetes.unikorn-cloud.org";

    /// The group as it is written.
    fn written(self, group: &str) -> &str {
        match self {
            Self::Legacy if group == Self::FROM => Self::TO,
            _ => group,
        }
    }

    /// The other group that a written one may stand for.
    #[cfg(feature = "kubernetes")]
    pub(super) fn also_read(self, written: &str) -> Option<&'static str> {
        (self == Self::Legacy && written == Self::TO).then_some(Self::FROM)
    }
}

impl ReferenceStyle {
    /// The reference to `user` in this style.
    ///
    /// # Errors
    /// As [`Reference::new`]; and what the original's form has no room for.
    pub fn reference(
        self,
        user: &ObjectRef,
        plural: &Plural,
    ) -> Result<Reference, UnwritableReference> {
        let Self::Original(rewrite) = self else {
            return Reference::new(user, plural);
        };
        let object = || user.clone();
        let group = rewrite.written(user.kind().group());
        let prefix = prefix(user, plural, group)?;
        let name = user.name();
        if !is_object_name(name) {
            return Err(UnwritableReference::Name { object: object() });
        }
        // The original writes `configmaps./x` for the core group, which the server refuses. And a
        // name with a `_` in it, which only a few kinds allow, would be read as one of ours.
        if group.is_empty() || name.len() > MAX_QUALIFIED || !names::is_dns_subdomain(name) {
            return Err(UnwritableReference::NotInOriginal { object: object() });
        }
        Ok(Reference(format!("{prefix}/{name}").into()))
    }

    /// The group besides the written one that a reference in this style may mean.
    #[cfg(feature = "kubernetes")]
    pub(super) fn also_read(self, written: &str) -> Option<&'static str> {
        match self {
            Self::Ours => None,
            Self::Original(rewrite) => rewrite.also_read(written),
        }
    }
}
