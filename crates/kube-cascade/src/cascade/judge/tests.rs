use proptest::prelude::*;

use super::*;
use crate::{
    cascade::plan::{Propagation, Seen},
    object::Kind,
};

fn seen(uid: usize, terminating: bool) -> Seen {
    Seen {
        object: ObjectRef::new(Kind::new("g", "K"), Some("ns".into()), format!("o{uid}")),
        uid: format!("object-{uid}").into(),
        resource_version: "1".into(),
        terminating,
        propagation: Propagation::Foreground,
    }
}

fn plan(live: usize) -> Plan {
    Plan::of((0..live).map(|uid| seen(uid, false)))
}

fn case() -> Case {
    Case {
        uid: Some("a".into()),
        witnessed: false,
        definition: Some("d1".into()),
        id_is_uid: false,
        hold: true,
        frozen: None,
        limit: None,
    }
}

fn evidence(upstream: Sighting) -> Evidence {
    let definition = Definition::Serving { uid: "d1".into() };
    Evidence {
        upstream,
        definition,
        namesakes: Vec::new(),
    }
}

fn terminating(uid: &str) -> Sighting {
    Sighting::Terminating {
        uid: uid.into(),
        held: true,
    }
}

fn live(uid: &str) -> Sighting {
    Sighting::Live { uid: uid.into() }
}

fn namesake() -> ObjectRef {
    ObjectRef::new(Kind::new("g", "Project"), Some("elsewhere".into()), "prod")
}

/// What a judgement comes to: the number of targets in the first batch, or the refusal's word.
fn verdict(plan: Plan, evidence: &Evidence, case: &Case) -> Result<usize, &'static str> {
    match judge(plan, evidence, case) {
        Ok(warrant) => Ok(warrant.batch().len()),
        Err(refusal) => Err(refusal.as_str()),
    }
}

/// Cases as the rows of the tables below name them.
impl Case {
    fn unknown() -> Self {
        Self {
            uid: None,
            ..case()
        }
    }

    fn witnessed() -> Self {
        Self {
            witnessed: true,
            ..case()
        }
    }

    fn unheld() -> Self {
        Self {
            hold: false,
            ..Self::witnessed()
        }
    }

    fn frozen() -> Self {
        let first: BTreeSet<Arc<str>> = ["object-0".into(), "object-1".into()].into();
        Self {
            frozen: Some(first.into()),
            ..case()
        }
    }

    fn by_uid(self) -> Self {
        Self {
            id_is_uid: true,
            ..self
        }
    }
}

fn check(row: &str, upstream: Sighting, case: &Case, expected: Result<usize, &'static str>) {
    assert_eq!(
        verdict(plan(3), &evidence(upstream), case),
        expected,
        "{row}"
    );
}

#[test]
fn fault_14_15_16_20_an_upstream_that_is_there_decides_by_its_uid_and_state() {
    let (alive, replaced) = (Err("UpstreamAlive"), Err("UpstreamReplaced"));
    check("terminating", terminating("a"), &case(), Ok(3));
    check(
        "terminating, uid unknown",
        terminating("b"),
        &Case::unknown(),
        Ok(3),
    );
    check("16: alive", live("a"), &case(), alive);
    check("16: alive, uid unknown", live("b"), &Case::unknown(), alive);
    check(
        "20: alive after a DELETED event",
        live("a"),
        &Case::unheld(),
        alive,
    );
    check("14: replaced by a live one", live("b"), &case(), replaced);
    check(
        "15: replaced, replayed",
        live("b"),
        &Case::unheld(),
        replaced,
    );
    check(
        "replaced by a terminating one",
        terminating("b"),
        &case(),
        replaced,
    );
    check(
        "replaced in mid-cascade",
        live("b"),
        &Case::frozen(),
        replaced,
    );
    check(
        "its uid is its ID: replaced",
        live("b"),
        &Case::unheld().by_uid(),
        Ok(3),
    );
    check(
        "its uid is its ID: alive",
        live("a"),
        &Case::unheld().by_uid(),
        alive,
    );
}

#[test]
fn fault_17_19_21_59_an_upstream_that_is_gone_needs_a_witness_or_a_plan_from_before() {
    let unwitnessed = Err("DeletionUnwitnessed");
    check(
        "17: uid unknown",
        Sighting::Gone,
        &Case::unknown(),
        Err("UpstreamUnknown"),
    );
    check("21: nobody saw it", Sighting::Gone, &case(), unwitnessed);
    check(
        "it went without our hold",
        Sighting::Gone,
        &Case::witnessed(),
        unwitnessed,
    );
    check("19: seen, no hold", Sighting::Gone, &Case::unheld(), Ok(3));
    check("59: in mid-cascade", Sighting::Gone, &Case::frozen(), Ok(2));
    check("trusted", Sighting::Trusted, &case(), Ok(3));
}

