//! What a daemon leaves to the next one: by `lianmai-edge keep`, and by the protocol of systemd without it.

use anyhow::{Context, Result, ensure};
use lianmai_tests::edge::{Edge, free_tcp, free_udp, programs};
use lianmai_tests::http::get;
use lianmai_tests::process::{Running, output};
use lianmai_tests::wait::until;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Enough for a daemon that has nothing to say goodbye to.
const SHORT: Duration = Duration::from_secs(3);

/// An edge under `keep`.
fn kept_edge(program: &Path) -> Result<Edge> {
    let (http, media) = (free_tcp()?, free_udp()?);
    let mut command = Command::new(program);
    command.arg("keep").args(flags(http, media));
    Edge::launch(&mut command, http, media, media)
}

fn flags(http: SocketAddr, media: SocketAddr) -> [String; 8] {
    [
        "--http".into(),
        http.to_string(),
        "--media".into(),
        media.to_string(),
        "--tls".into(),
        "off".into(),
        "--origin".into(),
        "off".into(),
    ]
}

fn program() -> std::path::PathBuf {
    programs().join("lianmai-edge")
}

/// The daemon of a keeper, while there is one.
fn daemon_of(keeper: Pid) -> Result<Option<Pid>> {
    let children = std::fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children"))?;
    let first = children.split_whitespace().next();
    Ok(first.map(str::parse).transpose()?.map(Pid::from_raw))
}

/// Waits for a daemon that serves and is another than this one.
fn next_daemon(edge: &Edge, last: Option<Pid>) -> Result<Pid> {
    let next = until(PATIENCE, "a daemon", || {
        let daemon = daemon_of(edge.process.pid())?;
        Ok(daemon.filter(|daemon| Some(*daemon) != last))
    })
    .with_context(|| edge.log())?;
    let health = format!("{}/healthz", edge.url);
    until(PATIENCE, "the daemon to be healthy", || Ok(get(&health).ok())).with_context(|| edge.log())?;
    Ok(next)
}

fn wait_for_the_end_of(process: Pid) -> Result<()> {
    until(SHORT, "a process to be gone", || {
        Ok((kill(process, None) == Err(Errno::ESRCH)).then_some(()))
    })
}

/// Which socket has a UDP port of loopback, as the kernel numbers them.
fn socket_at(port: SocketAddr) -> Result<u64> {
    let table = std::fs::read_to_string("/proc/net/udp")?;
    let address = format!("0100007F:{:04X}", port.port());
    let line = table.lines().find(|line| line.contains(&address));
    let inode = line.and_then(|line| line.split_whitespace().nth(9));
    inode.context("nobody has the port")?.parse().context("a number")
}

/// The beginning of STUN is enough to be counted as such.
fn send_stun(to: SocketAddr, count: usize) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for _ in 0..count {
        socket.send_to(b"\x00\x01stun", to)?;
    }
    Ok(())
}

#[test]
fn a_daemon_that_is_killed_is_followed_by_one_that_reads_what_arrived_between_them() -> Result<()> {
    let edge = kept_edge(&program())?;
    let socket = socket_at(edge.media)?;
    let mut daemon = next_daemon(&edge, None)?;
    // The first start follows at once, the third after 200 ms.
    for _ in 0..2 {
        kill(daemon, Signal::SIGKILL)?;
        daemon = next_daemon(&edge, Some(daemon))?;
    }
    kill(daemon, Signal::SIGKILL)?;
    until(SHORT, "nobody to run", || {
        Ok(daemon_of(edge.process.pid())?.is_none().then_some(()))
    })?;
    send_stun(edge.media, 10)?;
    ensure!(daemon_of(edge.process.pid())?.is_none(), "nobody ran meanwhile");
    next_daemon(&edge, Some(daemon))?;
    ensure!(socket_at(edge.media)? == socket, "another socket");
    until(SHORT, "what arrived to be read", || {
        let received = edge.metric("lianmai_plane_packets_received_total", &["kind=\"stun\""])?;
        Ok((received >= 10.0).then_some(()))
    })
    .with_context(|| edge.log())
}

#[test]
fn a_daemon_that_is_told_to_is_replaced_by_the_program_that_is_installed_by_then() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (installed, newer) = (dir.path().join("lianmai-edge"), dir.path().join("newer"));
    std::fs::copy(program(), &installed)?;
    let edge = kept_edge(&installed)?;
    let socket = socket_at(edge.media)?;
    let first = next_daemon(&edge, None)?;
    std::fs::copy(program(), &newer)?;
    std::fs::rename(&newer, &installed)?;
    edge.process.signal(Signal::SIGUSR2)?;
    let second = next_daemon(&edge, Some(first))?;
    let runs = std::fs::read_link(format!("/proc/{second}/exe"))?;
    ensure!(runs == installed.canonicalize()?, "runs {}", runs.display());
    ensure!(socket_at(edge.media)? == socket, "another socket");
    ensure!(
        !edge.log().contains("ending"),
        "nobody was told goodbye:\n{}",
        edge.log()
    );
    Ok(())
}

