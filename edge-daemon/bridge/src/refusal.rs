//! Why a stream cannot be passed on at all.

use crate::avcc::RecordError;
use lianmai_rtmp::flv::CodecName;
use std::fmt;

/// Written for whoever set up the publisher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// A picture that is shown before one that was sent earlier.
    #[error(
        "the pictures are not in the order in which they are shown (B-frames), and browsers cannot show that: set bframes=0, in \
         OBS \"Tune: zerolatency\""
    )]
    Reordered,
    /// Pictures that browsers need not know.
    #[error("the pictures are {}, and have to be H.264", Named(*.0))]
    VideoCodec(CodecName),
    /// Sound that is not decoded here.
    #[error("the sound is {}, and has to be AAC", Named(*.0))]
    AudioCodec(CodecName),
    /// A sequence header that is of no use.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// One that the decoder of the sound does not take.
    #[error("the sound is AAC that cannot be decoded: {0}; AAC-LC can")]
    AudioConfig(String),
}

struct Named(CodecName);

impl fmt::Display for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CodecName::Legacy(number) => write!(formatter, "of FLV's codec {number}"),
            CodecName::FourCc(name) => write!(formatter, "{:?}", String::from_utf8_lossy(&name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;
    use lianmai_rtmp::flv::CodecName;

    #[test]
    fn a_refusal_says_what_to_change() {
        assert!(Refusal::Reordered.to_string().contains("bframes=0"));
        let refusal = Refusal::VideoCodec(CodecName::FourCc(*b"hvc1"));
        assert_eq!(
            refusal.to_string(),
            "the pictures are \"hvc1\", and have to be H.264"
        );
    }
}
