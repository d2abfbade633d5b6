//! Those who work in the world while the controller does: people, other controllers, accidents.
//!
//! They act at times of their own and, because what goes wrong goes wrong between two calls, right
//! before calls of the controller. Everything they do goes through the API, but at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use serde_json::{Value, json};

use crate::{
    dice::Dice,
    line::Ground,
    oracle::id,
    truth::Life,
    world::{Kind, NAMES, REGIONS, Rule, Scope, TENANTS, UNFIT},
};

/// The finalizer of somebody else's controller.
const FOREIGN: &str = "example.com/foreign";

/// How they behave.
#[derive(Clone, Copy, Debug, Default)]
pub struct Temper {
    /// How often in a hundred they act right before a call of the controller.
    pub at_calls: u64,
    /// Whether they delete and replace definitions.
    pub definitions: bool,
    /// Whether they delete namespaces.
    pub namespaces: bool,
    /// Whether they take off our holds.
    pub strips: bool,
}

impl Temper {
    /// Whether they delete what everything else needs.
    #[must_use]
    pub fn takes_ground(&self) -> bool {
        self.definitions || self.namespaces
    }
}

/// Everybody but the controller; clones are the same people.
#[derive(Clone, Debug)]
pub struct Actors {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    temper: Temper,
    /// Whether they still disturb.
    active: bool,
    /// Objects made so far, for names.
    made: u64,
}

impl Actors {
    /// People who are at rest until [`Self::begin`].
    #[must_use]
    pub fn new(dice: Dice, temper: Temper) -> Self {
        let state = State {
            dice,
            temper,
            active: false,
            made: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// From now on they act.
    pub fn begin(&self) {
        self.lock().active = true;
    }

    /// From now on they are at rest.
    pub fn end(&self) {
        self.lock().active = false;
    }

    /// A call of the controller is about to be sent: now and then somebody is faster.
    pub fn disturb(&self, ground: &Ground, method: &Method, path: &str) {
        let mut state = self.lock();
        let chance = state.temper.at_calls;
        // Renewals are so many that all would happen at them.
        let dull = path.contains("/leases/") || path.contains("/events");
        if state.active && !dull && state.dice.percent(chance) {
            let burst = if *method == Method::GET { 3 } else { 1 };
            for _ in 0..=state.dice.below(burst) {
                state.act(ground);
            }
        }
    }

    /// Somebody does something.
    pub fn act(&self, ground: &Ground) {
        let mut state = self.lock();
        if state.active {
            state.act(ground);
        }
    }

    /// Makes what everything else needs: namespaces and definitions. Says whether any was missing.
    #[must_use]
    pub fn found(&self, ground: &Ground) -> bool {
        let mut missing = false;
        for namespace in TENANTS.iter().chain(&REGIONS) {
            missing |= State::create_namespace(ground, namespace);
        }
        for kind in ground.world.kinds() {
            missing |= State::create_definition(ground, kind);
        }
        missing
    }

    /// Fills the world with its first objects.
    pub fn settle(&self, ground: &Ground) {
        let mut state = self.lock();
        let upstreams = state.dice.within(2..5);
        for _ in 0..upstreams {
            state.create_upstream(ground);
        }
        let dependents = state.dice.within(4..16);
        for _ in 0..dependents {
            state.create_dependent(ground);
        }
    }

    /// Puts right what keeps cascades from their end: foreign finalizers, and what
    /// [`found`](Self::found) makes.
    pub fn heal(&self, ground: &Ground) {
        let mut state = self.lock();
        state.active = false;
        for kind in ground.world.kinds() {
            for life in existing(ground, kind) {
                if life.finalizers.iter().any(|name| name == FOREIGN) {
                    State::drop_finalizers(ground, &life, |name| name == FOREIGN);
                }
            }
        }
        drop(state);
        let _ = self.found(ground);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn act(&mut self, ground: &Ground) {
        match self.dice.below(100) {
            0..20 => self.delete_upstream(ground),
            20..28 => self.create_upstream(ground),
            28..45 => self.create_dependent(ground),
            45..54 => self.relabel(ground),
            54..62 => self.touch(ground),
            62..66 => self.delete_dependent(ground),
            66..70 => self.replace_dependent(ground),
            70..75 => self.replace_upstream(ground),
            75..81 => self.usurp(ground),
            81..85 => self.strip(ground),
            85..90 => self.toggle_foreign(ground),
            90..93 => self.touch_upstream(ground),
            93..97 if self.temper.definitions => self.meddle_with_definitions(ground),
            97..100 if self.temper.namespaces => self.delete_namespace(ground),
            _ => {}
        }
    }

    fn rule<'a>(&mut self, ground: &'a Ground) -> &'a Rule {
        let rules = &ground.world.rules;
        self.dice.pick(rules).unwrap_or(&rules[0])
    }

    fn create_upstream(&mut self, ground: &Ground) {
        let kind = self.rule(ground).upstream;
        let name = match self.dice.below(20) {
            0 => UNFIT,
            _ => self.dice.pick(&NAMES).copied().unwrap_or(NAMES[0]),
        };
        let namespace = kind.namespaced().then(|| self.tenant_namespace(kind));
        self.create(ground, kind, namespace, name, &[]);
    }

    /// Networks are upstreams, too, and live where dependents do.
    fn tenant_namespace(&mut self, kind: Kind) -> &'static str {
        let names = if kind == Kind::Network && self.dice.percent(80) {
            &REGIONS
        } else {
            &TENANTS
        };
        self.dice.pick(names).copied().unwrap_or(names[0])
    }

