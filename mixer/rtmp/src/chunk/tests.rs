use super::{ChunkError, ChunkReader, ChunkWriter, Limits};
use crate::flv::TagKind;
use crate::message::{Message, MessageKind};
use bytes::{Bytes, BytesMut};
use rml_rtmp::chunk_io::{ChunkDeserializer, ChunkSerializer};
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::time::RtmpTimestamp;

fn message(kind: TagKind, timestamp: u32, length: usize) -> Message {
    let body = (0..length)
        .map(|n| u8::try_from(n % 251).expect("small"))
        .collect();
    Message {
        kind: MessageKind::Media(kind),
        stream: 1,
        timestamp,
        body,
    }
}

fn read_all(reader: &mut ChunkReader) -> Vec<Message> {
    std::iter::from_fn(|| reader.next_message().expect("a chunk stream")).collect()
}

fn through_the_wire(messages: &[Message], chunk_size: usize) -> Vec<Message> {
    let (mut writer, mut reader) = (ChunkWriter::default(), ChunkReader::new(Limits::default()));
    let mut wire = BytesMut::new();
    let size = u32::try_from(chunk_size).expect("small");
    assert!(writer.write(&Message::control(MessageKind::SetChunkSize, size), &mut wire));
    writer.set_chunk_size(chunk_size);
    messages
        .iter()
        .for_each(|message| assert!(writer.write(message, &mut wire)));
    reader.push(&wire);
    read_all(&mut reader).split_off(1)
}

/// Times around every place where their form on the wire changes.
fn awkward_times() -> Vec<u32> {
    let edges = [1_u32 << 24, 1 << 31, 0];
    let around = |edge: u32| (0..7).map(move |n| edge.wrapping_sub(4).wrapping_add(n));
    [0, 40, 80]
        .into_iter()
        .chain(edges.into_iter().flat_map(around))
        .collect()
}

#[test]
fn messages_survive_every_chunk_size_and_every_awkward_time() {
    let messages: Vec<Message> = awkward_times()
        .into_iter()
        .enumerate()
        .map(|(n, time)| {
            message(
                if n % 3 == 0 {
                    TagKind::Audio
                } else {
                    TagKind::Video
                },
                time,
                n * 37,
            )
        })
        .collect();
    for chunk_size in [1, 2, 127, 128, 129, 4096, 0x7fff_ffff] {
        assert_eq!(
            through_the_wire(&messages, chunk_size),
            messages,
            "chunk size {chunk_size}"
        );
    }
}

#[test]
fn an_independent_reader_agrees_with_our_writer() {
    let (mut writer, mut theirs) = (ChunkWriter::default(), ChunkDeserializer::new());
    for (n, time) in awkward_times().into_iter().enumerate() {
        let ours = message(TagKind::Video, time, 1 + n * 61);
        let mut wire = BytesMut::new();
        assert!(writer.write(&ours, &mut wire));
        let read = theirs
            .get_next_message(&wire)
            .expect("a chunk stream")
            .expect("a whole message");
        assert_eq!(
            (read.timestamp.value, &read.data),
            (ours.timestamp, &ours.body),
            "time {time}"
        );
    }
}

#[test]
fn our_reader_agrees_with_an_independent_writer() {
    let (mut theirs, mut reader) = (ChunkSerializer::new(), ChunkReader::new(Limits::default()));
    for (n, time) in awkward_times().into_iter().enumerate() {
        // Constant lengths provoke formats 2 and 3 at the beginning of messages, which our own writer never uses.
        let data = Bytes::from(vec![7; if n < 14 { 300 } else { n + 1 }]);
        let payload = MessagePayload {
            timestamp: RtmpTimestamp::new(time),
            type_id: 9,
            message_stream_id: 1,
            data: data.clone(),
        };
        reader.push(
            &theirs
                .serialize(&payload, false, false)
                .expect("serialisable")
                .bytes,
        );
        let read = read_all(&mut reader);
        assert_eq!(read.len(), 1);
        assert_eq!((read[0].timestamp, &read[0].body), (time, &data), "message {n}");
    }
}

