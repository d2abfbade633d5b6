//! The main job, end to end.

use futures::future::join_all;

use crate::{
    fixtures::{CLUSTER, NETWORK, Object, PROJECT, VOLUME, admin, fresh_namespace, unique, until},
    rig::{LABEL, RuleDraft, Setup, Stage, held, two_namespaces},
};

/// A project with 200 dependents of three kinds in two namespaces, and 200 bystanders.
struct Scene {
    project: Object,
    ours: Vec<Object>,
    others: Vec<Object>,
    /// A network whose owned child keeps it until it is released.
    parent: Object,
    child: Object,
    namespaces: [String; 3],
}

impl Scene {
    async fn set(client: &kube::Client) -> Self {
        let (tenants, region) = two_namespaces(client).await;
        let compute = fresh_namespace(client, "compute").await;
        let project = PROJECT
            .named(unique("p"))
            .within(&tenants)
            .create(client)
            .await;
        let id = project.name.as_str();
        let kinds = [(NETWORK, &region), (VOLUME, &region), (CLUSTER, &compute)];
        let place = |index: usize| kinds[index % kinds.len()];
        let ours = (0..200).map(|index| {
            let (kind, namespace) = place(index);
            kind.named(format!("ours-{index}"))
                .within(namespace)
                .labelled(LABEL, id)
                .create(client)
        });
        let others = (0..200).map(|index| {
            let (kind, namespace) = place(index);
            let draft = kind.named(format!("theirs-{index}")).within(namespace);
            let draft = match index % 3 {
                0 => draft,
                1 => draft.labelled(LABEL, "another"),
                _ => draft.labelled("example.com/other", id),
            };
            draft.create(client)
        });
        let (ours, others) = (join_all(ours).await, join_all(others).await);
        let parent = ours[0].clone();
        let child = NETWORK
            .named("child")
            .within(&region)
            .owned_by(&parent)
            .kept_by("example.com/child")
            .create(client)
            .await;
        Self {
            project,
            ours,
            others,
            parent,
            child,
            namespaces: [tenants, region, compute],
        }
    }

    fn rule(&self, rest: &str) -> RuleDraft {
        let [tenants, region, compute] = &self.namespaces;
        let upstream = format!("scope: {{namespaces: [{tenants}]}}{rest}");
        RuleDraft::scoped("project", PROJECT, &upstream)
            .takes(NETWORK, region)
            .takes(VOLUME, region)
            .takes(CLUSTER, compute)
    }

    /// Exactly ours go, in foreground, and the project last.
    async fn plays_out(&self, holds: bool) {
        let Self {
            project,
            ours,
            others,
            parent,
            child,
            ..
        } = self;
        until("all but the parent are gone", async || {
            let mut gone = join_all(ours.iter().skip(1).map(Object::is_gone))
                .await
                .into_iter();
            gone.all(|gone| gone)
        })
        .await;
        assert!(
            parent.terminates().await,
            "a foreground deletion waits for the child"
        );
        assert!(child.terminates().await, "the child is deleted first");
        assert!(
            !holds || project.terminates().await,
            "the project waits for the parent"
        );
        child.set_finalizers(&[]).await;
        until("the parent is gone", async || parent.is_gone().await).await;
        until("the project is gone", async || project.is_gone().await).await;
        for other in others {
            assert!(other.lives().await, "{} is nobody's dependent", other.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dependents_go_in_foreground_and_the_upstream_goes_last() {
    let client = admin().await;
    let scene = Scene::set(&client).await;
    let controller = Setup::of(scene.rule("")).ready().await;
    until("the project is held", async || {
        !scene.project.finalizers().await.is_empty()
    })
    .await;
    scene.project.delete().await;
    scene.plays_out(true).await;
    assert!(
        controller
            .metric("kube_cascade_deletes_total", &["Deleted"])
            .await
            >= 200.0
    );
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deleted_while_the_controller_was_down_goes_after_its_start() {
    let client = admin().await;
    let scene = Scene::set(&client).await;
    let controller = Setup::of(scene.rule("")).ready().await;
    until("the project is held", async || {
        !scene.project.finalizers().await.is_empty()
    })
    .await;
    let setup = controller.stop().await;
    scene.project.delete().await;
    let controller = setup.ready().await;
    scene.plays_out(true).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_19_an_upstream_without_finalizers_is_seen_going_and_its_dependents_go() {
    let client = admin().await;
    let scene = Scene::set(&client).await;
    let controller = Setup::of(scene.rule(", hold: false")).ready().await;
    assert_eq!(
        scene.project.finalizers().await,
        Vec::<String>::new(),
        "nothing holds it"
    );
    scene.project.delete().await;
    assert!(scene.project.is_gone().await, "nothing keeps it");
    scene.plays_out(false).await;
    controller.stop().await;
}

#[tokio::test]
async fn a_dependent_created_during_the_cascade_goes_too() {
    let stage = Stage::set().await;
    let project = stage.project().await;
    let labelled = |name: &str| stage.labelled(NETWORK, name, &project.name);
    let slow = labelled("slow")
        .kept_by("example.com/slow")
        .create(&stage.client)
        .await;
    let rule = stage.rule();
    let controller = Setup::of(rule).ready().await;
    held(&project).await;
    project.delete().await;
    until("the cascade is under way", async || slow.terminates().await).await;
    let late = labelled("late").create(&stage.client).await;
    until("the late one is gone", async || late.is_gone().await).await;
    assert!(project.terminates().await, "the slow one is still there");
    slow.set_finalizers(&[]).await;
    until("the project is gone", async || project.is_gone().await).await;
    assert!(slow.is_gone().await);
    controller.stop().await;
}