#[test]
fn sigterm_ends_keeper_and_daemon_in_order() -> Result<()> {
    let mut edge = kept_edge(&program())?;
    let daemon = next_daemon(&edge, None)?;
    edge.process.signal(Signal::SIGTERM)?;
    let status = edge.process.wait(PATIENCE)?;
    ensure!(status.success(), "{status}\n{}", edge.log());
    ensure!(
        kill(daemon, None) == Err(Errno::ESRCH),
        "the daemon is still there"
    );
    ensure!(edge.log().contains("ended"), "{}", edge.log());
    Ok(())
}

#[test]
fn a_keeper_that_is_killed_takes_its_daemon_with_it() -> Result<()> {
    let edge = kept_edge(&program())?;
    let daemon = next_daemon(&edge, None)?;
    edge.process.signal(Signal::SIGKILL)?;
    wait_for_the_end_of(daemon).with_context(|| edge.log())
}

#[test]
fn a_daemon_that_cannot_start_is_not_started_again() -> Result<()> {
    let taken = UdpSocket::bind("127.0.0.1:0")?;
    let mut command = Command::new(program());
    command.arg("keep").args(flags(free_tcp()?, taken.local_addr()?));
    let error = output(&mut command).expect_err("must fail").to_string();
    ensure!(error.contains("exit status: 1"), "{error}");
    ensure!(error.matches("cannot listen on UDP").count() == 1, "{error}");
    Ok(())
}

#[test]
fn flags_that_end_a_daemon_end_its_keeper() -> Result<()> {
    let said = output(Command::new(program()).args(["keep", "--check"]))?;
    ensure!(String::from_utf8_lossy(&said).contains("the configuration is good"));
    let refused = output(Command::new(program()).args(["keep", "--http", "nonsense"]));
    ensure!(refused.is_err());
    Ok(())
}

/// Somebody who keeps descriptors as systemd does.
struct Systemd {
    socket: UnixDatagram,
    address: String,
    dir: tempfile::TempDir,
}

impl Systemd {
    fn new(name: &str) -> Result<Self> {
        let name = format!("lianmai-test-{}-{name}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name)?;
        let socket = UnixDatagram::bind_addr(&address)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            address: format!("@{name}"),
            dir: tempfile::tempdir()?,
        })
    }

    fn start(&self, command: &mut Command, input: Stdio) -> Result<Running> {
        let command = command.env("NOTIFY_SOCKET", &self.address);
        Running::start_with(command, input, &self.dir.path().join("log"))
    }

    /// Waits for a notification that begins like this, and takes the descriptor that came with it.
    fn told(&self, beginning: &str) -> Result<Option<OwnedFd>> {
        until(PATIENCE, beginning, || {
            let Some((text, descriptor)) = self.next()? else {
                return Ok(None);
            };
            Ok(text.starts_with(beginning).then_some(descriptor))
        })
        .with_context(|| std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default())
    }

    fn next(&self) -> Result<Option<(String, Option<OwnedFd>)>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; 512];
        let mut into = [IoSliceMut::new(&mut bytes)];
        let message = match recvmsg(&self.socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => message,
            Err(rustix::io::Errno::AGAIN) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let descriptor = control.drain().find_map(|part| match part {
            RecvAncillaryMessage::ScmRights(mut some) => some.next(),
            _ => None,
        });
        Ok(Some((
            String::from_utf8_lossy(&bytes[..message.bytes]).into_owned(),
            descriptor,
        )))
    }
}

/// A daemon that inherits its standard input as a descriptor: the shell makes it number 3, and becomes the daemon.
fn inheriting(flags: &[String]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\" 3<&0 </dev/null"])
        .arg(program())
        .args(flags)
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", "media");
    command
}

#[test]
fn a_daemon_of_systemd_leaves_its_socket_in_the_store_and_finds_it_again() -> Result<()> {
    let systemd = Systemd::new("store")?;
    let (http, media) = (free_tcp()?, free_udp()?);
    let flags = flags(http, media);
    let mut first = systemd.start(Command::new(program()).args(&flags), Stdio::null())?;
    let kept = systemd
        .told("FDSTORE=1\nFDNAME=media\nFDPOLL=0")?
        .context("no descriptor")?;
    systemd.told("READY=1")?;
    let socket = socket_at(media)?;
    first.signal(Signal::SIGUSR2)?;
    let status = first.wait(PATIENCE)?;
    ensure!(status.code() == Some(75), "{status}");
    send_stun(media, 10)?;
    let mut second = systemd.start(&mut inheriting(&flags), kept.into())?;
    systemd.told("READY=1")?;
    ensure!(socket_at(media)? == socket, "another socket");
    let counted = format!("http://{http}/metrics");
    until(SHORT, "what arrived to be read", || {
        let received = "lianmai_plane_packets_received_total{kind=\"stun\"} 10\n";
        Ok(get(&counted)?.contains(received).then_some(()))
    })?;
    second.signal(Signal::SIGTERM)?;
    systemd.told("STOPPING=1")?;
    ensure!(second.wait(PATIENCE)?.success());
    Ok(())
}

#[test]
fn a_daemon_that_nobody_keeps_anything_for_is_not_replaced() -> Result<()> {
    let edge = Edge::start(&["--tls", "off", "--origin", "off"])?;
    edge.process.signal(Signal::SIGUSR2)?;
    until(SHORT, "a word about it", || {
        Ok(edge.log().contains("nobody would keep it").then_some(()))
    })?;
    get(&format!("{}/healthz", edge.url))?;
    Ok(())
}
