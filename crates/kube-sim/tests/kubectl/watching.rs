//! `get --watch`: what it shows while something happens.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::{
    both::{Both, Side, check, make_namespace},
    output::comparable,
};

/// Starts a watch on both servers, carries out the commands once it has shown `initial` lines, and
/// expects the same further lines from both, `more` of them.
fn check_watch(namespace: &str, watch: &str, initial: usize, commands: &[&str], more: usize) {
    let lines = Both::shared().each(|side: &Side| {
        let mut child = side
            .kubectl(namespace, watch)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let output = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut lines = output.lines().map_while(Result::ok);
        let mut seen: Vec<String> = lines.by_ref().take(initial).collect();
        for command in commands {
            let output = side.run(namespace, command);
            assert_eq!(output.status, Some(0), "kubectl {command}: {output:?}");
        }
        seen.extend(lines.take(more));
        child.kill().expect("it runs until it is killed");
        child.wait().expect("it has just been killed");
        seen.iter().map(|line| comparable(line)).collect::<String>()
    });
    let [sim, real] = lines;
    assert_eq!(sim, real, "sim != real: kubectl {watch}");
}

const CHANGES: [&str; 4] = [
    "create -f blue.yaml",
    "label net red seen=yes",
    "delete net blue",
    "delete net red",
];

#[test]
fn changes_are_shown_as_rows() {
    make_namespace("watched");
    check("watched", &["create -f red.yaml"]);
    // A header and a row; then a row for each change, the last state of what is deleted included.
    check_watch(
        "watched",
        "get net -w --request-timeout=60s",
        2,
        &CHANGES,
        4,
    );
}

#[test]
fn changes_are_shown_with_their_events() {
    make_namespace("watched-events");
    check("watched-events", &["create -f red.yaml"]);
    let watch = "get net -w --output-watch-events --request-timeout=60s";
    check_watch("watched-events", watch, 2, &CHANGES, 4);
}

#[test]
fn changes_of_a_selection_are_shown() {
    make_namespace("watched-some");
    check(
        "watched-some",
        &["create -f red.yaml", "create -f conf.yaml"],
    );
    let changes = [
        "create -f blue.yaml",
        "label net blue project=p1 --overwrite",
        "label net red project=p3 --overwrite",
    ];
    let watch = "get net -w -l project=p1 -o name --request-timeout=60s";
    check_watch("watched-some", watch, 1, &changes, 2);
    let watch = "get cm -w --field-selector=metadata.name=conf --output-watch-events \
                 --request-timeout=60s";
    check_watch(
        "watched-some",
        watch,
        2,
        &["label cm conf a=b", "delete cm conf"],
        2,
    );
}
