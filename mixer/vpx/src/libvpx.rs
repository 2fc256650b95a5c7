//! libvpx's decoder: as much of its C interface as VP8 needs, and the only place with `unsafe`.
//!
//! The layouts are those of decoder ABI 12, which libvpx has had since 1.8; it compares the number itself when a
//! decoder is made, and a test compares the layouts with the installed headers.
#![expect(
    unsafe_code,
    reason = "no crate that wraps libvpx's decoder safely builds against Debian 12's libvpx; every call of it is here"
)]

use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_void};
use std::{ptr, slice};

/// `VPX_DECODER_ABI_VERSION`.
const ABI: c_int = 12;

/// `VPX_CODEC_OK`.
const OK: c_int = 0;

/// `VPX_IMG_FMT_I420`.
const I420: c_int = 0x102;

/// `VP8D_GET_FRAME_CORRUPTED`: whether the frame to show is damaged. Its argument is an `int *`.
const GET_FRAME_CORRUPTED: c_int = 257;

/// What libvpx could not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LibvpxError {
    /// A call failed.
    #[error("libvpx: {0}")]
    Call(String),
    /// A frame of 4 GiB or more.
    #[error("a VP8 frame of {0} bytes")]
    Long(usize),
    /// Something other than I420 came out.
    #[error("libvpx gave a picture of format {format:#x}, {width} x {height}")]
    Picture {
        /// `vpx_img_fmt`.
        format: i32,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
}

/// A decoded picture in libvpx's memory, I420.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Y, U and V, each with its stride; chroma has half the size, rounded up.
    pub planes: [(&'a [u8], usize); 3],
}

/// `vpx_codec_ctx_t`.
#[repr(C)]
struct RawContext {
    name: *const c_char,
    iface: *const c_void,
    err: c_int,
    err_detail: *const c_char,
    init_flags: c_long,
    config: *const c_void,
    private: *mut c_void,
}

/// The beginning of `vpx_image_t`, which libvpx alone makes.
#[repr(C)]
struct RawImage {
    format: c_int,
    color_space: c_int,
    range: c_int,
    stored: [c_uint; 2],
    bit_depth: c_uint,
    width: c_uint,
    height: c_uint,
    intended: [c_uint; 2],
    chroma_shift: [c_uint; 2],
    planes: [*mut u8; 4],
    stride: [c_int; 4],
}

unsafe extern "C" {
    fn vpx_codec_vp8_dx() -> *const c_void;
    fn vpx_codec_dec_init_ver(
        context: *mut RawContext,
        interface: *const c_void,
        config: *const c_void,
        flags: c_long,
        version: c_int,
    ) -> c_int;
    fn vpx_codec_decode(
        context: *mut RawContext,
        data: *const u8,
        len: c_uint,
        user: *mut c_void,
        deadline: c_long,
    ) -> c_int;
    fn vpx_codec_get_frame(context: *mut RawContext, iterator: *mut *const c_void) -> *const RawImage;
    fn vpx_codec_control_(context: *mut RawContext, control: c_int, ...) -> c_int;
    fn vpx_codec_err_to_string(error: c_int) -> *const c_char;
    fn vpx_codec_destroy(context: *mut RawContext) -> c_int;
}

/// A VP8 decoder of libvpx. It stays on the thread that made it.
pub(crate) struct Context {
    raw: Box<RawContext>,
}

impl Context {
    /// A decoder that works on the thread that calls it.
    pub(crate) fn new() -> Result<Self, LibvpxError> {
        let mut raw = Box::new(RawContext {
            name: ptr::null(),
            iface: ptr::null(),
            err: OK,
            err_detail: ptr::null(),
            init_flags: 0,
            config: ptr::null(),
            private: ptr::null_mut(),
        });
        // SAFETY: `raw` is a context of the ABI that libvpx is told and compares with its own; the interface is its own; no
        // configuration means one thread and sizes from the stream.
        let status =
            unsafe { vpx_codec_dec_init_ver(&raw mut *raw, vpx_codec_vp8_dx(), ptr::null(), 0, ABI) };
        check(status)?;
        Ok(Self { raw })
    }

    /// Decodes one frame. What was decoded before is void.
    pub(crate) fn decode(&mut self, frame: &[u8]) -> Result<(), LibvpxError> {
        let len = c_uint::try_from(frame.len()).map_err(|_| LibvpxError::Long(frame.len()))?;
        // SAFETY: the context was initialised in `new`; libvpx reads `len` bytes and keeps no pointer to them.
        check(unsafe { vpx_codec_decode(&raw mut *self.raw, frame.as_ptr(), len, ptr::null_mut(), 0) })
    }

    /// Whether the frame decoded last is damaged, or goes on from one that is.
    pub(crate) fn is_corrupted(&mut self) -> Result<bool, LibvpxError> {
        let mut corrupted: c_int = 0;
        // SAFETY: the context was initialised in `new`; this control writes one `int` to its argument.
        check(unsafe { vpx_codec_control_(&raw mut *self.raw, GET_FRAME_CORRUPTED, &raw mut corrupted) })?;
        Ok(corrupted != 0)
    }

    /// The picture that the last call of `decode` made; none if the frame is not to be shown.
    pub(crate) fn picture(&mut self) -> Result<Option<Picture<'_>>, LibvpxError> {
        let mut iterator = ptr::null();
        // SAFETY: the context was initialised in `new`; a null iterator asks for the first picture.
        let image = unsafe { vpx_codec_get_frame(&raw mut *self.raw, &raw mut iterator) };
        // SAFETY: libvpx returns null or an image of its own, which stays as it is until the next call; that needs
        // `&mut self`, which the picture borrows.
        let image = unsafe { image.as_ref() };
        image.map(RawImage::picture).transpose()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context was initialised in `new` and is not used again.
        unsafe { vpx_codec_destroy(&raw mut *self.raw) };
    }
}

