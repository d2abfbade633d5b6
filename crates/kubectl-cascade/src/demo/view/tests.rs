use serde_json::json;

use super::*;
use crate::demo::stage::{Actor, Change};

fn stage() -> Stage {
    let mut stage = Stage::default();
    let mut add = |kind: &str, name: &str, labels: serde_json::Value| {
        let object = json!({
            "apiVersion": "any.example.com/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": "here", "uid": name, "labels": labels}
        });
        let change = Change {
            at: Duration::ZERO,
            by: Actor::You,
            before: None,
            after: Some(object),
        };
        stage.apply(&change);
    };
    add("Project", "apollo", json!({}));
    add("Volume", "data", json!({"example.com/project": "apollo"}));
    add("Network", "uplink", json!({}));
    stage
}

fn text(lines: &[Line], width: usize) -> Vec<String> {
    lines.iter().map(|line| line.paint(width, false)).collect()
}

fn happening(what: &str) -> Happening {
    Happening {
        at: Duration::from_millis(1234),
        by: Actor::Controller,
        what: what.to_owned(),
        state: Some(State::Gone),
    }
}

#[test]
fn the_tree_has_its_columns_in_line_and_no_blanks_at_the_end() {
    assert_eq!(
        text(&tree(&stage(), 80), 80),
        [
            "here  Project apollo  live",
            "here  └┄ Volume data  live",
            "here  Network uplink  live         of no project",
        ]
    );
}

#[test]
fn a_narrow_terminal_gets_no_namespaces_and_no_line_that_is_wider() {
    assert_eq!(
        text(&tree(&stage(), 59), 59)[1..],
        [
            "└┄ Volume data  live",
            "Network uplink  live         of no project"
        ]
    );
    for width in 0..100 {
        for line in tree(&stage(), width) {
            let painted = line.paint(width, false);
            assert!(painted.chars().count() <= width, "{width}: {painted:?}");
            assert_eq!(
                painted.ends_with('…'),
                width > 0 && line.width() > width,
                "{width}"
            );
        }
    }
}

#[test]
fn only_what_is_asked_to_have_colours_has_any() {
    let line = Line::bold("a")
        .and(style(State::Live), "b")
        .and(Style::new(), "c");
    assert_eq!(line.paint(80, false), "abc");
    assert_eq!(
        line.paint(80, true),
        "\u{1b}[1ma\u{1b}[0m\u{1b}[32mb\u{1b}[0mc"
    );
    assert_eq!(line.paint(2, true), "\u{1b}[1ma…\u{1b}[0m");
}

#[test]
fn news_says_when_who_and_what() {
    let line = news(&happening("DELETE Volume here/data: gone"));
    assert_eq!(
        line.paint(80, false),
        "  1.23 s  kube-cascade  DELETE Volume here/data: gone"
    );
}

#[test]
fn a_screen_leaves_a_row_to_the_cursor_and_shows_the_latest_news_that_fit() {
    let head = [Line::plain("head")];
    let told: Vec<_> = ["one", "two", "three"].map(happening).into();
    let shown = |height| text(&screen(&head, &stage(), &told, (80, height)), 80);
    for height in 1..40 {
        assert!(shown(height).len() < height.max(2), "{height}");
    }
    assert_eq!(shown(40).len(), 1 + 3 + 1 + 3);
    assert!(shown(7)[5].ends_with("three"), "{:?}", shown(7));
    assert_eq!(shown(7).len(), 6);
    assert_eq!(shown(5).len(), 4);
    assert_eq!(shown(4)[2], "… and 2 more");
}