#[test]
fn fault_63_a_definition_other_than_the_one_seen_refuses_everything() {
    let serving = |uid: &str| Definition::Serving { uid: uid.into() };
    for (row, expected, definition, verdict_expected) in [
        ("the same", Some("d1"), serving("d1"), Ok(1)),
        (
            "replaced",
            Some("d1"),
            serving("d2"),
            Err("DefinitionChanged"),
        ),
        (
            "gone",
            Some("d1"),
            Definition::BuiltIn,
            Err("DefinitionChanged"),
        ),
        (
            "built in",
            Some(Definition::BUILT_IN),
            Definition::BuiltIn,
            Ok(1),
        ),
        (
            "new",
            Some(Definition::BUILT_IN),
            serving("d2"),
            Err("DefinitionChanged"),
        ),
        (
            "fault 61",
            Some("d1"),
            Definition::Terminating,
            Err("DefinitionTerminating"),
        ),
        (
            "fault 61, no hint",
            None,
            Definition::Terminating,
            Err("DefinitionTerminating"),
        ),
        ("no hint", None, serving("d2"), Ok(1)),
    ] {
        let evidence = Evidence {
            definition,
            ..evidence(terminating("a"))
        };
        let case = Case {
            definition: expected.map(Into::into),
            ..case()
        };
        assert_eq!(
            verdict(plan(1), &evidence, &case),
            verdict_expected,
            "{row}"
        );
    }
}

#[test]
fn fault_71_a_namesake_refuses_everything_but_an_empty_plan() {
    let evidence = Evidence {
        namesakes: vec![namesake()],
        ..evidence(terminating("a"))
    };
    assert_eq!(verdict(plan(1), &evidence, &case()), Err("Namesakes"));
    assert_eq!(
        verdict(Plan::of([seen(1, true)]), &evidence, &case()),
        Err("Namesakes")
    );
    assert_eq!(verdict(plan(0), &evidence, &case()), Ok(0));
}

#[test]
fn fault_53_a_limit_counts_what_is_live_over_the_whole_plan() {
    let limit = |most| Case {
        limit: NonZeroUsize::new(most),
        ..case()
    };
    let evidence = evidence(terminating("a"));
    assert_eq!(verdict(plan(10), &evidence, &limit(10)), Ok(10));
    assert_eq!(
        verdict(plan(11), &evidence, &limit(10)),
        Err("LimitExceeded")
    );
    let mixed = Plan::of((0..20).map(|uid| seen(uid, uid % 2 == 0)));
    assert_eq!(verdict(mixed, &evidence, &limit(10)), Ok(10));
}

#[test]
fn a_large_plan_is_warranted_batch_by_batch_and_stays_over_its_limit() {
    let evidence = evidence(terminating("a"));
    let warrant = judge(plan(1200), &evidence, &case()).expect("it is warranted");
    assert_eq!(warrant.batch().len(), BATCH);
    let (_, rest) = warrant.into_parts();
    assert_eq!(rest.targets().len(), 700);
    let limited = Case {
        limit: NonZeroUsize::new(1000),
        ..case()
    };
    assert_eq!(verdict(rest, &evidence, &limited), Err("LimitExceeded"));
}

#[test]
fn every_refusal_says_what_to_do() {
    let limit = NonZeroUsize::MIN;
    for refusal in [
        Refusal::UpstreamReplaced("b".into()),
        Refusal::UpstreamUnknown,
        Refusal::DeletionUnwitnessed,
        Refusal::DefinitionChanged,
        Refusal::DefinitionTerminating,
        Refusal::Namesakes(vec![namesake()]),
        Refusal::LimitExceeded { matches: 2, limit },
    ] {
        let text = refusal.to_string();
        assert!(text.contains("nothing is deleted"), "{text}");
        assert!(
            ["delete", "raise", "restore", "rename"]
                .iter()
                .any(|word| text.contains(word))
        );
    }
}

fn any_sighting() -> impl Strategy<Value = Sighting> {
    let uid = prop_oneof!["a", "b"];
    (uid, 0..3_u8, any::<bool>()).prop_map(|(uid, state, held)| match state {
        0 => Sighting::Live { uid: uid.into() },
        1 => Sighting::Terminating {
            uid: uid.into(),
            held,
        },
        _ => Sighting::Gone,
    })
}

