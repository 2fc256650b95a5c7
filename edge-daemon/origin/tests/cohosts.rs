//! Publishers who want into a room: whoever runs the rooms decides, and nobody else sees them.

mod common;

use common::{Edge, PATIENCE, Peer};
use lianmai_origin::{Cohost, CohostConfig, Network};
use lianmai_rtmp::{Client, ClientError, RtmpUrl, Tag, flv};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// An origin that lets co-hosts ask, and where they do.
async fn edge(max: usize, from: &[&str]) -> (Edge, mpsc::Receiver<Cohost>) {
    let (door, visitors) = mpsc::channel(8);
    let config = CohostConfig {
        app: "cohost".to_owned(),
        from: from
            .iter()
            .map(|range| range.parse::<Network>().expect("a range"))
            .collect(),
        max,
        door,
    };
    (Edge::new(|origin| origin.cohosts = Some(config)).await, visitors)
}

fn client(edge: &Edge, path: &str) -> Client {
    let url = format!("rtmp://{}/{path}", edge.origin.local_addr());
    Client::publish(&RtmpUrl::parse(&url).expect("valid"))
}

async fn visitor(visitors: &mut mpsc::Receiver<Cohost>) -> Cohost {
    let visitor = timeout(PATIENCE, visitors.recv()).await;
    visitor.expect("somebody in time").expect("a running origin")
}

fn refusal(error: &ClientError) -> String {
    let ClientError::Refused { description, .. } = error else {
        panic!("{error} is no refusal");
    };
    description.clone()
}

#[tokio::test]
async fn a_cohost_publishes_once_it_is_accepted_and_only_who_accepted_it_has_its_stream() {
    let (edge, mut visitors) = edge(2, &["127.0.0.0/8"]).await;
    let opening = Peer::open(&edge, client(&edge, "cohost/a%20room/obs"));
    let accepting = async {
        let cohost = visitor(&mut visitors).await;
        assert_eq!((cohost.room(), cohost.user()), ("a room", "obs"));
        cohost.accept();
        cohost
    };
    let (peer, cohost) = tokio::join!(opening, accepting);
    let mut peer = peer.expect("accepted");
    let mut stream = cohost.stream().expect("published");
    let tag = Tag::aac_frame(40, b"sound");
    peer.send(&tag).await;
    let piece = timeout(PATIENCE, stream.recv()).await.expect("in time");
    let expected = [&flv::file_header(true, true)[..], &tag.to_flv()].concat();
    assert_eq!(piece.expect("a stream"), expected);
    for name in ["a room", "a room/obs", "obs", "cohost/a room/obs"] {
        assert!(edge.origin.subscribe(name).is_none(), "{name}");
    }
    drop(peer);
    let end = timeout(PATIENCE, stream.recv()).await.expect("in time");
    assert!(end.is_none(), "its stream ends with it, at once");
    assert!(cohost.stream().is_none());
}

#[tokio::test]
async fn a_cohost_that_is_dismissed_is_told_why_before_and_after_it_was_accepted() {
    let (edge, mut visitors) = edge(2, &["127.0.0.0/8"]).await;
    let refused = tokio::join!(Peer::open(&edge, client(&edge, "cohost/room/obs")), async {
        visitor(&mut visitors)
            .await
            .dismiss("the name is taken".to_owned());
    });
    let error = refused.0.err().expect("refused");
    assert_eq!(refusal(&error), "the name is taken");
    let (peer, cohost) = tokio::join!(Peer::open(&edge, client(&edge, "cohost/room/obs")), async {
        let cohost = visitor(&mut visitors).await;
        cohost.accept();
        cohost
    });
    cohost.dismiss("set bframes=0".to_owned());
    let error = peer.expect("accepted").next().await.expect_err("dismissed");
    assert_eq!(refusal(&error), "set bframes=0");
    assert_eq!(
        edge.metric("origin_refused_total{reason=\"co-host dismissed\"}"),
        2
    );
}

#[tokio::test]
async fn one_that_nobody_looks_after_any_more_is_disconnected() {
    let (edge, mut visitors) = edge(2, &["127.0.0.0/8"]).await;
    let opened = tokio::join!(Peer::open(&edge, client(&edge, "cohost/room/obs")), async {
        drop(visitor(&mut visitors).await);
    });
    assert!(matches!(opened.0, Err(ClientError::Refused { .. })));
}

#[tokio::test]
async fn nobody_is_asked_about_wrong_names_wrong_places_and_one_too_many() {
    let (edge, mut visitors) = edge(1, &["127.0.0.0/8"]).await;
    for path in ["cohost/room", "cohost/a/b/c", "elsewhere/room/obs"] {
        let error = Peer::open(&edge, client(&edge, path)).await.err().expect(path);
        assert!(refusal(&error).contains("no usable name"), "{path}: {error}");
    }
    let (first, cohost) = tokio::join!(Peer::open(&edge, client(&edge, "cohost/room/obs")), async {
        let cohost = visitor(&mut visitors).await;
        cohost.accept();
        cohost
    });
    let same = Peer::open(&edge, client(&edge, "cohost/room/obs")).await;
    assert_eq!(refusal(&same.err().expect("refused")), "name taken");
    let other = Peer::open(&edge, client(&edge, "cohost/room/other")).await;
    assert_eq!(refusal(&other.err().expect("refused")), "too many co-hosts");
    assert!(visitors.try_recv().is_err());
    drop((first, cohost));
    let (far, mut visitors) = self::edge(1, &["192.0.2.0/24"]).await;
    let error = Peer::open(&far, client(&far, "cohost/room/obs")).await;
    assert!(refusal(&error.err().expect("refused")).contains("not allowed from here"));
    assert!(visitors.try_recv().is_err());
}