    fn create_dependent(&mut self, ground: &Ground) {
        let rule = self.rule(ground);
        let upstream = self.upstream(ground, rule.upstream, |_| true);
        self.create_dependent_of(ground, rule, upstream.as_ref());
    }

    fn create_dependent_of(&mut self, ground: &Ground, rule: &Rule, upstream: Option<&Life>) {
        let Some(dependent) = self.dice.pick(&rule.dependents) else {
            return;
        };
        let value = match upstream {
            Some(upstream) if self.dice.percent(90) => id(rule, upstream),
            _ => (*self.dice.pick(&NAMES).unwrap_or(&NAMES[0])).to_owned(),
        };
        let kind = dependent.kind;
        let namespace = kind.namespaced().then(|| {
            let own = upstream.and_then(|upstream| upstream.namespace.clone());
            match (&dependent.scope, own) {
                (Scope::SameAsUpstream, Some(own)) if self.dice.percent(80) => own,
                (Scope::In(names), _) if self.dice.percent(85) => {
                    (*self.dice.pick(names).unwrap_or(&REGIONS[0])).to_owned()
                }
                _ => (*self.dice.pick(&REGIONS).unwrap_or(&REGIONS[0])).to_owned(),
            }
        });
        let value = if is_short(&value) {
            value
        } else {
            "other".to_owned()
        };
        let label = if self.dice.percent(6) {
            "example.com/bystander"
        } else {
            rule.label
        };
        self.made += 1;
        let name = format!("d{}", self.made);
        let namespace = namespace.as_deref();
        let created = self.create(ground, kind, namespace, &name, &[(label, &value)]);
        if let Some(owner) = created.filter(|_| kind.namespaced() && self.dice.percent(25)) {
            self.create_port(ground, &owner, namespace);
        }
    }

    /// A child that the collector takes with its owner, and that nobody else touches.
    fn create_port(&mut self, ground: &Ground, owner: &Value, namespace: Option<&str>) {
        let mut port = Kind::Port.object(namespace, &format!("port{}", self.made));
        port["metadata"]["ownerReferences"] = json!([{
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": true,
        }]);
        request(ground, &Method::POST, &Kind::Port.path(namespace), &port);
    }

    fn create(
        &mut self,
        ground: &Ground,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
        labels: &[(&str, &str)],
    ) -> Option<Value> {
        let mut object = kind.object(namespace, name);
        for (label, value) in labels {
            object["metadata"]["labels"][*label] = json!(value);
        }
        if self.dice.percent(5) {
            object["metadata"]["finalizers"] = json!([FOREIGN]);
        }
        request(ground, &Method::POST, &kind.path(namespace), &object)
    }

    fn delete_upstream(&mut self, ground: &Ground) {
        let kind = self.rule(ground).upstream;
        if let Some(upstream) = self.upstream(ground, kind, |life| life.terminating.is_none()) {
            self.delete(ground, &upstream);
        }
    }

    fn delete_dependent(&mut self, ground: &Ground) {
        if let Some(dependent) = self.dependent(ground) {
            self.delete(ground, &dependent);
        }
    }

