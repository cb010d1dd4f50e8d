use std::time::Instant;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::*;

const SOON: Duration = Duration::from_secs(60);
/// Long enough to see that nothing comes.
const A_WHILE: Duration = Duration::from_millis(200);

/// A broker that answers every request with its correlation id and its API key.
async fn broker() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 12];
                while socket.read_exact(&mut request).await.is_ok() {
                    let answer = [&[0, 0, 0, 6], &request[8..], &request[4..6]].concat();
                    if socket.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn request(api_key: i16, correlation: i32) -> Vec<u8> {
    [
        &8_u32.to_be_bytes()[..],
        &api_key.to_be_bytes(),
        &0_i16.to_be_bytes(),
        &correlation.to_be_bytes(),
    ]
    .concat()
}

async fn answer(socket: &mut TcpStream) -> io::Result<(i32, i16)> {
    let mut frame = [0; 10];
    let read = timeout(SOON, socket.read_exact(&mut frame)).await.unwrap();
    read.map(|_| {
        let id = frame[4..8].try_into().unwrap();
        let key = frame[8..10].try_into().unwrap();
        (i32::from_be_bytes(id), i16::from_be_bytes(key))
    })
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap()
}

#[tokio::test]
async fn the_answer_to_one_kind_of_request_is_lost_and_all_others_arrive() {
    let proxy = Proxy::of_kafka(broker().await).await.unwrap();
    proxy.set(Rule::DropAnswer {
        of: Answered::EndTxn,
        times: 1,
    });
    let (mut first, mut second) = (connect(&proxy).await, connect(&proxy).await);

    // in pieces, and two at once: frames are not packets
    let both = [request(0, 7), request(26, 8)].concat();
    first.write_all(&both[..9]).await.unwrap();
    first.write_all(&both[9..]).await.unwrap();
    assert_eq!(answer(&mut first).await.unwrap(), (7, 0));
    assert!(
        answer(&mut first).await.is_err(),
        "closed in place of the answer to EndTxn"
    );
    assert_eq!(proxy.dropped(), 1);

    second.write_all(&request(26, 9)).await.unwrap();
    assert_eq!(answer(&mut second).await.unwrap(), (9, 26), "only once");
}

#[tokio::test]
async fn a_cut_closes_what_is_open_and_what_comes() {
    let proxy = Proxy::of_kafka(broker().await).await.unwrap();
    let mut open = connect(&proxy).await;
    open.write_all(&request(3, 1)).await.unwrap();
    assert_eq!(answer(&mut open).await.unwrap(), (1, 3));

    proxy.set(Rule::Cut);
    assert!(answer(&mut open).await.is_err());
    assert!(answer(&mut connect(&proxy).await).await.is_err());

    proxy.set(Rule::Pass);
    let mut again = connect(&proxy).await;
    again.write_all(&request(3, 2)).await.unwrap();
    assert_eq!(answer(&mut again).await.unwrap(), (2, 3));
}

#[tokio::test]
async fn a_black_hole_answers_nothing_and_forwards_nothing_afterwards() {
    let proxy = Proxy::of_kafka(broker().await).await.unwrap();
    let mut open = connect(&proxy).await;
    open.write_all(&request(3, 1)).await.unwrap();
    assert_eq!(answer(&mut open).await.unwrap(), (1, 3));

    proxy.set(Rule::BlackHole);
    open.write_all(&request(3, 2)).await.unwrap();
    let nothing = timeout(A_WHILE, open.read_u8()).await;
    assert!(nothing.is_err(), "neither an answer nor an end");

    proxy.set(Rule::Pass);
    assert!(answer(&mut open).await.is_err());
}

#[tokio::test]
async fn a_delay_holds_up_both_ways() {
    let proxy = Proxy::of_anything(broker().await).await.unwrap();
    let mut open = connect(&proxy).await;
    proxy.set(Rule::Delay(A_WHILE));

    let began = Instant::now();
    open.write_all(&request(3, 1)).await.unwrap();
    assert_eq!(answer(&mut open).await.unwrap(), (1, 3));
    assert!(began.elapsed() >= 2 * A_WHILE);
}