/// §5.3.1.3: "This field is present in Type 3 chunks when the most recent Type 0, 1, or 2 chunk for the same chunk stream
/// ID indicated the presence of an extended timestamp." Some senders leave it out all the same.
#[test]
fn a_continued_message_is_read_with_and_without_the_repeated_extended_timestamp() {
    let time = 0x0123_4567_u32;
    for repeated in [true, false] {
        let mut wire = vec![0x06, 0xff, 0xff, 0xff, 0, 0, 200, 9, 1, 0, 0, 0];
        wire.extend(time.to_be_bytes());
        wire.extend([1; 128]);
        wire.push(0xc6);
        wire.extend(time.to_be_bytes().into_iter().filter(|_| repeated));
        wire.extend([2; 72]);
        let mut reader = ChunkReader::new(Limits::default());
        reader.push(&wire);
        let read = read_all(&mut reader);
        assert_eq!(read.len(), 1, "repeated: {repeated}");
        assert_eq!(
            (read[0].timestamp, read[0].body.len(), read[0].body[128]),
            (time, 200, 2)
        );
        assert_eq!(reader.held(), 0);
    }
}

#[test]
fn our_writer_repeats_the_extended_timestamp() {
    let mut wire = BytesMut::new();
    assert!(ChunkWriter::default().write(&message(TagKind::Video, 1 << 30, 129), &mut wire));
    let second = 12 + 4 + 128;
    assert_eq!(wire[second..second + 5], [0xc6, 0x40, 0, 0, 0]);
}

#[test]
fn interleaved_messages_do_not_mix() {
    let mut wire = Vec::new();
    wire.extend([0x06, 0, 0, 1, 0, 0, 200, 9, 1, 0, 0, 0]);
    wire.extend([1; 128]);
    wire.extend([0x04, 0, 0, 2, 0, 0, 3, 8, 1, 0, 0, 0, 9, 9, 9]);
    wire.push(0xc6);
    wire.extend([1; 72]);
    let mut reader = ChunkReader::new(Limits::default());
    reader.push(&wire);
    let read = read_all(&mut reader);
    assert_eq!((read[0].timestamp, &read[0].body[..]), (2, &[9, 9, 9][..]));
    assert_eq!((read[1].timestamp, &read[1].body[..]), (1, &[1; 200][..]));
}

#[test]
fn bytes_one_by_one_give_the_same_messages() {
    let messages = [
        message(TagKind::Video, u32::MAX, 300),
        message(TagKind::Audio, 5, 0),
        message(TagKind::Video, 20, 9),
    ];
    let mut wire = BytesMut::new();
    let mut writer = ChunkWriter::default();
    messages
        .iter()
        .for_each(|message| assert!(writer.write(message, &mut wire)));
    let mut reader = ChunkReader::new(Limits::default());
    let mut read = Vec::new();
    for byte in wire {
        reader.push(&[byte]);
        read.extend(read_all(&mut reader));
    }
    assert_eq!(read, messages);
}

#[test]
fn chunk_streams_have_ids_of_one_two_and_three_bytes() {
    // §5.3.1.1: 64 + second byte; 64 + second byte + third byte * 256.
    for (basic, other) in [
        (vec![0x3f], vec![0x3e]),
        (vec![0, 10], vec![0, 11]),
        (vec![1, 10, 2], vec![1, 10, 3]),
    ] {
        let mut reader = ChunkReader::new(Limits::default());
        reader.push(&[&basic[..], &[0, 0, 9, 0, 0, 1, 9, 1, 0, 0, 0, b'x']].concat());
        let mut again = basic.clone();
        again[0] |= 3 << 6;
        reader.push(&[&again[..], b"y"].concat());
        let read = read_all(&mut reader);
        // §5.3.1.2.4: format 3 after format 0 adds the time itself.
        assert_eq!(
            read.iter().map(|message| message.timestamp).collect::<Vec<_>>(),
            [9, 18]
        );
        let mut unknown = other;
        unknown[0] |= 3 << 6;
        reader.push(&unknown);
        assert!(matches!(
            reader.next_message(),
            Err(ChunkError::NoHeader { format: 3, .. })
        ));
    }
}

