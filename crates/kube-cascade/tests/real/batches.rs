//! More dependents than fit on a page, or into one warrant.

use futures::{StreamExt, stream};
use http::StatusCode;
use kube_cascade::{Outcome, cascade::Mode};
use kube_sim::fault::{Action, Answer, Match, Rule, Verb};

use crate::{
    fixtures::{Object, PROJECT},
    ground::{Ground, network_lists, pass},
};

/// A page, and a warrant, holds 500.
const MANY: usize = 510;

async fn project_with_many(ground: &Ground) -> Object {
    let project = ground.terminating_project().await;
    let networks = (0..MANY).map(|_| ground.network_of(&project));
    stream::iter(networks)
        .buffer_unordered(16)
        .for_each(|_| async {})
        .await;
    project
}

fn later_pages() -> Match {
    network_lists().when(|call| call.query("continue").is_some())
}

#[tokio::test]
async fn fault_25_27_a_list_is_restarted_or_paged_on_and_no_part_of_it_is_taken_for_all() {
    let ground = Ground::new().await;
    let project = project_with_many(&ground).await;
    let envelope = project.envelope().await;
    let report = ground.cascade().mode(Mode::Report);

    // 25: the continue token has expired, once.
    let expired = Action::answer(Answer::status(StatusCode::GONE));
    let rule = ground
        .faults
        .add(Rule::new(later_pages(), expired).first(1));
    assert_eq!(pass(&report, envelope.clone()).await, Outcome::Done);
    assert_eq!(rule.fired(), 1);
    assert_eq!(ground.faults.recorder().count(&network_lists()), 4);
    rule.remove();

    // 27: the first page is empty and has a continue token, so the second one is asked for.
    let empty = Action::edit_json(|page| page["items"] = serde_json::json!([]));
    let rule = ground
        .faults
        .add(Rule::new(network_lists(), empty).first(1));
    assert_eq!(pass(&report, envelope.clone()).await, Outcome::Done);
    rule.remove();
    let kind = "Network.region.example.com";
    let reported = [
        format!("Reported 510 {kind}"),
        format!("Reported 10 {kind}"),
    ];
    assert_eq!(ground.told.all(), reported);
    assert_eq!(ground.deletes(), [""; 0]);

    // Pages are metadata only, read from storage, and of 500.
    for list in ground.faults.recorder().matching(&network_lists()) {
        let call = list.call();
        assert_eq!(call.query("limit"), Some("500"));
        assert_eq!(call.query("resourceVersion"), None);
        let accept = call.headers()["accept"].to_str().expect("it is text");
        assert!(accept.contains("as=PartialObjectMetadataList"), "{accept}");
    }

    // And then all of them go.
    pass(&ground.cascade(), envelope).await;
    assert_eq!(ground.deletes().len(), MANY);
}

#[tokio::test]
async fn fault_64_the_upstream_is_confirmed_again_for_every_batch() {
    let ground = Ground::new().await;
    let old = project_with_many(&ground).await;
    let confirm = Match::verb(Verb::Get).resource(PROJECT.plural);
    let (cascade, envelope) = (ground.cascade(), old.envelope().await);
    let vanish_and_appear = async {
        old.set_finalizers(&[]).await;
        old.again().create(&ground.hands).await;
    };
    let outcome = ground
        .meanwhile(
            confirm,
            |rule| rule.nth(2),
            &cascade,
            envelope,
            vanish_and_appear,
        )
        .await;
    assert_eq!(outcome.expect("it ends"), Outcome::Done);
    assert_eq!(ground.deletes().len(), 500);
}
