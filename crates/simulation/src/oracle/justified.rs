//! Whether a DELETE was right: what the truth was when a careful reader may have looked.

use std::time::Duration;

use super::{id, is_namesake};
use crate::{
    truth::{Life, Moment, Truth},
    world::{Kind, Rule},
};

/// How old the confirmation under which a DELETE is sent may be: a warrant is good for 30 s, its
/// last request takes up to 35 s, and the confirmation itself is three requests.
const STALE: Duration = Duration::from_secs(30 + 35 + 3 * 10);

/// Whether a rule had a right to delete `object` at some moment that a careful reader may have seen
/// shortly before `now`.
///
/// A DELETE demands the version that was judged, so the object was the same from the list to the
/// DELETE: the moment lies after its last write.
pub(super) fn justified(
    truth: &Truth,
    rule: &Rule,
    kind: Kind,
    object: &Life,
    now: Moment,
) -> Result<(), String> {
    if !rule.enforce {
        return Err("it only reports".to_owned());
    }
    if !rule.dependents.iter().any(|one| one.kind == kind) {
        return Err("the kind is none of its dependents'".to_owned());
    }
    let Some(value) = object.label(rule.label) else {
        return Err("it does not carry the label".to_owned());
    };
    let mut why = format!("no upstream ever had the ID {value}");
    for upstream in truth.of(rule.upstream) {
        let place = upstream.namespace.as_deref();
        if id(rule, upstream) != value || upstream.uid == object.uid {
            continue;
        }
        if !rule.covers(place) || !rule.selects(kind, object.namespace.as_deref(), place) {
            why = format!("{} is not in scope", upstream.place());
            continue;
        }
        let moments = moments(truth, rule, upstream, object, now);
        let mut barred = None;
        for seq in moments.iter().rev() {
            match permitted(truth, rule, upstream, object, *seq) {
                Ok(()) => {
                    barred = None;
                    break;
                }
                Err(reason) => barred = barred.or(Some(reason)),
            }
        }
        why = match barred {
            Some(reason) => format!("{}: {reason}", upstream.place()),
            None if exceeds(truth, rule, upstream, value, now) => {
                format!("more than {} objects match", rule.limit)
            }
            None => return Ok(()),
        };
    }
    Err(why)
}

/// The moments since the object's last write, and not too long ago, at which something about the
/// upstreams of this name or their definition changed.
fn moments(truth: &Truth, rule: &Rule, upstream: &Life, object: &Life, now: Moment) -> Vec<u64> {
    let recent = |moment: &Moment| {
        moment.seq >= object.version.seq && moment.seq < now.seq && moment.at + STALE >= now.at
    };
    let of_name = truth
        .of(rule.upstream)
        .filter(|other| other.name == upstream.name)
        .flat_map(|life| [Some(life.created), life.terminating, life.gone]);
    let definitions = truth.definitions.get(&rule.upstream);
    let of_definition = definitions
        .into_iter()
        .flatten()
        .flat_map(|life| [Some(life.created), life.terminating, life.gone]);
    let mut found: Vec<_> = of_name
        .chain(of_definition)
        .flatten()
        .filter(recent)
        .flat_map(|moment| [moment.seq - 1, moment.seq])
        .filter(|seq| *seq >= object.version.seq)
        .collect();
    found.push(now.seq - 1);
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether the upstream's deletion allowed to delete the object at that moment.
fn permitted(
    truth: &Truth,
    rule: &Rule,
    upstream: &Life,
    object: &Life,
    seq: u64,
) -> Result<(), String> {
    if upstream.created.seq > seq {
        return Err("it was not there yet".to_owned());
    }
    if let Some(other) = truth
        .of(rule.upstream)
        .find(|other| other.exists_at(seq) && is_namesake(rule, upstream, other))
    {
        return Err(format!(
            "{} (uid {}) has the same ID",
            other.place(),
            other.uid
        ));
    }
    match truth.definition_at(rule.upstream, seq) {
        Some(one) if one.terminating.is_some_and(|since| since.seq <= seq) => {
            return Err("its definition is being deleted".to_owned());
        }
        Some(one) if one.uid != upstream.definition => {
            return Err("its definition was replaced".to_owned());
        }
        Some(_) => {}
        None => return Err("its definition is gone".to_owned()),
    }
    if !upstream.terminating_at(seq) && upstream.exists_at(seq) {
        return Err("it is alive".to_owned());
    }
    if rule.hold
        && upstream
            .gone
            .is_some_and(|gone| gone.seq <= object.created.seq)
    {
        return Err("it was gone before the object was created".to_owned());
    }
    Ok(())
}

/// Whether there were too many objects at every moment at which a plan can have been made.
fn exceeds(truth: &Truth, rule: &Rule, upstream: &Life, id: &str, now: Moment) -> bool {
    let matching = |seq: u64| {
        let all = truth.objects.values().filter(|life| {
            let (of, place) = (life.namespace.as_deref(), upstream.namespace.as_deref());
            life.live_at(seq)
                && life.label_at(rule.label, seq) == Some(id)
                && life.uid != upstream.uid
                && rule.selects(life.kind, of, place)
        });
        all.count()
    };
    if matching(now.seq - 1) <= rule.limit {
        return false;
    }
    let first = upstream
        .terminating
        .or(upstream.gone)
        .map_or(0, |moment| moment.seq);
    (first..now.seq).all(|seq| matching(seq) > rule.limit)
}
