//! Who may do what.

use control_plane::{User, shared};

fn can_list_config_maps(user: &User) -> bool {
    let kubeconfig = format!("--kubeconfig={}", user.kubeconfig_path().display());
    shared()
        .kubectl(["auth", "can-i", "list", "configmaps", &kubeconfig])
        .is_ok()
}

#[test]
fn the_admin_may_do_everything() {
    let admin = shared().admin();
    let kubeconfig = format!("--kubeconfig={}", admin.kubeconfig_path().display());
    shared()
        .kubectl(["auth", "can-i", "*", "*", "--all-namespaces", &kubeconfig])
        .unwrap();
}

#[test]
fn a_user_may_do_what_was_bound_and_nothing_before() {
    let user = shared().fresh_user();
    assert!(!can_list_config_maps(user));
    let role = format!("lists-config-maps-{}", user.name());
    shared()
        .kubectl([
            "create",
            "clusterrole",
            &role,
            "--verb=list",
            "--resource=configmaps",
        ])
        .unwrap();
    let (of_role, subject) = (
        format!("--clusterrole={role}"),
        format!("--user={}", user.name()),
    );
    shared()
        .kubectl(["create", "clusterrolebinding", &role, &of_role, &subject])
        .unwrap();
    // The authorizer hears of a new binding through a watch.
    crate::eventually("the binding takes effect", || can_list_config_maps(user));
}

#[test]
fn a_fresh_user_is_nobody_elses() {
    assert_ne!(shared().fresh_user(), shared().fresh_user());
}

#[test]
fn users_are_found_by_name() {
    let found = shared().kubeconfig_for("user-64").unwrap();
    assert!(found.ends_with("user-64"));
    assert_eq!(shared().kubeconfig_for("stranger"), None);
}
