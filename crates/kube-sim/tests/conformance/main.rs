//! The conformance suite on kube-sim, in process.

#[path = "suite/mod.rs"]
mod on_kube_sim;

mod target {
    use kube::Client;
    use kube_sim::ApiServer;
    use tokio::runtime::Builder;

    use crate::on_kube_sim::{kinds, world::World};

    tokio::task_local! {
        static SERVER: ApiServer;
    }

    /// Runs a behaviour on a server of its own, with a clock that jumps.
    pub(crate) fn run<F: Future<Output = ()>>(behaviour: impl FnOnce(World) -> F) {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let server = ApiServer::new();
        runtime.block_on(SERVER.scope(server.clone(), async {
            let world = World::new(Client::new(server, "default")).await;
            for definition in kinds::definitions() {
                world.definitions().create(definition).await.created();
            }
            behaviour(world).await;
        }));
    }

    /// Lets go of the versions before the current one.
    #[allow(clippy::unused_async, reason = "the other target might wait")]
    pub(crate) async fn forget_history() {
        SERVER.with(ApiServer::compact);
    }
}
