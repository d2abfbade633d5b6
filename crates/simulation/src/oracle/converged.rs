//! What must be so once nobody disturbs any more: nothing missed, nothing left over.

use std::{fmt, time::Duration};

use super::{id, is_label_value, is_namesake};
use crate::{
    truth::{Life, Truth},
    world::{Rule, World},
};

/// By when every upstream has been listed once; what went before may never have been seen.
const LISTED: Duration = Duration::from_secs(12);

/// Something that is still to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished(String);

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that is still to be done in a world that nobody disturbs.
///
/// `strict` says that nothing went wrong at any time, so that also the dependents of what went
/// without a hold must be gone.
pub(super) fn unfinished(world: &World, truth: &Truth, strict: bool) -> Vec<Unfinished> {
    let mut left = Vec::new();
    for rule in &world.rules {
        for upstream in truth.existing(rule.upstream) {
            of_upstream(rule, truth, upstream, &mut left);
        }
        if strict && rule.enforce && !rule.hold {
            for upstream in truth.of(rule.upstream).filter(|life| !life.exists()) {
                of_gone(rule, truth, upstream, &mut left);
            }
        }
    }
    left
}

fn of_upstream(rule: &Rule, truth: &Truth, upstream: &Life, left: &mut Vec<Unfinished>) {
    let held = upstream.finalizers.contains(&rule.hold_name());
    let id = id(rule, upstream);
    let wanted = rule.keeps() && is_label_value(&id) && rule.covers(upstream.namespace.as_deref());
    let place = upstream.place();
    let mut tell = |what: String| left.push(Unfinished(format!("rule {}: {what}", rule.name)));
    if !wanted {
        if held {
            tell(format!("{place} carries a hold that nothing wants"));
        }
        if !rule.covers(upstream.namespace.as_deref()) || !rule.enforce || !is_label_value(&id) {
            return;
        }
    }
    if upstream.terminating.is_none() {
        if wanted && !held {
            tell(format!("{place} carries no hold"));
        }
        return;
    }
    let dependents: Vec<_> = dependents(rule, truth, upstream, &id).collect();
    if barred(rule, truth, upstream, &dependents).is_some() {
        return;
    }
    for dependent in &dependents {
        if dependent.terminating.is_none() {
            tell(format!(
                "{} is alive, but {place} is being deleted",
                dependent.place()
            ));
        }
    }
    if dependents.is_empty() && held {
        tell(format!("{place} is held, but nothing of it is left"));
    }
}

fn of_gone(rule: &Rule, truth: &Truth, upstream: &Life, left: &mut Vec<Unfinished>) {
    let id = id(rule, upstream);
    if !is_label_value(&id) || !rule.covers(upstream.namespace.as_deref()) {
        return;
    }
    let dependents: Vec<_> = dependents(rule, truth, upstream, &id).collect();
    if barred(rule, truth, upstream, &dependents).is_some() {
        return;
    }
    let Some(gone) = upstream.gone.filter(|gone| gone.at >= LISTED) else {
        return;
    };
    for dependent in dependents {
        let since = dependent
            .label_since(rule.label)
            .map_or(u64::MAX, |since| since.seq);
        if dependent.terminating.is_none() && since < gone.seq {
            let place = upstream.place();
            let what = format!("{} is alive, but {place} is gone", dependent.place());
            left.push(Unfinished(format!("rule {}: {what}", rule.name)));
        }
    }
}

fn dependents<'a>(
    rule: &'a Rule,
    truth: &'a Truth,
    upstream: &'a Life,
    id: &'a str,
) -> impl Iterator<Item = &'a Life> {
    let all = truth.objects.values().filter(|life| life.exists());
    all.filter(move |life| {
        let (of, place) = (life.namespace.as_deref(), upstream.namespace.as_deref());
        life.label(rule.label) == Some(id)
            && life.uid != upstream.uid
            && rule.selects(life.kind, of, place)
    })
}

/// Why a cascade is set aside until somebody changes something.
fn barred(rule: &Rule, truth: &Truth, upstream: &Life, dependents: &[&Life]) -> Option<String> {
    // What deletes nothing can hit nothing wrong.
    if dependents.is_empty() {
        let replaced = truth.existing(rule.upstream).any(|other| {
            other.uid != upstream.uid
                && other.name == upstream.name
                && other.namespace == upstream.namespace
        });
        return replaced.then(|| "another has its place".to_owned());
    }
    let mut others = truth.existing(rule.upstream);
    if let Some(other) = others.find(|other| is_namesake(rule, upstream, other)) {
        return Some(format!("{} has the same ID", other.place()));
    }
    match truth.definition(rule.upstream) {
        None => return Some("its definition is gone".to_owned()),
        Some(one) if one.terminating.is_some() => {
            return Some("its definition is being deleted".to_owned());
        }
        Some(one) if one.uid != upstream.definition => {
            return Some("its definition was replaced".to_owned());
        }
        Some(_) => {}
    }
    let live = dependents.iter().filter(|life| life.terminating.is_none());
    (live.count() > rule.limit).then(|| "too many match".to_owned())
}
