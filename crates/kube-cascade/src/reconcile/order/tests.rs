use proptest::{prelude::*, sample::subsequence};

use super::*;

const OWN: &str = "region.example.com/operator";
const CLUSTER: &str = "clusters.compute.example.com/east_blue";
const SERVER: &str = "servers.compute.example.com/west_red";
const HOLD: &str = "kube-cascade.dev/default_network";
const STRANGER: &str = "no-reference";

fn order() -> Order {
    Order::new(OWN.parse().expect("it is a finalizer"))
}

fn reference(text: &str) -> Reference {
    text.parse().expect("it is a reference")
}

#[test]
fn each_state_of_an_object_has_its_step() {
    use Phase::{Live, Terminating};
    use Work::{Done, Pending};
    let waiting = |names: &[&str]| {
        Step::WaitForReferences(names.iter().map(|name| reference(name)).collect())
    };
    let held = || Step::WaitForDependents(vec![HOLD.to_owned()]);
    let rows: &[(Phase, &[&str], Work, Step)] = &[
        (Live, &[], Pending, Step::Adopt),
        (Live, &[CLUSTER, HOLD], Pending, Step::Adopt),
        (Live, &[OWN], Pending, Step::Provision),
        (Live, &[CLUSTER, OWN, HOLD], Pending, Step::Provision),
        (Terminating, &[], Pending, Step::Leave),
        (Terminating, &[CLUSTER, CHILDREN], Pending, Step::Leave),
        (Terminating, &[STRANGER], Done, Step::Leave),
        (Terminating, &[OWN], Pending, Step::Deprovision),
        (Terminating, &[OWN, STRANGER], Pending, Step::Deprovision),
        (Terminating, &[OWN, "orphan"], Pending, Step::Deprovision),
        (Terminating, &[OWN], Done, Step::Finish),
        (Terminating, &[STRANGER, OWN], Done, Step::Finish),
        (
            Terminating,
            &[OWN, CHILDREN],
            Pending,
            Step::WaitForChildren,
        ),
        (Terminating, &[OWN, CHILDREN], Done, Step::WaitForChildren),
        (Terminating, &[OWN, HOLD, CHILDREN], Pending, held()),
        (Terminating, &[OWN, HOLD], Done, held()),
        (
            Terminating,
            &[CHILDREN, CLUSTER, HOLD, OWN],
            Pending,
            waiting(&[CLUSTER]),
        ),
        (
            Terminating,
            &[SERVER, OWN, CLUSTER],
            Done,
            waiting(&[SERVER, CLUSTER]),
        ),
    ];
    for (phase, finalizers, work, step) in rows {
        let found = order().step(*phase, finalizers, *work);
        assert_eq!(found, *step, "{phase:?} {finalizers:?} {work:?}");
    }
}

#[test]
fn a_finalizer_that_is_told_apart_is_no_reason_to_wait() {
    let theirs = "dns.example.com/controller";
    let finalizers = [OWN, theirs];
    let step = |order: Order| order.step(Phase::Terminating, &finalizers, Work::Pending);
    assert_eq!(
        step(order()),
        Step::WaitForReferences(vec![reference(theirs)])
    );
    let known = NotReferences::well_known().and(theirs);
    let order = Order::telling_apart(order().own().clone(), known);
    assert_eq!(step(order), Step::Deprovision);
}

#[test]
fn an_own_finalizer_is_nobody_elses() {
    let name = "n".repeat(64);
    for (text, allowed) in [
        (OWN, true),
        ("unikorn", true),
        ("a/b", true),
        (&format!("a/{}", &name[..63]), true),
        (&format!("a/{name}"), false),
        ("", false),
        ("/", false),
        ("a/", false),
        ("/a", false),
        ("a/b/c", false),
        ("A.example.com/b", false),
        ("a/b ", false),
        (CHILDREN, false),
        ("orphan", false),
        ("kubernetes.io/pv-protection", false),
        (HOLD, false),
    ] {
        assert_eq!(text.parse::<OwnFinalizer>().is_ok(), allowed, "{text:?}");
    }
}

/// Some finalizers of an object, in any order, each at most once.
fn finalizers() -> impl Strategy<Value = Vec<&'static str>> {
    let all = vec![OWN, CLUSTER, SERVER, HOLD, CHILDREN, STRANGER, "orphan"];
    let len = all.len();
    subsequence(all, 0..=len).prop_shuffle()
}

/// What others do to a terminating object between two looks at it, as far as a server lets them.
#[derive(Clone, Copy, Debug)]
enum Deed {
    TakeOff(usize),
    /// A second DELETE, in foreground.
    WaitForChildren,
    DeprovisioningEnds,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (0..8_usize).prop_map(Deed::TakeOff),
        1 => Just(Deed::WaitForChildren),
        2 => Just(Deed::DeprovisioningEnds),
    ];
    prop::collection::vec(deed, 0..40)
}

proptest! {
    /// Whatever others do in whichever order: nothing is taken down that somebody needs, and the
    /// object is not let go before it was taken down.
    #[test]
    fn no_order_of_events_finishes_early(mut finalizers in finalizers(), deeds in deeds()) {
        let order = order();
        let mut work = Work::Pending;
        for deed in deeds {
            let step = order.step(Phase::Terminating, &finalizers, work);
            let needed = finalizers
                .iter()
                .any(|name| [CLUSTER, SERVER, HOLD, CHILDREN].contains(name));
            match &step {
                Step::Deprovision => prop_assert!(!needed && work == Work::Pending),
                Step::Finish => prop_assert!(!needed && work == Work::Done),
                Step::Leave => prop_assert!(!finalizers.contains(&OWN)),
                Step::WaitForReferences(_) | Step::WaitForDependents(_) | Step::WaitForChildren => {
                    prop_assert!(needed);
                }
                Step::Adopt | Step::Provision => prop_assert!(false, "it terminates"),
            }
            match deed {
                // Ours is taken off by ourselves only.
                Deed::TakeOff(place) if finalizers.get(place).is_some_and(|name| *name != OWN) => {
                    finalizers.remove(place);
                }
                Deed::WaitForChildren if !finalizers.contains(&CHILDREN) => {
                    finalizers.push(CHILDREN);
                }
                Deed::DeprovisioningEnds if step == Step::Deprovision => work = Work::Done,
                _ => {}
            }
        }
    }

    /// A live object is never waited for, taken down or let go, and gets our finalizer first.
    #[test]
    fn a_live_object_is_adopted_before_it_is_provisioned(finalizers in finalizers()) {
        for work in [Work::Pending, Work::Done] {
            let step = order().step(Phase::Live, &finalizers, work);
            let ours = finalizers.contains(&OWN);
            prop_assert_eq!(step, if ours { Step::Provision } else { Step::Adopt });
        }
    }
}
