//! A consumer of one's own on the in-memory source: it says goodbye to what is being deleted.
//!
//! `cargo run -p kube-cascade --no-default-features --example consumer`

use std::{error::Error, time::SystemTime};

use kube_cascade::{
    ConsumeError, Consumer, Delivery, Envelope, Outcome, Queue, State, memory::MemoryStore,
};

struct Goodbye;

impl Consumer for Goodbye {
    fn name(&self) -> &'static str {
        "goodbye"
    }

    async fn consume(&self, delivery: Delivery) -> Result<Outcome, ConsumeError> {
        if let State::Terminating { .. } = delivery.envelope().state() {
            println!("goodbye, {}", delivery.envelope().key());
        }
        Ok(Outcome::Done)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = MemoryStore::new();
    store.put(Envelope::new("project-1".parse()?, None));
    store.put(Envelope::new("project-2".parse()?, Some(SystemTime::now())));

    let queue = Queue::builder(store.source()).consumer(Goodbye).build()?;
    let monitor = queue.monitor();
    // A program that serves would wait for a signal here.
    let all_done = async {
        monitor
            .until(|stats| stats.snapshots() > 0 && stats.pending() == 0)
            .await;
    };
    Ok(queue.run(all_done).await?)
}
