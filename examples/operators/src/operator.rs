//! An operator: what it uses, it says so; what it is used by, it waits for.
//!
//! Both operators are this one with other kinds. What they provision is left to the imagination.

use std::{env, time::Duration};

use kube::api::DynamicObject;
use kube_cascade::{
    ConsumeError, Kind, ObjectRef, Outcome, Queue,
    kubernetes::KubernetesSource,
    reconcile::{Lifecycle, Order, Reconciler},
    reference::{AddError, References, Used},
};
use tokio::{
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
    time::sleep,
};

use crate::{Result, SERVER, client};

/// How long it takes to take one down; elsewhere this is minutes, and not a sleep.
const TAKING_DOWN: Duration = Duration::from_millis(300);

/// What one service does: it has objects of a kind, each of which uses one object of another.
pub(crate) struct Service {
    name: &'static str,
    /// The operator's own finalizer: on its objects from before they are built until they are gone.
    finalizer: &'static str,
    /// Group and kind of its objects, and their namespace.
    has: (&'static str, &'static str, &'static str),
    /// Group and kind of what they use, and where that is.
    uses: (&'static str, &'static str, &'static str),
    /// The label that names it.
    label: &'static str,
}

/// Networks, each for a Project.
pub(crate) const REGION: Service = Service {
    name: "region",
    finalizer: "region.example.com/operator",
    has: ("region.example.com", "Network", "region"),
    uses: ("identity.example.com", "Project", "tenants"),
    label: "example.com/project",
};

/// Clusters, each on a Network.
pub(crate) const COMPUTE: Service = Service {
    name: "compute",
    finalizer: "compute.example.com/operator",
    has: ("compute.example.com", "Cluster", "compute"),
    uses: ("region.example.com", "Network", "region"),
    label: "example.com/network",
};

struct Operator {
    service: &'static Service,
    /// The namespace of what its objects use.
    used_in: String,
    /// What may be used there.
    usable: Used,
    references: References,
}

impl Lifecycle for Operator {
    type Object = DynamicObject;

    /// Says that it uses what it uses, and only then builds on it.
    async fn provision(&self, object: DynamicObject) -> Result<Outcome, ConsumeError> {
        let (user, needed) = self.names(&object);
        let reference = self.references.to(&user).await?;
        if let Some(needed) = &needed {
            match self.references.add(needed, &reference).await {
                // What it was to stand on goes, and the cascade will come for it, too.
                Err(AddError::Terminating { .. }) => return Ok(Outcome::Done),
                added => added?,
            };
        }
        self.say(&user, "is built");
        // The label may have named another one before.
        let needed = needed.iter().map(ObjectRef::name);
        let left = self
            .references
            .remove_all_but(&self.usable, needed, &reference);
        left.await?;
        Ok(Outcome::Done)
    }

    /// Takes it down, and only then says that it no longer uses what it used.
    async fn deprovision(&self, object: DynamicObject) -> Result<Outcome, ConsumeError> {
        let (user, _) = self.names(&object);
        sleep(TAKING_DOWN).await;
        self.say(&user, "is taken down");
        let reference = self.references.to(&user).await?;
        self.references.clear(&self.usable, &reference).await?;
        Ok(Outcome::Done)
    }
}

impl Operator {
    fn names(&self, object: &DynamicObject) -> (ObjectRef, Option<ObjectRef>) {
        let metadata = &object.metadata;
        let name = metadata.name.as_deref().unwrap_or_default();
        let (group, kind, _) = self.service.has;
        let namespace = metadata.namespace.as_deref().map(Into::into);
        let user = ObjectRef::new(Kind::new(group, kind), namespace, name);
        let (group, kind, _) = self.service.uses;
        let labels = metadata.labels.as_ref();
        let name = labels.and_then(|labels| labels.get(self.service.label));
        let needed = name.filter(|name| !name.is_empty()).map(|name| {
            let namespace = Some(self.used_in.as_str().into());
            ObjectRef::new(Kind::new(group, kind), namespace, name.as_str())
        });
        (user, needed)
    }

    fn say(&self, object: &ObjectRef, what: &str) {
        println!("{:>8}: {object} {what}", self.service.name);
    }
}

/// Runs an operator until it is interrupted. `places` are the namespaces of its objects and of what
/// those use, where they are not the usual ones.
///
/// It works alone: where several replicas run, `kube_cascade::lease` decides which of them may.
pub(crate) async fn run(service: &'static Service, places: &[&str]) -> Result<()> {
    let client = client(env::var(SERVER).ok().as_deref()).await?;
    let (group, kind, usual) = service.has;
    let kind = Kind::new(group, kind);
    let namespace = places.first().copied().unwrap_or(usual);
    let (group, used_kind, usual) = service.uses;
    let used_in = places.get(1).copied().unwrap_or(usual).to_owned();
    let operator = Operator {
        service,
        usable: Used::in_namespace(Kind::new(group, used_kind), used_in.parse()?),
        used_in,
        references: References::new(client.clone()),
    };
    // Who waits for references to go wants to know when they do.
    let source = KubernetesSource::new(client.clone(), kind.clone())
        .namespaces([namespace])
        .every_finalizer();
    let order = Order::new(service.finalizer.parse()?);
    let reconciler = Reconciler::new(client, kind, order, operator).named(service.name);
    let queue = Queue::builder(source).consumer(reconciler).build()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = ctrl_c() => {}
        }
    };
    Ok(queue.run(stop).await?)
}