impl RawImage {
    fn picture(&self) -> Result<Picture<'_>, LibvpxError> {
        let refused = LibvpxError::Picture {
            format: self.format,
            width: self.width,
            height: self.height,
        };
        let (Ok(width @ 1..), Ok(height @ 1..)) = (usize::try_from(self.width), usize::try_from(self.height))
        else {
            return Err(refused);
        };
        if self.format != I420 {
            return Err(refused);
        }
        let chroma = (width.div_ceil(2), height.div_ceil(2));
        let plane = |index, size| self.plane(index, size).ok_or_else(|| refused.clone());
        Ok(Picture {
            width,
            height,
            planes: [plane(0, (width, height))?, plane(1, chroma)?, plane(2, chroma)?],
        })
    }

    fn plane(&self, index: usize, (width, height): (usize, usize)) -> Option<(&[u8], usize)> {
        let start = self.planes[index];
        let stride = usize::try_from(self.stride[index]).ok()?;
        if start.is_null() || stride < width {
            return None;
        }
        let len = stride * (height - 1) + width;
        // SAFETY: an I420 image of libvpx has `height` rows in this plane, `stride` bytes from one to the next
        // (vpx_image.h), and `len` ends with the last of them; the image is borrowed as long as the bytes are.
        Some((unsafe { slice::from_raw_parts(start, len) }, stride))
    }
}

fn check(status: c_int) -> Result<(), LibvpxError> {
    if status == OK {
        return Ok(());
    }
    // SAFETY: libvpx has a text for every number, also for those it does not know; the texts are constants.
    let text = unsafe { CStr::from_ptr(vpx_codec_err_to_string(status)) };
    Err(LibvpxError::Call(text.to_string_lossy().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::{ABI, GET_FRAME_CORRUPTED, I420, OK, RawContext, RawImage};
    use std::mem::{offset_of, size_of};
    use std::process::Command;

    /// Prints what the installed headers say, in the order of `ours`.
    const THEIRS: &str = r#"
        #include <stddef.h>
        #include <stdio.h>
        #include <vpx/vp8dx.h>
        #include <vpx/vpx_decoder.h>
        int main(void) {
            size_t theirs[] = {
                VPX_DECODER_ABI_VERSION, VPX_CODEC_OK, VPX_IMG_FMT_I420, VP8D_GET_FRAME_CORRUPTED,
                sizeof(vpx_codec_ctx_t), offsetof(vpx_codec_ctx_t, err_detail), offsetof(vpx_codec_ctx_t, priv),
                offsetof(vpx_image_t, fmt), offsetof(vpx_image_t, d_w), offsetof(vpx_image_t, d_h),
                offsetof(vpx_image_t, planes), offsetof(vpx_image_t, stride),
            };
            for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) printf("%zu ", theirs[i]);
        }
    "#;

    #[test]
    fn numbers_and_layouts_are_those_of_the_installed_headers() {
        let directory = tempfile::tempdir().expect("a directory");
        let (source, program) = (directory.path().join("theirs.c"), directory.path().join("theirs"));
        std::fs::write(&source, THEIRS).expect("written");
        let compiled = Command::new("cc")
            .arg(&source)
            .arg("-o")
            .arg(&program)
            .arg("-lvpx")
            .status();
        assert!(compiled.expect("a C compiler").success());
        let printed = Command::new(&program).output().expect("it runs").stdout;
        let theirs: Vec<usize> = String::from_utf8(printed)
            .expect("text")
            .split_whitespace()
            .map(|number| number.parse().expect("a number"))
            .collect();
        let ours = [ABI, OK, I420, GET_FRAME_CORRUPTED].map(|number| usize::try_from(number).expect("small"));
        let layouts = [
            size_of::<RawContext>(),
            offset_of!(RawContext, err_detail),
            offset_of!(RawContext, private),
            offset_of!(RawImage, format),
            offset_of!(RawImage, width),
            offset_of!(RawImage, height),
            offset_of!(RawImage, planes),
            offset_of!(RawImage, stride),
        ];
        assert_eq!(theirs, [&ours[..], &layouts].concat());
    }
}
