//! What it costs to keep objects, and how fast they are served without a socket.
//!
//! The size is what the process has grown by when the objects are there, the window of past
//! changes included: nothing is estimated. The speed is that of whole requests, from
//! `http::Request` to the last byte of the body, one after the other on one thread. Only keeping
//! and getting have a bound; the other rows are there to be compared with an earlier run.

use std::{
    error::Error,
    fs,
    process::ExitCode,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use kube_sim::ApiServer;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const OBJECTS: usize = 100_000;
const REQUESTS: usize = 100_000;
const LISTS: usize = 20;
/// More memory than this for all objects is a failure.
const MOST_MEBIBYTES: f64 = 200.0;
/// Fewer gets a second than this are a failure.
const LEAST_GETS: f64 = 20_000.0;

const NETWORKS: &str = "/apis/region.example.com/v1/namespaces/default/networks";

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let measured = runtime.block_on(run())?;
    println!("{:>9.1} MiB for {OBJECTS} objects", measured.mebibytes);
    for (what, rate) in &measured.rates {
        println!("{rate:>9.0} {what} a second");
    }
    let gets = measured.rates[1].1;
    let ok = measured.mebibytes < MOST_MEBIBYTES && gets > LEAST_GETS;
    println!(
        "{}: at most {MOST_MEBIBYTES:.0} MiB and at least {LEAST_GETS:.0} gets a second are allowed",
        if ok { "ok" } else { "FAILED" },
    );
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Measured {
    mebibytes: f64,
    rates: Vec<(&'static str, f64)>,
}

async fn run() -> Result<Measured> {
    let server = ApiServer::new();
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    send(&server, Method::POST, definitions, &definition()).await?;
    let empty = resident()?;
    let creating = Instant::now();
    for number in 0..OBJECTS {
        send(&server, Method::POST, NETWORKS, &network(number)).await?;
    }
    let creates = rate(OBJECTS, creating.elapsed());
    let mebibytes = resident()? - empty;

    let mut rates = vec![("creates", creates)];
    let getting = Instant::now();
    for request in 0..REQUESTS {
        // A step that visits the objects in no order a cache could like.
        let path = format!("{NETWORKS}/network-{:06}", request * 7919 % OBJECTS);
        send(&server, Method::GET, &path, &Value::Null).await?;
    }
    rates.push(("gets", rate(REQUESTS, getting.elapsed())));

    let patching = Instant::now();
    for request in 0..REQUESTS {
        let path = format!("{NETWORKS}/network-{:06}", request * 7919 % OBJECTS);
        let change = json!({ "metadata": { "labels": { "round": request.to_string() } } });
        send(&server, Method::PATCH, &path, &change).await?;
    }
    rates.push(("patches", rate(REQUESTS, patching.elapsed())));

    let listing = Instant::now();
    for project in 0..LISTS {
        let path = format!("{NETWORKS}?labelSelector=project%3Dp{project}");
        send(&server, Method::GET, &path, &Value::Null).await?;
    }
    rates.push((
        "selections out of all objects",
        rate(LISTS, listing.elapsed()),
    ));

    let deleting = Instant::now();
    for number in 0..OBJECTS {
        let path = format!("{NETWORKS}/network-{number:06}");
        send(&server, Method::DELETE, &path, &Value::Null).await?;
    }
    rates.push(("deletes", rate(OBJECTS, deleting.elapsed())));
    Ok(Measured { mebibytes, rates })
}

async fn send(server: &ApiServer, method: Method, path: &str, body: &Value) -> Result<Bytes> {
    let content_type = if method == Method::PATCH {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let body = if body.is_null() {
        Bytes::new()
    } else {
        body.to_string().into()
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, content_type)
        .body(Full::new(body))?;
    let response = server.clone().oneshot(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if status.is_success() {
        Ok(body)
    } else {
        Err(String::from_utf8_lossy(&body).into_owned().into())
    }
}

fn definition() -> Value {
    let schema = json!({
        "type": "object",
        "properties": {
            "spec": { "type": "object", "properties": { "cidr": { "type": "string" } } },
            "status": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
        },
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "networks.region.example.com" },
        "spec": {
            "group": "region.example.com",
            "scope": "Namespaced",
            "names": { "kind": "Network", "plural": "networks" },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": schema },
            }],
        },
    })
}

fn network(number: usize) -> Value {
    json!({
        "apiVersion": "region.example.com/v1",
        "kind": "Network",
        "metadata": {
            "name": format!("network-{number:06}"),
            "labels": { "project": format!("p{}", number % 1000) },
        },
        "spec": { "cidr": "10.0.0.0/8" },
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a few hundred thousand are exact"
)]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// The memory of this process that is in use, in MiB.
#[expect(clippy::cast_precision_loss, reason = "pages are counted in thousands")]
fn resident() -> Result<f64> {
    // Linux has pages of 4 KiB wherever this runs.
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .ok_or("statm has a second field")?
        .parse()?;
    Ok(pages as f64 * 4096.0 / 1024.0 / 1024.0)
}
