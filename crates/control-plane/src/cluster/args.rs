//! The components' command lines.

use std::path::Path;

use super::Ports;
use crate::credentials::{Server, User, service_account_key, token_file};

/// The name by which an etcd is told from another one: its folder's, which is unique.
pub(super) fn etcd_name(folder: &Path) -> String {
    folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

pub(super) fn etcd(folder: &Path, ports: Ports) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let name = etcd_name(folder);
    vec![
        format!("--name={name}"),
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        // There are no peers, so any port will do.
        "--listen-peer-urls=http://127.0.0.1:0".to_owned(),
        "--initial-advertise-peer-urls=http://127.0.0.1:0".to_owned(),
        format!("--initial-cluster={name}=http://127.0.0.1:0"),
        // The data dies with its folder; a crash of the machine needs no protection.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

pub(super) fn api_server(folder: &Path, ports: Ports, extra: &[String]) -> Vec<String> {
    let key = service_account_key(folder);
    let mut args = vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd),
        "--bind-address=127.0.0.1".to_owned(),
        // Else it looks for an address of the machine, and some machines have none.
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--secure-port={}", ports.api_server),
        format!("--cert-dir={}", folder.join("certificates").display()),
        "--authorization-mode=RBAC".to_owned(),
        format!("--token-auth-file={}", token_file(folder).display()),
        "--service-account-issuer=https://control-plane.invalid".to_owned(),
        format!("--service-account-key-file={}", key.display()),
        format!("--service-account-signing-key-file={}", key.display()),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        // Pods would wait for a service account's token; there are no nodes to run them anyway.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--profiling=false".to_owned(),
    ];
    args.extend_from_slice(extra);
    args
}

pub(super) fn controller_manager(admin: &User) -> Vec<String> {
    let kubeconfig = admin.kubeconfig_path().display();
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        // What tests rely on, and no more. Roles are not aggregated, so `view`, `edit` and `admin`
        // grant nothing here.
        "--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller"
            .to_owned(),
        "--leader-elect=false".to_owned(),
        // It serves nothing, so it needs no port.
        "--secure-port=0".to_owned(),
        // The default, 20 a second, would make the garbage collector the slowest part of every
        // test: about 15 dependents a second.
        "--kube-api-qps=2000".to_owned(),
        "--kube-api-burst=4000".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

/// Where the API server is found, and where it puts the certificate that proves it.
pub(super) fn server(folder: &Path, ports: Ports) -> Server {
    Server {
        url: format!("https://127.0.0.1:{}", ports.api_server),
        // The API server makes a certificate of its own and puts its authority into the same
        // file.
        ca: folder.join("certificates").join("apiserver.crt"),
    }
}