    fn delete(&mut self, ground: &Ground, life: &Life) {
        let policy = match self.dice.below(3) {
            0 => "Foreground",
            1 => "Orphan",
            _ => "Background",
        };
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy,
        });
        request(ground, &Method::DELETE, &path(life), &options);
    }

    /// The same name, another object.
    fn replace_dependent(&mut self, ground: &Ground) {
        let Some(dependent) = self.dependent(ground) else {
            return;
        };
        self.remove(ground, &dependent);
        let rule = self.rule(ground);
        let labels: Vec<_> = dependent
            .label(rule.label)
            .filter(|_| self.dice.percent(50))
            .map(|value| (rule.label, value))
            .into_iter()
            .collect();
        let namespace = dependent.namespace.as_deref();
        self.create(ground, dependent.kind, namespace, &dependent.name, &labels);
    }

    fn replace_upstream(&mut self, ground: &Ground) {
        let kind = self.rule(ground).upstream;
        let Some(upstream) = self.upstream(ground, kind, |_| true) else {
            return;
        };
        self.delete(ground, &upstream);
        let namespace = upstream.namespace.as_deref();
        self.create(ground, kind, namespace, &upstream.name, &[]);
    }

    /// An upstream goes for good, another takes its place and gets dependents of its own.
    fn usurp(&mut self, ground: &Ground) {
        let rule = self.rule(ground);
        let kind = rule.upstream;
        let wanted = |life: &Life| !rule.keeps() || life.terminating.is_some();
        let Some(upstream) = self.upstream(ground, kind, wanted) else {
            return;
        };
        if rule.keeps() && !self.temper.strips {
            return;
        }
        self.remove(ground, &upstream);
        let namespace = upstream.namespace.as_deref();
        self.create(ground, kind, namespace, &upstream.name, &[]);
        let successor = self.upstream(ground, kind, |life| {
            life.name == upstream.name && life.namespace == upstream.namespace
        });
        for _ in 0..=self.dice.below(3) {
            self.create_dependent_of(ground, rule, successor.as_ref());
        }
    }

    /// Deletes it and takes every finalizer off.
    fn remove(&mut self, ground: &Ground, life: &Life) {
        self.delete(ground, life);
        Self::drop_finalizers(ground, life, |_| true);
    }

    fn strip(&mut self, ground: &Ground) {
        let kind = self.rule(ground).upstream;
        if !self.temper.strips {
            return;
        }
        if let Some(upstream) = self.upstream(ground, kind, |life| !life.finalizers.is_empty()) {
            Self::drop_finalizers(ground, &upstream, |name| {
                name.starts_with("kube-cascade.dev/")
            });
        }
    }

    fn drop_finalizers(ground: &Ground, life: &Life, which: impl Fn(&str) -> bool) {
        let kind = life.kind;
        let now = ground.server.get(
            kind.group(),
            kind.plural(),
            life.namespace.as_deref(),
            &life.name,
        );
        let Some(now) = now.filter(|now| now["metadata"]["uid"] == *life.uid) else {
            return;
        };
        let left = crate::truth::texts(&now["metadata"]["finalizers"]);
        let left: Vec<_> = left.into_iter().filter(|name| !which(name)).collect();
        let patch = json!({"metadata": {"finalizers": left}});
        request(ground, &Method::PATCH, &path(life), &patch);
    }

    fn toggle_foreign(&mut self, ground: &Ground) {
        let kinds = ground.world.kinds();
        let kind = self.dice.pick(&kinds).copied().unwrap_or(Kind::Network);
        let Some(life) = self.upstream(ground, kind, |_| true) else {
            return;
        };
        if life.finalizers.iter().any(|name| name == FOREIGN) {
            return Self::drop_finalizers(ground, &life, |name| name == FOREIGN);
        }
        if life.terminating.is_none() {
            let mut finalizers = life.finalizers.clone();
            let place = self.dice.below(2) * u64::try_from(finalizers.len()).unwrap_or(0);
            finalizers.insert(usize::try_from(place).unwrap_or(0), FOREIGN.to_owned());
            let patch = json!({"metadata": {"finalizers": finalizers}});
            request(ground, &Method::PATCH, &path(&life), &patch);
        }
    }

    fn relabel(&mut self, ground: &Ground) {
        let rule = self.rule(ground);
        let Some(dependent) = self.dependent(ground) else {
            return;
        };
        let value = match self.upstream(ground, rule.upstream, |_| true) {
            Some(upstream) if self.dice.percent(60) => json!(id(rule, &upstream)),
            _ => Value::Null,
        };
        if value.as_str().is_some_and(|value| !is_short(value)) {
            return;
        }
        let patch = json!({"metadata": {"labels": {rule.label: value}}});
        request(ground, &Method::PATCH, &path(&dependent), &patch);
    }

    fn touch(&mut self, ground: &Ground) {
        if let Some(dependent) = self.dependent(ground) {
            self.annotate(ground, &dependent);
        }
    }

    fn touch_upstream(&mut self, ground: &Ground) {
        let kind = self.rule(ground).upstream;
        if let Some(upstream) = self.upstream(ground, kind, |_| true) {
            self.annotate(ground, &upstream);
        }
    }

    fn annotate(&mut self, ground: &Ground, life: &Life) {
        self.made += 1;
        let patch = json!({"metadata": {"annotations": {"touched": self.made.to_string()}}});
        request(ground, &Method::PATCH, &path(life), &patch);
    }

    fn meddle_with_definitions(&mut self, ground: &Ground) {
        let kinds = ground.world.kinds();
        let Some(kind) = self.dice.pick(&kinds).copied() else {
            return;
        };
        let path = definition_path(kind);
        request(ground, &Method::DELETE, &path, &Value::Null);
        if self.dice.percent(60) {
            // By force: nothing of the kind is left that could keep the definition.
            for life in existing(ground, kind) {
                Self::drop_finalizers(ground, &life, |_| true);
            }
            if self.dice.percent(70) {
                Self::create_definition(ground, kind);
                if self.dice.percent(50) {
                    self.create_upstream(ground);
                }
            }
        }
    }

    fn delete_namespace(&mut self, ground: &Ground) {
        let all: Vec<_> = TENANTS.iter().chain(&REGIONS).collect();
        if let Some(name) = self.dice.pick(&all) {
            let path = format!("/api/v1/namespaces/{name}");
            request(ground, &Method::DELETE, &path, &Value::Null);
        }
    }

    fn create_namespace(ground: &Ground, name: &str) -> bool {
        let missing = ground.server.get("", "namespaces", None, name).is_none();
        if missing {
            let object = json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
            });
            request(ground, &Method::POST, "/api/v1/namespaces", &object);
        }
        missing
    }

    fn create_definition(ground: &Ground, kind: Kind) -> bool {
        let definitions = "customresourcedefinitions";
        let name = kind.definition_name();
        let found = ground
            .server
            .get("apiextensions.k8s.io", definitions, None, &name);
        let missing = found.is_none();
        if missing {
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            request(ground, &Method::POST, path, &kind.definition());
        }
        missing
    }

    /// One of a kind that is wanted.
    fn upstream(
        &mut self,
        ground: &Ground,
        kind: Kind,
        wanted: impl Fn(&Life) -> bool,
    ) -> Option<Life> {
        let mut found = existing(ground, kind);
        found.retain(|life| wanted(life));
        self.dice.pick(&found).cloned()
    }

    fn dependent(&mut self, ground: &Ground) -> Option<Life> {
        let rule = self.rule(ground);
        let kind = self.dice.pick(&rule.dependents)?.kind;
        self.upstream(ground, kind, |_| true)
    }
}

fn existing(ground: &Ground, kind: Kind) -> Vec<Life> {
    // In the order of creation, which no random UID decides.
    let mut found: Vec<_> = ground
        .oracle
        .with_truth(|truth| truth.existing(kind).cloned().collect());
    found.sort_by_key(|life| life.created);
    found
}

fn path(life: &Life) -> String {
    format!(
        "{}/{}",
        life.kind.path(life.namespace.as_deref()),
        life.name
    )
}

fn definition_path(kind: Kind) -> String {
    let name = kind.definition_name();
    format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
}

fn is_short(value: &str) -> bool {
    value.len() <= 63
}

/// Sends a request; what is refused is refused, as in life.
fn request(ground: &Ground, method: &Method, path: &str, body: &Value) -> Option<Value> {
    let answer = ground.server.request(method, path, body);
    ground.trace.line(ground.now(), || {
        let result = match &answer {
            Ok(_) => "done".to_owned(),
            Err(status) => status.to_string(),
        };
        format!("somebody: {method} {path} {body} -> {result}")
    });
    answer.ok()
}
