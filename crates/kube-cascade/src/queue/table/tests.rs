use super::*;

fn key(id: &str) -> Key {
    Key::new(None, id.parse().unwrap())
}

fn live(id: &str) -> Envelope {
    Envelope::of(key(id), State::Live).with_uid(format!("uid of {id}"))
}

/// A table that has seen a complete snapshot of these.
fn table(ids: &[&str]) -> Table {
    let mut table = Table::default();
    let number = table.begin_snapshot();
    for id in ids {
        assert!(table.apply(live(id)).is_some());
    }
    assert_eq!(table.complete_snapshot(number), []);
    table
}

fn absent(id: &str) -> Envelope {
    live(id).in_state(State::Absent)
}

#[test]
fn what_is_known_is_no_news() {
    let mut table = table(&["a"]);
    assert_eq!(table.apply(live("a")), None);
    assert_eq!(
        table.apply(live("a").with_uid("other")),
        Some(live("a").with_uid("other"))
    );
}

#[test]
fn a_complete_snapshot_proves_absence_once() {
    let mut table = table(&["a", "b", "c"]);
    for news in [vec![absent("a"), absent("c")], vec![]] {
        let number = table.begin_snapshot();
        table.apply(live("b"));
        assert_eq!(table.complete_snapshot(number), news);
    }
}

#[test]
fn a_snapshot_that_broke_off_proves_nothing() {
    let mut table = table(&["a", "b"]);
    table.begin_snapshot();
    table.apply(live("b"));
    let number = table.begin_snapshot();
    table.apply(live("a"));
    table.apply(live("b"));
    assert_eq!(table.complete_snapshot(number), []);
}

#[test]
fn what_was_put_before_a_snapshot_broke_off_does_not_count_for_the_next() {
    let mut table = table(&["a"]);
    table.begin_snapshot();
    table.apply(live("a"));
    let number = table.begin_snapshot();
    assert_eq!(table.complete_snapshot(number), [absent("a")]);
}

#[test]
fn what_appears_during_a_snapshot_is_not_absent() {
    let mut table = table(&["a"]);
    let number = table.begin_snapshot();
    table.apply(live("b"));
    table.apply(live("a"));
    assert_eq!(table.complete_snapshot(number), []);
}

#[test]
fn what_vanished_does_not_become_absent() {
    let mut table = table(&["a"]);
    assert!(
        table
            .apply(Envelope::of(key("a"), State::Vanished))
            .is_some()
    );
    let number = table.begin_snapshot();
    assert_eq!(table.complete_snapshot(number), []);
}

#[test]
fn a_vanishing_that_nobody_saw_begin_is_told() {
    let mut table = table(&[]);
    let vanished = live("a").in_state(State::Vanished);
    assert_eq!(table.apply(vanished.clone()), Some(vanished));
}

#[test]
fn a_vanishing_keeps_the_known_uid() {
    let mut table = table(&["a"]);
    let news = table.apply(Envelope::of(key("a"), State::Vanished));
    assert_eq!(news, Some(live("a").in_state(State::Vanished)));
}

#[test]
fn only_what_is_gone_is_forgotten() {
    let mut table = table(&["a", "b"]);
    table.apply(Envelope::of(key("b"), State::Vanished));
    table.forget_gone(&key("a"));
    table.forget_gone(&key("b"));
    table.forget_gone(&key("c"));
    assert_eq!(table.known.keys().collect::<Vec<_>>(), [&key("a")]);
}

#[test]
fn what_came_back_is_news_after_it_was_absent() {
    let mut table = table(&["a"]);
    let number = table.begin_snapshot();
    table.complete_snapshot(number);
    assert_eq!(table.apply(live("a")), Some(live("a")));
}
