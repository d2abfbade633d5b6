//! Watches: a stream of what changes.
//!
//! A watch holds nothing but its place in the sequence of revisions. It looks into the state when
//! it is woken, and finds there everything since.

use std::{collections::VecDeque, ops::ControlFlow, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    ApiServer, State,
    answer::{Answer, Refusal},
    body::ResponseBody,
    listing::{ListOptions, Selector},
    negotiate::{Form, Shape},
    read::check_future,
    request::Request,
};
use crate::{
    registry::Served,
    status::Status,
    store::{Event, Range, object::Stored},
};

/// How long a watch is quiet before a bookmark, and between bookmarks.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// How long before its end a watch gets a last bookmark.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);
/// The least time that a watch lasts of which the client did not say how long; it is at most
/// twice that.
const PATIENCE: Duration = Duration::from_secs(1800);

/// GET of a collection with `watch`.
pub(super) fn watch(
    api: &ApiServer,
    state: &mut State,
    request: &Request<'_>,
    served: &Arc<Served>,
) -> Result<Answer, Refusal> {
    let form = Form::of(request, served, Shape::One, api.now())?;
    let options = ListOptions::read(request, served)?;
    state.check_initialized()?;
    let Some(collection) = state.store.collection(&served.resource.storage) else {
        return Err(Refusal::unserved());
    };
    let changed = collection.subscribe();
    let oldest = collection.since().max(state.store.compacted());
    // Go counts nanoseconds in 64 bits, also where they are too many for those: a negative time is
    // over at once, and none at all is as if nothing had been asked.
    let lifetime = match options.timeout.unwrap_or(0).wrapping_mul(1_000_000_000) {
        0 => PATIENCE.mul_f64(1.0 + state.random.fraction()),
        nanoseconds => Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0)),
    };
    let deadline = Instant::now() + lifetime;
    let mut watcher = Watcher {
        api: api.clone(),
        served: Arc::clone(served),
        form,
        namespace: request.namespace().map(|namespace| format!("{namespace}/")),
        selector: options.selector,
        seen: state.store.revision(),
        changed,
        alarm: state.pending.alarm(),
        deadline,
        bookmark: options.bookmarks.then_some(deadline),
        heard: false,
        ready: VecDeque::new(),
        over: false,
    };
    watcher.plan_bookmark();
    let wants_initial = options.initial_events == Some(true);
    match options.revision {
        _ if wants_initial => {
            let at = match options.revision {
                Some(0) => state.stale_revision(),
                _ => state.store.revision(),
            };
            match check_future(state, options.revision.unwrap_or(0)) {
                Ok(()) => watcher.begin_with_all(state, at),
                Err(status) => watcher.fail(&status),
            }
            if options.bookmarks && !watcher.over {
                watcher.push_bookmark(true);
            }
        }
        Some(revision) if revision > 0 => {
            watcher.seen = revision;
            if revision < oldest {
                watcher.expire(oldest);
            }
        }
        _ => {}
    }
    let events = stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((event, watcher))
    });
    Ok(Answer::stream(ResponseBody::stream(events.boxed())))
}