fn any_case() -> impl Strategy<Value = Case> {
    let flags = any::<(bool, bool, bool)>();
    let uid = prop::option::of(Just(Arc::<str>::from("a")));
    let definition = prop::option::of(Just(Arc::<str>::from("d1")));
    let frozen = prop::option::of(prop::collection::btree_set(0..40_usize, 0..40));
    let limit = prop::option::of(1..60_usize);
    (flags, uid, definition, frozen, limit).prop_map(|(flags, uid, definition, frozen, limit)| {
        let (witnessed, id_is_uid, hold) = flags;
        let name = |uid: usize| Arc::<str>::from(format!("object-{uid}"));
        let frozen = frozen.map(|uids| Arc::new(uids.into_iter().map(name).collect()));
        let limit = limit.and_then(NonZeroUsize::new);
        Case {
            uid,
            witnessed,
            definition,
            id_is_uid,
            hold,
            frozen,
            limit,
        }
    })
}

fn any_definition() -> impl Strategy<Value = Definition> {
    prop_oneof![
        Just(Definition::Serving { uid: "d1".into() }),
        Just(Definition::Serving { uid: "d2".into() }),
        Just(Definition::BuiltIn),
        Just(Definition::Terminating),
    ]
}

proptest! {
    /// The rules of safety, said the other way round: whatever is warranted is warranted by one of
    /// them.
    #[test]
    fn whatever_is_warranted_has_a_reason(
        objects in prop::collection::vec(any::<bool>(), 0..40),
        upstream in any_sighting(),
        definition in any_definition(),
        namesakes in prop::collection::vec(Just(namesake()), 0..2),
        case in any_case(),
    ) {
        let everything = Plan::of(objects.iter().enumerate().map(|(uid, gone)| seen(uid, *gone)));
        let planned = everything.uids();
        let evidence = Evidence { upstream, definition, namesakes };
        let Ok(warrant) = judge(everything, &evidence, &case) else { return Ok(()) };
        let (batch, rest) = warrant.into_parts();
        let warranted: Vec<_> = batch.iter().chain(rest.targets()).collect();
        prop_assert!(warranted.iter().all(|target| planned.contains(target.uid())));
        if warranted.is_empty() {
            return Ok(());
        }
        prop_assert!(evidence.namesakes.is_empty());
        prop_assert_ne!(&evidence.definition, &Definition::Terminating);
        if let Some(expected) = &case.definition {
            let same = match &evidence.definition {
                Definition::Serving { uid } => uid == expected,
                Definition::BuiltIn => **expected == *Definition::BUILT_IN,
                Definition::Terminating => false,
            };
            prop_assert!(same);
        }
        let ours = |uid: &Arc<str>| case.uid.as_ref().is_none_or(|expected| expected == uid);
        match &evidence.upstream {
            Sighting::Terminating { uid, .. } if ours(uid) => {}
            Sighting::Live { uid } if ours(uid) => prop_assert!(false, "it is alive"),
            Sighting::Live { .. } | Sighting::Terminating { .. } => prop_assert!(case.id_is_uid),
            _ => prop_assert!(case.uid.is_some()),
        }
        let confirmed = matches!(&evidence.upstream, Sighting::Terminating { uid, .. } if ours(uid));
        let witnessed = case.witnessed && !case.hold;
        if !(confirmed || witnessed) {
            let frozen = case.frozen.as_deref();
            let inside = |target: &&Target| frozen.is_some_and(|uids| uids.contains(target.uid()));
            prop_assert!(warranted.iter().all(inside));
        }
        if let Some(limit) = case.limit {
            prop_assert!(warranted.len() <= limit.get());
        }
    }

    #[test]
    fn what_terminates_is_never_a_target(objects in prop::collection::vec(any::<bool>(), 0..60)) {
        let plan = Plan::of(objects.iter().enumerate().map(|(uid, gone)| seen(uid, *gone)));
        let terminating = objects.iter().filter(|gone| **gone).count();
        prop_assert_eq!(plan.waiting().len(), terminating);
        prop_assert_eq!(plan.targets().len(), objects.len() - terminating);
    }

    #[test]
    fn an_object_that_two_selections_match_is_planned_once(objects in 0..40_usize) {
        let twice = (0..objects).chain(0..objects).map(|uid| seen(uid, false));
        prop_assert_eq!(Plan::of(twice).targets().len(), objects);
    }
}