#[test]
fn an_aborted_message_is_forgotten() {
    let mut reader = ChunkReader::new(Limits::default());
    reader.push(&[0x06, 0, 0, 1, 0, 0, 200, 9, 1, 0, 0, 0]);
    reader.push(&[1; 128]);
    reader.push(&[0x02, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0, 0, 6]);
    assert_eq!(read_all(&mut reader).len(), 1, "the abort itself");
    assert_eq!(reader.held(), 0);
    reader.push(&[0x06, 0, 0, 1, 0, 0, 1, 9, 1, 0, 0, 0, b'x']);
    assert_eq!(read_all(&mut reader)[0].body[..], *b"x");
}

#[test]
fn huge_declared_lengths_hold_no_memory_and_end_the_session() {
    let limits = Limits {
        max_message: 1000,
        max_chunk_streams: 8,
    };
    let mut reader = ChunkReader::new(limits);
    reader.push(&[0x06, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0]);
    assert_eq!(
        reader.next_message(),
        Err(ChunkError::TooLong {
            length: 0xff_ffff,
            limit: 1000
        })
    );
    assert!(reader.held() < 16);
}

#[test]
fn unfinished_messages_on_many_chunk_streams_share_one_bound() {
    let limits = Limits {
        max_message: 1000,
        max_chunk_streams: 8,
    };
    let mut reader = ChunkReader::new(limits);
    let results: Vec<_> = (3..12)
        .map(|stream| {
            reader.push(&[stream, 0, 0, 0, 0, 3, 0, 9, 1, 0, 0, 0]);
            reader.push(&[0; 128]);
            reader.next_message()
        })
        .collect();
    assert!(
        results
            .iter()
            .any(|result| matches!(result, Err(ChunkError::TooLong { .. }))),
        "{results:?}"
    );
    assert!(reader.held() <= 1000 + 16 * 128);
}

#[test]
fn chunk_streams_are_counted() {
    let mut reader = ChunkReader::new(Limits {
        max_message: 1000,
        max_chunk_streams: 8,
    });
    let result = (2..40).try_for_each(|stream| {
        reader.push(&[stream, 0, 0, 0, 0, 0, 1, 9, 1, 0, 0, 0, b'x']);
        reader.next_message().map(|_| ())
    });
    assert_eq!(result, Err(ChunkError::TooManyStreams(8)));
}

#[test]
fn a_message_cannot_be_interrupted_by_a_shorter_one() {
    let mut reader = ChunkReader::new(Limits::default());
    reader.push(&[0x06, 0, 0, 1, 0, 0, 200, 9, 1, 0, 0, 0]);
    reader.push(&[1; 128]);
    reader.push(&[0x06, 0, 0, 1, 0, 0, 1, 9, 1, 0, 0, 0, b'x']);
    assert_eq!(reader.next_message(), Err(ChunkError::Interrupted(6)));
}

#[test]
fn a_chunk_size_of_zero_or_with_the_first_bit_set_is_refused() {
    for size in [0_u32, 0x8000_0000, u32::MAX] {
        let mut wire = BytesMut::new();
        assert!(ChunkWriter::default().write(&Message::control(MessageKind::SetChunkSize, size), &mut wire));
        let mut reader = ChunkReader::new(Limits::default());
        reader.push(&wire);
        assert_eq!(reader.next_message(), Err(ChunkError::ChunkSize(size)));
    }
}

#[test]
fn noise_never_panics_and_never_holds_more_than_the_bound() {
    let limits = Limits {
        max_message: 10_000,
        max_chunk_streams: 8,
    };
    let mut state = 1_u64;
    let mut refused = 0;
    for _ in 0..2_000 {
        let mut reader = ChunkReader::new(limits);
        for _ in 0..20 {
            let noise: Vec<u8> = (0..100)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    u8::try_from(state >> 56).expect("8 bits")
                })
                .collect();
            reader.push(&noise);
            let ended =
                std::iter::from_fn(|| reader.next_message().transpose()).any(|result| result.is_err());
            assert!(reader.held() <= limits.max_message + 2100, "{}", reader.held());
            if ended {
                refused += 1;
                break;
            }
        }
    }
    assert!(refused > 1_900, "noise is refused sooner or later: {refused}");
}