struct Watcher {
    api: ApiServer,
    served: Arc<Served>,
    form: Form,
    /// With a slash behind it.
    namespace: Option<String>,
    selector: Selector,
    /// The revision up to which everything has been told.
    seen: u64,
    changed: watch::Receiver<()>,
    /// Rings when a controller has something to do earlier than before.
    alarm: watch::Receiver<()>,
    deadline: Instant,
    /// When the next bookmark is sent, if the client wants any.
    bookmark: Option<Instant>,
    /// Whether anything has changed in the resource, be it selected or not.
    heard: bool,
    ready: VecDeque<Bytes>,
    over: bool,
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            self.changed.borrow_and_update();
            self.alarm.borrow_and_update();
            let due = self.read();
            if !self.ready.is_empty() {
                continue;
            }
            let alarm = [Some(self.deadline), self.bookmark, due];
            let alarm = alarm.into_iter().flatten().min().unwrap_or(self.deadline);
            tokio::select! {
                biased;
                changed = self.changed.changed() => self.over |= changed.is_err(),
                _ = self.alarm.changed() => {}
                () = sleep_until(alarm) => self.ring(),
            }
        }
    }

    /// The time has come for a bookmark, or for the end.
    fn ring(&mut self) {
        let now = Instant::now();
        if now >= self.deadline {
            self.over = true;
        } else if self.bookmark.is_some_and(|bookmark| now >= bookmark) {
            self.read();
            // A bookmark only ever says that something has been left behind.
            if self.heard {
                self.push_bookmark(false);
            }
            self.plan_bookmark();
        }
    }

    /// Takes everything that is new; says when a controller has something to do.
    fn read(&mut self) -> Option<Instant> {
        let api = self.api.clone();
        let state = api.current();
        let collection = Arc::clone(&self.served.resource.storage);
        match state.store.changes(&collection, self.seen) {
            Ok(events) => {
                let mut seen = self.seen.max(state.store.revision());
                for event in events {
                    seen = seen.max(event.revision);
                    self.heard = true;
                    self.push(event);
                }
                self.seen = seen;
            }
            Err(compacted) => self.expire(compacted.oldest),
        }
        let due = state.pending.next_due();
        due.map(|due| api.shared.clock.instant(due))
    }

    fn begin_with_all(&mut self, state: &State, at: u64) {
        let range = Range {
            namespace: self.namespace.as_deref().map(|it| it.trim_end_matches('/')),
            start: None,
        };
        let collection = Arc::clone(&self.served.resource.storage);
        let mut found = Vec::new();
        // A revision that can be read has just been chosen.
        let _ = state.store.scan(&collection, range, at, &mut |stored| {
            if self.selector.matches(&self.served, stored) {
                found.push(Arc::clone(stored));
            }
            ControlFlow::Continue(())
        });
        for object in found {
            self.push_object("ADDED", &object);
        }
        self.seen = at;
    }

    fn push(&mut self, event: &Event) {
        if let Some(namespace) = &self.namespace
            && !event.key().starts_with(namespace.as_str())
        {
            return;
        }
        let selected = |stored: &&Arc<Stored>| self.selector.matches(&self.served, stored);
        let old = event.old.as_ref().filter(selected);
        let new = event.new.as_ref().filter(selected);
        match (old, new) {
            (None, None) => {}
            (None, Some(new)) => self.push_object("ADDED", new),
            (Some(_), Some(new)) => self.push_object("MODIFIED", new),
            (Some(old), None) => self.push_object("DELETED", &old.at_revision(event.revision)),
        }
    }

    fn push_object(&mut self, kind: &str, object: &Stored) {
        let form = self.form.next(self.api.now());
        let shown = form.show(&self.served, object);
        self.ready.push_back(line(kind, &shown));
    }

    fn push_bookmark(&mut self, initial_end: bool) {
        let form = self.form.next(self.api.now());
        let object = form.bookmark(&self.served, self.seen, initial_end);
        let bytes = object.to_string();
        self.ready.push_back(line("BOOKMARK", bytes.as_bytes()));
    }

    fn plan_bookmark(&mut self) {
        if self.bookmark.is_none() {
            return;
        }
        let now = Instant::now();
        let regular = now + BOOKMARKS;
        let last = self.deadline.checked_sub(LAST_BOOKMARK);
        let next = match last.filter(|last| *last > now) {
            Some(last) => regular.min(last),
            None => regular,
        };
        self.bookmark = Some(next);
    }

    /// What came after the place of this watch has been forgotten.
    fn expire(&mut self, oldest: u64) {
        let message = format!("too old resource version: {} ({oldest})", self.seen);
        self.fail(&Status::expired(message));
    }

    /// Ends with an error, of which the client learns in the stream.
    fn fail(&mut self, status: &Status) {
        let event = json!({ "type": "ERROR", "object": status.to_json() });
        self.ready.push_back(Bytes::from(format!("{event}\n")));
        self.over = true;
    }
}

fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut line = Vec::with_capacity(object.len() + 32);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line.into()
}
