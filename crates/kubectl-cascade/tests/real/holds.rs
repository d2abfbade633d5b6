//! Holds: put on, put back, told apart, and released.

use std::process::Command;

use kubectl_cascade::{cli, exit::Exit};

use crate::{
    fixtures::{NETWORK, Object, PROJECT, VOLUME, unique, until},
    rig::{LABEL, RuleDraft, Setup, Stage, admin_kubeconfig, held},
};

async fn is_held(object: &Object) -> bool {
    object
        .finalizers()
        .await
        .iter()
        .any(|name| name.starts_with("kube-cascade.dev/"))
}

/// Runs `kubectl-cascade release`, as the binary.
async fn release(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-cascade"));
    command
        .arg("release")
        .args(arguments)
        .arg("--kubeconfig")
        .arg(admin_kubeconfig());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("the command does not panic")
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said.into_owned())
}

#[tokio::test]
async fn fault_43_an_upstream_that_is_being_deleted_is_not_held() {
    let stage = Stage::set().await;
    let Stage {
        client, tenants, ..
    } = &stage;
    let project = PROJECT
        .named(unique("p"))
        .within(tenants)
        .kept_by("example.com/other")
        .create(client)
        .await
        .deleting()
        .await;
    let network = stage.dependent(NETWORK, "n", &project.name).await;
    let rule = stage.rule();
    let controller = Setup::of(rule).ready().await;
    until("its dependents go all the same", async || {
        network.is_gone().await
    })
    .await;
    assert_eq!(project.finalizers().await, ["example.com/other"]);
    project.set_finalizers(&[]).await;
    controller.stop().await;
}

#[tokio::test]
async fn fault_65_two_installations_hold_one_upstream_each_with_its_own_finalizer() {
    let stage = Stage::set().await;
    let Stage {
        client,
        tenants,
        region,
    } = &stage;
    let project = stage.project().await;
    let network = stage.dependent(NETWORK, "n", &project.name).await;
    let slow = stage
        .labelled(VOLUME, "v", &project.name)
        .kept_by("example.com/slow")
        .create(client)
        .await;
    let first = stage.rule();
    let second = RuleDraft::of("project", PROJECT, tenants).takes(crate::fixtures::VOLUME, region);
    let first = Setup::of(first).ready().await;
    let second = Setup::of(second).ready().await;
    until("both hold it", async || {
        project.finalizers().await.len() == 2
    })
    .await;
    project.delete().await;
    until("the first is done", async || {
        project.finalizers().await.len() == 1
    })
    .await;
    assert!(network.is_gone().await);
    assert!(project.finalizers().await[0].contains(second.installation()));
    slow.set_finalizers(&[]).await;
    until("the project is gone", async || project.is_gone().await).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn fault_66_a_hold_that_is_stripped_from_a_live_upstream_is_put_back() {
    let stage = Stage::set().await;
    let project = stage.project().await;
    let network = stage.dependent(NETWORK, "n", &project.name).await;
    let rule = stage.rule();
    let controller = Setup::of(rule).ready().await;
    for _ in 0..3 {
        held(&project).await;
        project.set_finalizers(&[]).await;
    }
    until("it is held again", async || is_held(&project).await).await;
    assert!(network.lives().await && project.lives().await);
    controller.stop().await;
}

#[tokio::test]
async fn fault_67_an_upstream_whose_name_is_no_label_value_is_not_held() {
    let stage = Stage::set().await;
    let Stage {
        client,
        tenants,
        region,
    } = &stage;
    let rule = stage.rule();
    let setup = Setup::of(rule);
    let ours = format!("kube-cascade.dev/{}_project", setup.installation);
    let long = |letter: &str| format!("{}-{}", unique("p"), letter.repeat(64));
    let plain = PROJECT
        .named(long("a"))
        .within(tenants)
        .create(client)
        .await;
    let held = PROJECT
        .named(long("b"))
        .within(tenants)
        .kept_by(&ours)
        .create(client)
        .await;
    let going = PROJECT
        .named(long("c"))
        .within(tenants)
        .kept_by(&ours)
        .create(client)
        .await;
    going.delete().await;
    let network = NETWORK
        .named("n")
        .within(region)
        .labelled(LABEL, "p")
        .create(client)
        .await;
    let controller = setup.ready().await;
    until("the hold on the live one is released", async || {
        !is_held(&held).await
    })
    .await;
    until("the terminating one is gone", async || {
        going.is_gone().await
    })
    .await;
    assert!(!is_held(&plain).await && plain.lives().await && network.lives().await);
    controller.stop().await;
}

#[tokio::test]
async fn fault_69_a_withdrawn_rule_deletes_no_more_and_its_hold_is_released_by_hand() {
    let stage = Stage::set().await;
    let Stage {
        client,
        tenants,
        region,
    } = &stage;
    let project = stage.project().await;
    let labelled = |name: &str| stage.labelled(NETWORK, name, &project.name);
    let slow = labelled("slow")
        .kept_by("example.com/slow")
        .create(client)
        .await;
    let withdrawn = RuleDraft::of("withdrawn", PROJECT, tenants).takes(NETWORK, region);
    let controller = Setup::of(withdrawn).ready().await;
    let installation = controller.installation().to_owned();
    held(&project).await;
    let (code, said) = release(&["withdrawn", "--yes", "--installation", &installation]).await;
    assert_eq!(code, Some(i32::from(Exit::Refused.code())), "{said}");
    assert!(said.contains("serves rule withdrawn"), "{said}");
    project.delete().await;
    until("the cascade is under way", async || slow.terminates().await).await;
    controller.stop().await;

    let late = labelled("late").create(client).await;
    let other = RuleDraft::of("other", PROJECT, region).takes(NETWORK, tenants);
    let controller = Setup::of(other)
        .in_installation(&installation)
        .ready()
        .await;
    let (code, said) = release(&["withdrawn", "--yes", "--installation", &installation]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&format!("{tenants}/{} released", project.name)),
        "{said}"
    );
    until("the project is gone", async || project.is_gone().await).await;
    assert!(late.lives().await, "no rule deletes it any longer");
    slow.set_finalizers(&[]).await;
    controller.stop().await;
}

