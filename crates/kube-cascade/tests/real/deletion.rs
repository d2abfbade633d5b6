//! placeholder
use crate::fixtures::*;

#[tokio::test]
async fn smoke() {
    let client = admin().await;
    let namespace = fresh_namespace(&client, "smoke").await;
    let project = PROJECT
        .named(unique("p"))
        .within(&namespace)
        .kept_by("example.com/kept")
        .create(&client)
        .await;
    assert!(project.lives().await);
    project.delete().await;
    assert!(project.terminates().await);
    project.set_finalizers(&[]).await;
    assert!(project.is_gone().await);
}
