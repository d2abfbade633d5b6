//! Skeleton.

#[cfg(feature = "kubernetes")]
pub mod fence;
#[cfg(feature = "kubernetes")]
pub mod lease;
