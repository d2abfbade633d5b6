use clap::error::ErrorKind;

use super::*;

fn arguments(line: &str) -> Vec<OsString> {
    let program = std::iter::once("/usr/local/bin/kubectl-cascade");
    program
        .chain(line.split_whitespace())
        .map(OsString::from)
        .collect()
}

fn run(line: &str) -> RunOptions {
    match parse(&arguments(line))
        .unwrap_or_else(|error| panic!("{error}"))
        .command
    {
        Command::Run(options) => options,
        other => panic!("{other:?}"),
    }
}

fn release(line: &str) -> ReleaseOptions {
    match parse(&arguments(line))
        .unwrap_or_else(|error| panic!("{error}"))
        .command
    {
        Command::Release(options) => options,
        other => panic!("{other:?}"),
    }
}

/// The command line is refused with an error that begins so.
fn check_refused(rows: &[(&str, &str)]) {
    for (line, expected) in rows {
        let error = parse(&arguments(line)).expect_err(line).to_string();
        assert!(error.starts_with(expected), "{line}: {error}");
    }
}

#[test]
fn the_declarations_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn run_has_the_documented_defaults() {
    let options = run("run --rules rules.yaml");
    assert_eq!(options.rules, Path::new("rules.yaml"));
    assert_eq!(options.installation.name.as_str(), "default");
    assert_eq!(options.installation.lease_namespace, None);
    assert!(options.leader_elect);
    assert_eq!(options.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(options.max_in_flight.get(), 32);
    assert_eq!(options.qps, None);
    assert_eq!(options.connection.upstream_kubeconfig, None);
}

#[test]
fn every_flag_of_run_is_taken() {
    let options = run(
        "run --rules=rules --installation region --lease-namespace ops --leader-elect=false \
         --listen 0.0.0.0:9090 --max-in-flight 8 --qps 50 --upstream-kubeconfig up.yaml \
         --context stage --kubeconfig down.yaml",
    );
    assert_eq!(options.installation.name.as_str(), "region");
    assert_eq!(
        options.installation.lease_namespace,
        Some("ops".parse().unwrap())
    );
    assert!(!options.leader_elect);
    assert_eq!(options.listen.port(), 9090);
    assert_eq!(options.max_in_flight.get(), 8);
    assert_eq!(options.qps, NonZeroU32::new(50));
    assert_eq!(
        options.connection.upstream_kubeconfig,
        Some("up.yaml".into())
    );
    assert_eq!(options.connection.context.as_deref(), Some("stage"));
    assert_eq!(options.connection.kubeconfig, Some("down.yaml".into()));
    assert!(run("run --rules rules --leader-elect").leader_elect);
    assert!(run("run --rules rules --leader-elect=true").leader_elect);
}

#[test]
fn release_is_of_one_rule_or_of_all() {
    let one = release("release project --yes");
    assert_eq!(one.target(), Target::Rule(&"project".parse().unwrap()));
    assert!(one.yes);
    let all = release("release --all --installation region");
    assert_eq!(all.target(), Target::All);
    assert!(!all.yes);
}

#[test]
fn what_is_wrong_is_named_with_its_flag_and_what_is_allowed() {
    check_refused(&[
        (
            "run",
            "error: the following required arguments were not provided:\n  --rules <PATH>",
        ),
        (
            "",
            "error: 'kubectl cascade' requires a subcommand but one was not provided",
        ),
        ("walk", "error: unrecognized subcommand 'walk'"),
        ("run --rule x", "error: unexpected argument '--rule' found"),
        (
            "run --rules x --installation a-name-that-is-too-long",
            "error: invalid value 'a-name-that-is-too-long' for '--installation <NAME>': \
             \"a-name-that-is-too-long\" is no name of an installation; allowed: at most 20 \
             lower-case letters, digits and '-', beginning and ending with a letter or digit",
        ),
        (
            "run --rules x --installation a_b",
            "error: invalid value 'a_b' for '--installation <NAME>'",
        ),
        (
            "run --rules x --lease-namespace A",
            "error: invalid value 'A' for '--lease-namespace <NAMESPACE>': \"A\" is no name of a \
             namespace; allowed: ",
        ),
        (
            "run --rules x --leader-elect=no",
            "error: invalid value 'no' for '--leader-elect[=<true|false>]'",
        ),
        (
            "run --rules x --listen :8080",
            "error: invalid value ':8080' for '--listen <ADDRESS:PORT>': allowed: an IP address \
             and a port, such as 127.0.0.1:8080",
        ),
        (
            "run --rules x --max-in-flight 0",
            "error: invalid value '0' for '--max-in-flight <N>': allowed: a whole number of 1 or \
             more",
        ),
        (
            "run --rules x --qps 0.5",
            "error: invalid value '0.5' for '--qps <N>': allowed: a whole number of 1 or more",
        ),
        (
            "release",
            "error: the following required arguments were not provided:\n  <RULE|--all>",
        ),
        (
            "release a --all",
            "error: the argument '[RULE]' cannot be used with '--all'",
        ),
        (
            "release A",
            "error: invalid value 'A' for '[RULE]': \"A\" is no name of a rule; allowed: ",
        ),
    ]);
}

#[test]
fn help_calls_the_program_as_kubectl_does() {
    let help = |program: &str| {
        let error = parse(&[program.into(), "run".into(), "--help".into()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DisplayHelp);
        error.to_string()
    };
    assert!(
        help("/x/kubectl-cascade").contains("Usage: kubectl cascade run [OPTIONS] --rules <PATH>")
    );
    assert!(help("kubectl-cascade").contains("Usage: kubectl cascade run "));
    assert!(help("/x/kube-cascade").contains("Usage: kube-cascade run "));
}

#[test]
fn help_documents_the_exit_codes() {
    for line in [
        "--help",
        "run --help",
        "release --help",
        "demo --help",
        "-h",
    ] {
        let help = parse(&arguments(line)).unwrap_err().to_string();
        assert!(help.contains("Exit codes:\n  0  "), "{help}");
    }
}
