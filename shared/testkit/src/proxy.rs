//! A proxy between two processes that can go bad as networks do.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
};

/// What happens to bytes in one direction. TCP itself goes on: the proxy takes what its buffers
/// hold and answers probes, as a firewall does that drops packets behind itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flow {
    /// They pass.
    #[default]
    Pass,
    /// They wait until they pass again; nothing tells either side.
    Stall,
    /// They pass, this much later.
    Delay(Duration),
}

/// The state of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Wire {
    to_server: Flow,
    to_client: Flow,
    /// Connections of an earlier number are cut.
    epoch: u64,
    /// New connections are cut at once.
    down: bool,
}

#[derive(Debug, Clone)]
enum Place {
    Tcp(String),
    Unix(PathBuf),
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Duplex>> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener) => Box::new(listener.accept().await?.0),
        })
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Listens for clients and connects each to the server. Gone when this value is dropped.
#[derive(Debug)]
pub struct Proxy {
    listens: Place,
    wire: watch::Sender<Wire>,
    task: AbortHandle,
}

impl Proxy {
    /// Listens on a port of its own on the loopback interface for the server at `host:port`.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn tcp(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let listens = listener.local_addr().expect("the port of a listener").to_string();
        Self::start(Place::Tcp(listens), Place::Tcp(server.to_owned()), Listener::Tcp(listener))
    }

    /// Listens on the socket `listens` for the server at the socket `server`.
    ///
    /// # Panics
    /// When the socket cannot be made.
    pub fn unix(listens: &Path, server: &Path) -> Self {
        let listener = UnixListener::bind(listens).expect("a socket to listen on");
        Self::start(Place::Unix(listens.to_owned()), Place::Unix(server.to_owned()), Listener::Unix(listener))
    }

    fn start(listens: Place, server: Place, listener: Listener) -> Self {
        let (wire, seen) = watch::channel(Wire::default());
        let run = async move {
            let mut connections = JoinSet::new();
            while let Ok(client) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                connections.spawn(connection(client, server.clone(), seen.clone()));
            }
        };
        #[allow(clippy::disallowed_methods, reason = "the proxy owns the task and ends it on drop")]
        let task = tokio::spawn(run).abort_handle();
        Self { listens, wire, task }
    }

    /// Where clients connect: `host:port`, or the path of a socket.
    pub fn address(&self) -> String {
        match &self.listens {
            Place::Tcp(address) => address.clone(),
            Place::Unix(path) => path.display().to_string(),
        }
    }

    /// What happens from now on to bytes from clients and to bytes for them.
    pub fn set(&self, to_server: Flow, to_client: Flow) {
        self.wire.send_modify(|wire| (wire.to_server, wire.to_client) = (to_server, to_client));
    }

    /// Everything passes again.
    pub fn heal(&self) {
        self.set(Flow::Pass, Flow::Pass);
    }

    /// Cuts every connection there is and every new one, until it is up again.
    pub fn set_down(&self, down: bool) {
        self.wire.send_modify(|wire| (wire.down, wire.epoch) = (down, wire.epoch + 1));
    }

    /// Cuts every connection there is.
    pub fn reset(&self) {
        self.wire.send_modify(|wire| wire.epoch += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(client: impl Duplex, server: Place, mut wire: watch::Receiver<Wire>) {
    let Wire { epoch, down, .. } = *wire.borrow();
    if down {
        return;
    }
    let Ok(server) = connect(&server).await else { return };
    let (client_reads, client_writes) = split(client);
    let (server_reads, server_writes) = split(server);
    let (up, down) = (wire.clone(), wire.clone());
    tokio::select! {
        () = pump(client_reads, server_writes, up, |wire| wire.to_server) => {}
        () = pump(server_reads, client_writes, down, |wire| wire.to_client) => {}
        _ = wire.wait_for(|wire| wire.epoch != epoch) => {}
    }
}

async fn connect(server: &Place) -> io::Result<Box<dyn Duplex>> {
    Ok(match server {
        Place::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
        Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
    })
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut wire: watch::Receiver<Wire>,
    flow: impl Fn(&Wire) -> Flow,
) {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut bytes).await else { return };
        let now = match wire.wait_for(|wire| flow(wire) != Flow::Stall).await {
            Ok(wire) => flow(&wire),
            Err(_) => return,
        };
        if let Flow::Delay(time) = now {
            tokio::time::sleep(time).await;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(10);

    /// A server that sends everything back.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        #[allow(clippy::disallowed_methods, reason = "it ends with the test")]
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let (mut reads, mut writes) = stream.split();
                    tokio::io::copy(&mut reads, &mut writes).await
                });
            }
        });
        address
    }

    async fn returns(stream: &mut TcpStream, wait: Duration) -> bool {
        stream.write_all(b"x").await.is_ok() && matches!(timeout(wait, stream.read(&mut [0; 8])).await, Ok(Ok(1..)))
    }

    #[tokio::test]
    async fn a_stalled_wire_keeps_everything_and_a_cut_one_tells() {
        let proxy = Proxy::tcp(&echo().await).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(returns(&mut stream, LONG).await);
        for (up, down) in [(Flow::Stall, Flow::Pass), (Flow::Pass, Flow::Stall)] {
            proxy.set(up, down);
            assert!(!returns(&mut stream, SHORT).await, "{up:?} {down:?}");
            proxy.heal();
            let late = timeout(LONG, stream.read(&mut [0; 8])).await.unwrap().unwrap();
            assert_eq!(late, 1, "{up:?} {down:?}: what waited comes");
        }
        proxy.set(Flow::Delay(SHORT), Flow::Pass);
        let began = std::time::Instant::now();
        assert!(returns(&mut stream, LONG).await);
        assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
        proxy.heal();
        proxy.reset();
        assert_eq!(timeout(LONG, stream.read(&mut [0; 8])).await.unwrap().unwrap_or(0), 0);
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(returns(&mut again, LONG).await);
    }
}
