//! Serves an empty API on a loopback port, for `kubectl --server http://127.0.0.1:PORT`.

use kube_sim::ApiServer;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "0".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}", listener.local_addr()?);
    // Clients in other processes compare what they are told with their own clock.
    ApiServer::builder()
        .start(std::time::SystemTime::now())
        .build()
        .serve(listener, std::future::pending())
        .await
}
