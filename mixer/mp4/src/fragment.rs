//! One fragment: `moof` and `mdat` (ISO/IEC 14496-12 §8.8.4, §8.1.1).

use crate::Mp4Error;
use crate::boxes::VIDEO;
use crate::lane::Sample;
use bytes::{BufMut, Bytes, BytesMut};
use mp4_atom::{Encode, Mfhd, Moof, Tfdt, Tfhd, Traf, Trun, TrunEntry};

/// §8.8.3.1: needs no other picture; and needs others, and is no place to begin.
const KEY: u32 = 0x0200_0000;
const NOT_KEY: u32 = 0x0101_0000;

/// Length and name of `mdat`.
const MDAT_HEADER: usize = 8;

/// A fragment of these samples: per track its number and at least one sample. Their bytes stand in this order.
pub(crate) fn fragment(sequence: u32, tracks: &[(u32, Vec<Sample>)]) -> Result<Bytes, Mp4Error> {
    // Offsets count from the first byte of the `moof`, whose length does not depend on them.
    let length = encode(&moof(sequence, tracks, 0)?)?.len();
    let moof = encode(&moof(sequence, tracks, length + MDAT_HEADER)?)?;
    let samples = || tracks.iter().flat_map(|(_, samples)| samples);
    let payload: usize = samples().map(|sample| sample.data.len()).sum();
    let size = u32::try_from(MDAT_HEADER + payload).map_err(|_| too_large())?;
    let mut out = BytesMut::with_capacity(moof.len() + MDAT_HEADER + payload);
    out.put_slice(&moof);
    out.put_u32(size);
    out.put_slice(b"mdat");
    samples().for_each(|sample| out.put_slice(&sample.data));
    Ok(out.freeze())
}

const fn too_large() -> mp4_atom::Error {
    mp4_atom::Error::TooLarge(mp4_atom::FourCC::new(b"mdat"))
}

fn moof(sequence: u32, tracks: &[(u32, Vec<Sample>)], mut offset: usize) -> Result<Moof, Mp4Error> {
    let mut traf = Vec::with_capacity(tracks.len());
    for (id, samples) in tracks {
        let at = i32::try_from(offset).map_err(|_| too_large())?;
        traf.push(track_fragment(*id, samples, at));
        offset += samples.iter().map(|sample| sample.data.len()).sum::<usize>();
    }
    Ok(Moof {
        mfhd: Mfhd {
            sequence_number: sequence,
        },
        traf,
    })
}

fn track_fragment(track_id: u32, samples: &[Sample], offset: i32) -> Traf {
    let is_video = track_id == VIDEO;
    let reordered = samples.iter().any(|sample| sample.offset != 0);
    let entry = |sample: &Sample| TrunEntry {
        duration: Some(sample.duration),
        size: u32::try_from(sample.data.len()).ok(),
        flags: is_video.then_some(if sample.key { KEY } else { NOT_KEY }),
        cts: reordered.then_some(sample.offset.into()),
    };
    Traf {
        tfhd: Tfhd {
            track_id,
            default_sample_flags: (!is_video).then_some(KEY),
            default_base_is_moof: true,
            ..Tfhd::default()
        },
        tfdt: Some(Tfdt {
            base_media_decode_time: samples.first().map_or(0, |sample| sample.time),
        }),
        trun: vec![Trun {
            data_offset: Some(offset),
            samples: samples.iter().map(entry).collect::<Vec<_>>().into(),
        }],
        ..Traf::default()
    }
}

fn encode(moof: &Moof) -> Result<Vec<u8>, Mp4Error> {
    let mut out = Vec::new();
    moof.encode(&mut out)?;
    Ok(out)
}
