use std::time::Duration;

use super::*;

fn live() -> Envelope {
    Envelope::new("p1".parse().unwrap(), None)
        .with_uid("u1")
        .with_name("n")
        .with_definition("d1")
}

fn terminating(second: u64) -> Envelope {
    live().in_state(State::Terminating {
        since: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
    })
}

fn bare(state: State) -> Envelope {
    Envelope::of(live().key().clone(), state)
}

#[test]
fn fault_02_an_id_of_nothing_or_white_space_is_no_id() {
    for text in ["", " ", "\t\n", "\u{2003}"] {
        assert_eq!(
            ResourceId::try_from(text),
            Err(InvalidResourceId),
            "{text:?}"
        );
        assert_eq!(
            ResourceId::try_from(text.to_owned()),
            Err(InvalidResourceId),
            "{text:?}"
        );
        assert_eq!(
            text.parse::<ResourceId>(),
            Err(InvalidResourceId),
            "{text:?}"
        );
    }
}

#[test]
fn an_id_keeps_its_spelling() {
    assert_eq!(ResourceId::try_from(" a ").unwrap().as_str(), " a ");
}

#[test]
fn a_key_reads_like_kubernetes_writes_it() {
    let id: ResourceId = "p1".parse().unwrap();
    assert_eq!(
        Key::new(Some("tenants"), id.clone()).to_string(),
        "tenants/p1"
    );
    assert_eq!(Key::new(None, id).to_string(), "p1");
}

#[test]
fn only_identity_phase_etag_and_definition_are_news() {
    let check = |known: &Envelope, next: &Envelope, news: bool| {
        assert_eq!(
            known.supersede(next).is_some(),
            news,
            "{known:?} then {next:?}"
        );
    };
    check(&live(), &live(), false);
    check(&live(), &live().with_name("m"), false);
    check(&terminating(1), &terminating(2), false);
    check(&bare(State::Vanished), &bare(State::Absent), false);
    check(&bare(State::Vanished), &bare(State::Vanished), false);
    check(&live(), &live().with_uid("u2"), true);
    check(&live(), &live().with_etag("held"), true);
    check(&live().with_etag("held"), &live(), true);
    check(&live(), &live().with_definition("d2"), true);
    check(&live(), &terminating(1), true);
    check(&terminating(1), &live(), true);
    check(&live(), &bare(State::Vanished), true);
    check(&terminating(1), &bare(State::Absent), true);
    check(&bare(State::Absent), &bare(State::Vanished), true);
    check(&bare(State::Vanished), &live(), true);
}

#[test]
fn what_is_gone_keeps_what_was_last_known() {
    for state in [State::Vanished, State::Absent] {
        let gone = terminating(1)
            .with_etag("held")
            .supersede(&bare(state))
            .unwrap();
        assert_eq!(gone, live().with_etag("held").in_state(state));
    }
}

#[test]
fn what_is_gone_says_its_own_uid_when_it_knows_it() {
    let gone = live()
        .supersede(&bare(State::Vanished).with_uid("u2"))
        .unwrap();
    assert_eq!(gone.uid(), Some("u2"));
}

#[test]
fn what_lives_inherits_nothing_from_a_namesake() {
    let next = live().supersede(&bare(State::Live)).unwrap();
    assert_eq!(
        (next.uid(), next.definition(), next.name()),
        (None, None, "p1")
    );
}
