//! The head of a file: `ftyp` and `moov` (ISO/IEC 14496-12 §4.3, §8.2).

use crate::Mp4Error;
use crate::track::{Audio, AudioCodec, Video};
use bytes::Bytes;
use mp4_atom::esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig};
use mp4_atom::{
    Audio as AudioEntry, Avc1, Avc3, Codec, Dinf, Dops, Dref, Encode, Esds, Ftyp, Hdlr, Matrix, Mdhd, Mdia,
    Minf, Moov, Mp4a, Mvex, Mvhd, Opus, Smhd, Stbl, Stco, Stsd, Tkhd, Trak, Trex, Url, Visual, Vmhd,
};

/// The tracks' numbers.
pub(crate) const VIDEO: u32 = 1;
pub(crate) const AUDIO: u32 = 2;

/// Units a second of the movie itself; the tracks have their own.
const MOVIE_RATE: u32 = 1000;

/// From 1904, where MP4 counts from, to 1970.
const EPOCH: u64 = 2_082_844_800;

/// AAC (ISO/IEC 14496-1 table 5), and that it is sound (table 6).
const MPEG4_AUDIO: u8 = 0x40;
const AUDIO_STREAM: u8 = 5;

/// One, and one by which a matrix divides (§6.2.2).
const ONE: i32 = 1 << 16;

/// `ftyp` and `moov`. `created` is in seconds since 1970.
pub(crate) fn head(video: Option<&Video>, audio: Option<&Audio>, created: u64) -> Result<Bytes, Mp4Error> {
    let created = created + EPOCH;
    let ids = video.iter().map(|_| VIDEO).chain(audio.iter().map(|_| AUDIO));
    let moov = Moov {
        mvhd: Mvhd {
            creation_time: created,
            modification_time: created,
            timescale: MOVIE_RATE,
            duration: 0,
            rate: 1.into(),
            volume: 1.into(),
            matrix: Matrix::default(),
            next_track_id: AUDIO + 1,
        },
        mvex: Some(Mvex {
            mehd: None,
            trex: ids.map(trex).collect(),
        }),
        trak: video
            .map(|video| video_track(video, created))
            .transpose()?
            .into_iter()
            .chain(audio.map(|audio| audio_track(audio, created)))
            .collect(),
        ..Moov::default()
    };
    let ftyp = Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: [b"iso6", b"iso5", b"mp41"].map(Into::into).to_vec(),
    };
    let mut out = Vec::new();
    ftyp.encode(&mut out)?;
    moov.encode(&mut out)?;
    Ok(out.into())
}

fn trex(track_id: u32) -> Trex {
    Trex {
        track_id,
        default_sample_description_index: 1,
        ..Trex::default()
    }
}

fn video_track(video: &Video, created: u64) -> Result<Trak, Mp4Error> {
    let (width, height) = video.avc.size();
    let visual = Visual {
        data_reference_index: 1,
        width,
        height,
        ..Visual::default()
    };
    let avcc = video.avc.avcc()?;
    let codec: Codec = if video.avc.is_in_band() {
        Avc3 {
            visual,
            avcc,
            ..Avc3::default()
        }
        .into()
    } else {
        Avc1 {
            visual,
            avcc,
            ..Avc1::default()
        }
        .into()
    };
    let tkhd = Tkhd {
        width: width.into(),
        height: height.into(),
        matrix: turned(video.turns, width, height),
        ..track_header(VIDEO, created)
    };
    let minf = Minf {
        vmhd: Some(Vmhd::default()),
        ..media(codec)
    };
    Ok(track(tkhd, crate::muxer::VIDEO_RATE, *b"vide", minf))
}

fn audio_track(audio: &Audio, created: u64) -> Trak {
    let entry = AudioEntry {
        data_reference_index: 1,
        channel_count: audio.channels.into(),
        sample_size: 16,
        // A field of 16 bits; players take higher rates from the codec's own configuration.
        sample_rate: u16::try_from(audio.rate).unwrap_or_default().into(),
    };
    let codec: Codec = match &audio.codec {
        AudioCodec::Aac(config) => Mp4a {
            audio: entry,
            esds: esds(config),
            btrt: None,
            taic: None,
        }
        .into(),
        AudioCodec::Opus { pre_skip } => Opus {
            audio: entry,
            dops: Dops {
                output_channel_count: audio.channels,
                pre_skip: *pre_skip,
                input_sample_rate: audio.rate,
                output_gain: 0,
                channel_mapping: None,
            },
            btrt: None,
        }
        .into(),
    };
    let tkhd = Tkhd {
        volume: 1.into(),
        alternate_group: 1,
        ..track_header(AUDIO, created)
    };
    let minf = Minf {
        smhd: Some(Smhd::default()),
        ..media(codec)
    };
    track(tkhd, audio.rate, *b"soun", minf)
}

fn esds(config: &[u8]) -> Esds {
    Esds {
        es_desc: EsDescriptor {
            dec_config: DecoderConfig {
                object_type_indication: MPEG4_AUDIO,
                stream_type: AUDIO_STREAM,
                dec_specific: Some(DecoderSpecific {
                    raw: config.to_vec(),
                    ..DecoderSpecific::default()
                }),
                ..DecoderConfig::default()
            },
            sl_config: SLConfig {},
            ..EsDescriptor::default()
        },
    }
}

fn track_header(track_id: u32, created: u64) -> Tkhd {
    Tkhd {
        creation_time: created,
        modification_time: created,
        track_id,
        enabled: true,
        in_movie: true,
        ..Tkhd::default()
    }
}

/// Everything that says where samples are stays empty: the fragments say so.
fn media(codec: Codec) -> Minf {
    Minf {
        dinf: Dinf {
            dref: Dref {
                entries: vec![Url::default().into()],
            },
        },
        stbl: Stbl {
            stsd: Stsd { codecs: vec![codec] },
            stco: Some(Stco::default()),
            ..Stbl::default()
        },
        ..Minf::default()
    }
}

fn track(tkhd: Tkhd, timescale: u32, handler: [u8; 4], minf: Minf) -> Trak {
    Trak {
        mdia: Mdia {
            mdhd: Mdhd {
                creation_time: tkhd.creation_time,
                modification_time: tkhd.modification_time,
                timescale,
                duration: 0,
                language: "und".to_owned(),
            },
            hdlr: Hdlr {
                handler: (&handler).into(),
                name: "lianmai".to_owned(),
            },
            minf,
        },
        tkhd,
        ..Trak::default()
    }
}

/// §6.2.2: (x, y) becomes (ax + cy + x₀, bx + dy + y₀). Turned clockwise, and moved back to where x and y are positive.
fn turned(turns: u8, width: u16, height: u16) -> Matrix {
    let (width, height) = (i32::from(width) << 16, i32::from(height) << 16);
    let (a, b, c, d, x, y) = match turns % 4 {
        0 => return Matrix::default(),
        1 => (0, ONE, -ONE, 0, height, 0),
        2 => (-ONE, 0, 0, -ONE, width, height),
        _ => (0, -ONE, ONE, 0, 0, width),
    };
    Matrix {
        a,
        b,
        c,
        d,
        x,
        y,
        ..Matrix::default()
    }
}
