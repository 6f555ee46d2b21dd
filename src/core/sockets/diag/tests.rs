use super::*;

/// A message as the kernel writes it.
fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(NETLINK_HEADER + body.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.resize(NETLINK_HEADER, 0);
    bytes.extend(body);
    bytes
}

/// An established connection from 127.0.0.1:8080 to 127.0.0.2:50000.
fn answer(info: usize) -> Vec<u8> {
    let mut body = vec![AF_INET, 1, 0, 0];
    body.extend(8080_u16.to_be_bytes());
    body.extend(50_000_u16.to_be_bytes());
    body.extend([127, 0, 0, 1]);
    body.resize(24, 0);
    body.extend([127, 0, 0, 2]);
    body.resize(56, 0);
    for number in [3_u32, 4, 1000, 12_345] {
        body.extend(number.to_ne_bytes());
    }
    assert_eq!(body.len(), ANSWER);
    // Another attribute comes first, of a length that is not aligned.
    body.extend([5, 0, 8, 0, 7, 0, 0, 0]);
    body.extend(u16::try_from(info + 4).unwrap().to_ne_bytes());
    body.extend(INET_DIAG_INFO.to_ne_bytes());
    let mut tcp_info = vec![0; 208];
    for (at, value) in [(LAST_DATA_SENT, 40_u32), (LAST_DATA_RECEIVED, 52)] {
        tcp_info[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    for (at, value) in [(BYTES_ACKED, 1_u64), (BYTES_RECEIVED, 2), (BYTES_SENT, 3)] {
        tcp_info[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    }
    body.extend(&tcp_info[..info]);
    body
}

#[test]
fn a_connection_is_read_with_its_queues_and_ages() {
    let traffic = Traffic {
        last_sent: Duration::from_millis(40),
        last_received: Duration::from_millis(52),
        bytes_sent: 3,
        bytes_received: 2,
    };
    let expected = Connection {
        local: "127.0.0.1:8080".parse().unwrap(),
        remote: "127.0.0.2:50000".parse().unwrap(),
        state: TcpState::Established,
        uid: 1000,
        inode: 12_345,
        unsent: 4,
        unread: 3,
        traffic: Some(traffic),
    };
    assert_eq!(connection_of(&answer(208)), Some(expected));
    let older = Traffic { bytes_sent: 1, ..traffic };
    assert_eq!(connection_of(&answer(192)).unwrap().traffic, Some(older), "before Linux 4.19");
    assert_eq!(connection_of(&answer(100)).unwrap().traffic, None, "before Linux 4.1");
}

#[test]
fn a_datagram_is_read_to_the_end_of_the_dump() {
    let mut datagram = message(SOCK_DIAG_BY_FAMILY, &answer(208));
    datagram.extend(message(SOCK_DIAG_BY_FAMILY, &answer(208)));
    let mut count = 0;
    assert_eq!(messages(&datagram, &mut |_| count += 1), Ok(Dump::GoesOn));
    datagram.extend(message(NLMSG_DONE, &[0; 4]));
    assert_eq!(messages(&datagram, &mut |_| count += 1), Ok(Dump::Complete));
    assert_eq!(count, 4);
}

#[test]
fn an_error_is_one_whether_the_dump_began_or_not() {
    for kind in [NLMSG_ERROR, NLMSG_DONE] {
        let refused = message(kind, &(-2_i32).to_ne_bytes());
        assert_eq!(messages(&refused, &mut |_| ()), Err(ErrorNumber(2)));
        assert_eq!(messages(&message(kind, &[0; 4]), &mut |_| ()), Ok(Dump::Complete));
    }
}

/// Every cut of a real answer and 20,000 changed ones: nothing panics, and nothing goes on for
/// ever.
#[test]
fn cut_and_changed_answers_are_read_without_harm() {
    let whole = message(SOCK_DIAG_BY_FAMILY, &answer(208));
    let read = |bytes: &[u8]| {
        let _ = messages(bytes, &mut |body| {
            let _ = (listener_of(body), connection_of(body));
        });
    };
    for length in 0..whole.len() {
        read(&whole[..length]);
    }
    let mut seed = 1_u64;
    for _ in 0..20_000 {
        let mut bytes = [&whole[..], &whole[..]].concat();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = usize::try_from(seed >> 33).unwrap() % bytes.len();
            bytes[place] = u8::try_from(seed >> 24 & 0xff).unwrap();
        }
        read(&bytes);
    }
}
