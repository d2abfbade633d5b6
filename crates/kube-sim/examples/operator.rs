//! Somebody else's operator, and how its tests run on the in-memory API.
//!
//! The operator makes a `ConfigMap` with a page for every `Website`, with the `Controller` of
//! `kube::runtime`. It knows nothing of its API server; the tests below give it one.
//!
//! `cargo run -p kube-sim --example operator`, `cargo test -p kube-sim --example operator`

use std::{error::Error, future::ready, sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::{
    api::core::v1::ConfigMap,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, Object, ObjectMeta, PostParams},
    core::GroupVersionKind,
    runtime::{
        Controller,
        controller::Action,
        wait::{Condition, await_condition},
        watcher,
    },
};
use kube_sim::ApiServer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The specification of a Website.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Spec {
    greeting: String,
}

type Website = Object<Spec, Value>;

fn websites() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Website"))
}

/// Runs the operator until it is dropped.
async fn run(client: Client) {
    let sites = Api::<Website>::all_with(client.clone(), &websites());
    let pages = Api::<ConfigMap>::all(client.clone());
    Controller::new_with(sites, watcher::Config::default(), websites())
        .owns(pages, watcher::Config::default())
        .run(reconcile, retry, Arc::new(client))
        .for_each(|_| ready(()))
        .await;
}

/// Makes the page, or makes it anew where it is not as specified.
async fn reconcile(site: Arc<Website>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let namespace = site.namespace().unwrap_or_default();
    let pages = Api::<ConfigMap>::namespaced((*client).clone(), &namespace);
    let page = page(&site);
    let parameters = PostParams::default();
    match pages.get_opt(&site.name_any()).await? {
        None => drop(pages.create(&parameters, &page).await?),
        Some(found) if found.data == page.data => {}
        Some(found) => {
            let mut page = page;
            page.metadata.resource_version = found.metadata.resource_version;
            pages.replace(&site.name_any(), &parameters, &page).await?;
        }
    }
    Ok(Action::await_change())
}

fn page(site: &Website) -> ConfigMap {
    let text = format!("<h1>{}</h1>", site.spec.greeting);
    ConfigMap {
        metadata: ObjectMeta {
            name: site.metadata.name.clone(),
            namespace: site.metadata.namespace.clone(),
            owner_references: site
                .controller_owner_ref(&websites())
                .map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some([("index.html".to_owned(), text)].into()),
        ..ConfigMap::default()
    }
}

fn retry(_: Arc<Website>, _: &kube::Error, _: Arc<Client>) -> Action {
    Action::requeue(Duration::from_secs(60))
}

/// An API with the operator's definition, installed as a cluster's administrator would.
async fn installed() -> Result<(ApiServer, Client), kube::Error> {
    let server = ApiServer::new();
    let client = Client::new(server.clone(), "default");
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "websites.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Website", "plural": "websites"},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {"spec": {
                        "type": "object",
                        "required": ["greeting"],
                        "properties": {"greeting": {"type": "string", "maxLength": 80}},
                    }},
                }},
            }],
        },
    });
    let definition = serde_json::from_value(definition).expect("a definition");
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    definitions
        .create(&PostParams::default(), &definition)
        .await?;
    Ok((server, client))
}

fn website(greeting: &str) -> Website {
    let spec = Spec {
        greeting: greeting.to_owned(),
    };
    Object::new("blog", &websites(), spec).within("default")
}

/// Whether the page says this.
fn says(text: &str) -> impl Condition<ConfigMap> {
    move |page: Option<&ConfigMap>| {
        let data = page.and_then(|page| page.data.as_ref());
        data.is_some_and(|data| data["index.html"].contains(text))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (server, client) = installed().await?;
    let operator = tokio::spawn(run(client.clone()));
    let sites = Api::<Website>::default_namespaced_with(client.clone(), &websites());
    sites
        .create(&PostParams::default(), &website("hello"))
        .await?;
    let pages = Api::<ConfigMap>::default_namespaced(client);
    await_condition(pages, "blog", says("hello")).await?;
    operator.abort();
    for page in server.objects("", "configmaps") {
        println!("{}", page["data"]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use kube::{api::DeleteParams, client::ClientBuilder, runtime::conditions::is_deleted};
    use kube_sim::fault::{Action, Answer, Faults, Match, Rule, Verb};

    use super::*;

    /// The operator at work, behind faults that only it meets.
    async fn operated(faults: &Faults) -> (ApiServer, Client) {
        let (server, client) = installed().await.unwrap();
        let breaking = ClientBuilder::new(server.clone(), "default").with_layer(&faults.layer());
        tokio::spawn(run(breaking.build()));
        (server, client)
    }

    async fn make(client: &Client, greeting: &str) {
        let sites = Api::<Website>::default_namespaced_with(client.clone(), &websites());
        let parameters = PostParams::default();
        sites.create(&parameters, &website(greeting)).await.unwrap();
    }

    async fn until_it_says(client: &Client, text: &str) {
        let pages = Api::<ConfigMap>::default_namespaced(client.clone());
        await_condition(pages, "blog", says(text)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_website_has_the_page_that_it_specifies() {
        let (_, client) = operated(&Faults::new()).await;
        make(&client, "hello").await;
        until_it_says(&client, "hello").await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_could_not_be_made_is_made_a_minute_later() {
        let faults = Faults::new();
        let busy = Answer::status(StatusCode::INTERNAL_SERVER_ERROR);
        let creates = Match::verb(Verb::Create).resource("configmaps");
        let fault = faults.add(Rule::new(creates, Action::answer(busy)).first(1));
        let (server, client) = operated(&faults).await;
        make(&client, "hello").await;
        let begun = server.now();
        until_it_says(&client, "hello").await;
        assert_eq!(fault.fired(), 1);
        assert_eq!(server.now().duration_since(begun).unwrap().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "a user deletes, and not us")]
    async fn a_page_goes_with_its_website() {
        let (_, client) = operated(&Faults::new()).await;
        make(&client, "hello").await;
        until_it_says(&client, "hello").await;
        let pages = Api::<ConfigMap>::default_namespaced(client.clone());
        let page = pages.get("blog").await.unwrap();
        let sites = Api::<Website>::default_namespaced_with(client.clone(), &websites());
        sites
            .delete("blog", &DeleteParams::default())
            .await
            .unwrap();
        let uid = page.metadata.uid.unwrap();
        await_condition(pages, "blog", is_deleted(&uid))
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_operator_outlives_a_restart_of_the_server() {
        let (server, client) = operated(&Faults::new()).await;
        make(&client, "hello").await;
        until_it_says(&client, "hello").await;
        server.restart(0);
        let sites = Api::<Website>::default_namespaced_with(client.clone(), &websites());
        let mut site = sites.get("blog").await.unwrap();
        site.spec.greeting = "goodbye".to_owned();
        sites
            .replace("blog", &PostParams::default(), &site)
            .await
            .unwrap();
        until_it_says(&client, "goodbye").await;
    }
    #[test]
    fn what_the_documentation_quotes_is_in_this_file() {
        let folder = env!("CARGO_MANIFEST_DIR");
        let path = format!("{folder}/../../docs/testing-operators.md");
        let page = std::fs::read_to_string(path).unwrap();
        let trimmed = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
        let code = trimmed(include_str!("operator.rs"));
        let quotes: Vec<_> = page.split("```rust\n").skip(1).collect();
        assert!(quotes.len() > 5);
        for quote in quotes {
            let quote = trimmed(quote.split("```").next().unwrap());
            assert!(code.contains(&quote), "{quote}");
        }
    }
}