#[tokio::test]
async fn release_all_needs_the_controller_stopped_and_asks() {
    let stage = Stage::set().await;
    let project = stage.project().await;
    let rule = stage.rule();
    let controller = Setup::of(rule).ready().await;
    let installation = controller.installation().to_owned();
    held(&project).await;
    let (code, said) = release(&["--all", "--yes", "--installation", &installation]).await;
    assert_eq!(code, Some(3), "{said}");
    controller.stop().await;
    let (code, said) = release(&["--all", "--installation", &installation]).await;
    assert_eq!(code, Some(3), "nobody could be asked: {said}");
    assert!(!said.contains("warning"), "{said}");
    assert!(is_held(&project).await);
    let (code, said) = release(&["--all", "--yes", "--installation", &installation]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(!is_held(&project).await);
}

#[tokio::test]
async fn release_warns_where_no_lease_can_tell_of_a_controller() {
    let installation = unique("i");
    let (code, said) = release(&["--all", "--yes", "--installation", &installation]).await;
    assert_eq!(code, Some(0), "{said}");
    let warning = format!("warning: no Lease kube-cascade-{installation} anywhere");
    assert!(said.starts_with(&warning), "{said}");
    assert!(said.contains("--leader-elect=false"), "{said}");
    assert!(!said.contains("up to 15 s"), "{said}");
}

#[tokio::test]
async fn release_finds_a_leader_whose_lease_is_elsewhere() {
    let stage = Stage::set().await;
    let Stage { region, .. } = &stage;
    let project = stage.project().await;
    let rule = stage.rule();
    let setup = Setup::of(rule).with("--lease-namespace", region);
    let controller = setup.ready().await;
    let installation = controller.installation().to_owned();
    held(&project).await;
    let (code, said) = release(&["--all", "--yes", "--installation", &installation]).await;
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains(&format!("--lease-namespace {region}")),
        "{said}"
    );
    assert!(is_held(&project).await);
    controller.stop().await;
}

#[test]
fn release_takes_a_rule_or_all_but_not_both() {
    for arguments in [
        &["kubectl-cascade", "release"][..],
        &["kubectl-cascade", "release", "a", "--all"],
    ] {
        let arguments: Vec<_> = arguments.iter().map(Into::into).collect();
        assert!(cli::parse(&arguments).is_err());
    }
}
